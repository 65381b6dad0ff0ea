/** What a node and a server say to each other when the node joins: paths, bodies and error codes of both ends. */

/** Raised when either end could no longer understand the other. */
export const JOIN_PROTOCOL_VERSION = 1;
export const CA_PATH = '/cacerts';
export const JOIN_PATH = '/v1-mini/join';
/** Clocks further apart than this make certificates and tokens fail in ways that are hard to see. */
export const MAX_CLOCK_SKEW_MS = 5 * 60_000;
/** No request and no answer is longer. */
export const MAX_JOIN_BYTES = 64 * 1024;

export interface JoinRequest {
  readonly protocol: number;
  readonly nodeName: string;
  /** PKCS#10 in PEM for CN system:node:NAME, O system:nodes. */
  readonly csr: string;
  /** Random, made once by each host: tells two hosts of one name apart. */
  readonly nodePassword: string;
  /** The node's clock in milliseconds since the epoch. */
  readonly clock: number;
}

/** What a node needs to know of its cluster. */
export interface ClusterSettings {
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly clusterDns: string;
  readonly clusterDomain: string;
  /** URLs of all servers. */
  readonly servers: readonly string[];
}

export interface JoinAnswer {
  readonly certificate: string;
  readonly ca: string;
  readonly cluster: ClusterSettings;
}

/** Why a server refused. `BadToken` covers unknown and wrong ones: a guesser learns no more. */
export type JoinErrorCode =
  | 'BadRequest'
  | 'BadToken'
  | 'ExpiredToken'
  | 'ClockSkew'
  | 'NameTaken'
  | 'OtherProtocol'
  | 'Internal';

export interface JoinRefusal {
  readonly error: JoinErrorCode;
  readonly message: string;
}

export function decodeJoinRequest(value: unknown): JoinRequest {
  const record = recordOf(value);
  const { protocol, nodeName, csr, nodePassword, clock } = record;
  if (typeof protocol !== 'number') throw new Error('protocol is missing');
  return {
    protocol,
    nodeName: textOf(nodeName, 'nodeName'),
    csr: textOf(csr, 'csr'),
    nodePassword: textOf(nodePassword, 'nodePassword'),
    clock: typeof clock === 'number' ? clock : Number.NaN,
  };
}

export function decodeJoinAnswer(value: unknown): JoinAnswer {
  const { certificate, ca, cluster } = recordOf(value);
  return {
    certificate: textOf(certificate, 'certificate'),
    ca: textOf(ca, 'ca'),
    cluster: decodeClusterSettings(cluster),
  };
}

function decodeClusterSettings(value: unknown): ClusterSettings {
  const { clusterCidr, serviceCidr, clusterDns, clusterDomain, servers } = recordOf(value);
  return {
    clusterCidr: textOf(clusterCidr, 'clusterCidr'),
    serviceCidr: textOf(serviceCidr, 'serviceCidr'),
    clusterDns: textOf(clusterDns, 'clusterDns'),
    clusterDomain: textOf(clusterDomain, 'clusterDomain'),
    servers: Array.isArray(servers) ? servers.map((url) => textOf(url, 'servers')) : [],
  };
}

export function decodeJoinRefusal(value: unknown): JoinRefusal {
  const { error, message } = recordOf(value);
  const code = CODES.find((known) => known === error);
  return { error: code ?? 'Internal', message: textOf(message, 'message') };
}

const CODES: readonly JoinErrorCode[] = [
  'BadRequest',
  'BadToken',
  'ExpiredToken',
  'ClockSkew',
  'NameTaken',
  'OtherProtocol',
  'Internal',
];

function recordOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error('expected a JSON object');
  return { ...value };
}

function textOf(value: unknown, field: string): string {
  if (typeof value !== 'string' || value === '') throw new Error(`${field} is missing`);
  return value;
}
