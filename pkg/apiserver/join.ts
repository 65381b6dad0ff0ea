/**
 * The server's side of joining: the CA for everybody, a node certificate for who holds a token, and a new one for
 * a node that holds its old one. A node's name belongs to the host that first took it (its node password).
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { dnsSubdomain } from '../api/names.ts';
import type { Logger } from '../log/log.ts';
import type { Authority } from '../pki/certificate.ts';
import { parseCsr, type SigningRequest } from '../pki/csr.ts';
import {
  CA_PATH,
  type ClusterSettings,
  decodeJoinRequest,
  JOIN_PATH,
  JOIN_PROTOCOL_VERSION,
  type JoinAnswer,
  type JoinErrorCode,
  type JoinRequest,
  MAX_CLOCK_SKEW_MS,
  MAX_JOIN_BYTES,
} from '../pki/join-protocol.ts';
import { issueLeaf } from '../pki/key-pair.ts';
import { parseSecret, secretsEqual, type TokenSecret } from '../pki/token.ts';
import { checkBootstrapToken } from './auth/bootstrap-tokens.ts';
import type { ExtraHandler, Registry } from './contract.ts';
import { claimNodeName } from './node-password.ts';
import { NODE_USER_PREFIX, NODES_GROUP } from './nodes.ts';
import { peerUser } from './peer-user.ts';

export interface JoinOptions {
  readonly registry: Registry;
  readonly ca: Authority;
  /** Bare secrets by user of the token. Read at each join. */
  readonly passwords: () => Readonly<Record<string, string>>;
  /** Read at each join, as the servers' addresses may change. */
  readonly cluster: () => ClusterSettings;
  readonly log: Logger;
  readonly now: () => number;
}

class Refusal extends Error {
  readonly code: JoinErrorCode;
  readonly status: number;
  constructor(code: JoinErrorCode, message: string) {
    super(message);
    this.code = code;
    this.status = STATUS[code];
  }
}

const STATUS: Readonly<Record<JoinErrorCode, number>> = {
  BadRequest: 400,
  BadToken: 401,
  ExpiredToken: 401,
  ClockSkew: 400,
  NameTaken: 409,
  OtherProtocol: 400,
  Internal: 500,
};

/** The endpoints; they need no authentication but their own. */
export function createJoinHandlers(options: JoinOptions): readonly ExtraHandler[] {
  return [
    {
      prefix: CA_PATH,
      handle(_request, response) {
        response.writeHead(200, { 'content-type': 'application/x-pem-file' });
        response.end(options.ca.certificate);
      },
    },
    { prefix: JOIN_PATH, handle: (request, response) => void serve(options, request, response) },
  ];
}

async function serve(
  options: JoinOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    if (request.method !== 'POST') throw new Refusal('BadRequest', 'Joining is a POST');
    send(response, 200, await join(options, request));
  } catch (error) {
    const isOwn = error instanceof Refusal;
    const message = error instanceof Error ? error.message : String(error);
    options.log.warn('Refused node', { error: message, from: request.socket.remoteAddress });
    const shown = isOwn ? message : 'The server could not handle the join; its log says why';
    send(response, isOwn ? error.status : 500, {
      error: isOwn ? error.code : 'Internal',
      message: shown,
    });
  }
}

async function join(options: JoinOptions, message: IncomingMessage): Promise<JoinAnswer> {
  const { registry, ca, log, now } = options;
  const asked = await readRequest(message);
  if (asked.protocol !== JOIN_PROTOCOL_VERSION) {
    throw new Refusal(
      'OtherProtocol',
      `The server speaks join protocol ${JOIN_PROTOCOL_VERSION} and the node ${asked.protocol}; run the same version of mini on both`,
    );
  }
  const proof = authenticate(options, message, asked.nodeName);
  checkClock(asked, now());
  const publicKey = await checkedKey(asked);
  const owner = await claimNodeName(registry, {
    ...asked,
    now: now(),
    isProven: proof === 'certificate',
  });
  if (owner === 'other') {
    throw new Refusal(
      'NameTaken',
      `The node name "${asked.nodeName}" is taken by another host. Give this host another name with --node-name, or remove the old node first: kubectl delete node ${asked.nodeName}`,
    );
  }
  const certificate = await issueLeaf(ca, {
    subject: subjectOf(asked.nodeName),
    publicKey,
    usages: ['client'],
    now: now(),
  });
  log.info('Issued node certificate', { node: asked.nodeName });
  return { certificate, ca: ca.certificate, cluster: options.cluster() };
}

/** A token in the Authorization header, or the node's own certificate. Throws a Refusal. */
function authenticate(
  options: JoinOptions,
  message: IncomingMessage,
  nodeName: string,
): 'certificate' | 'token' {
  const header = message.headers.authorization;
  if (header === undefined) {
    const peer = peerUser(message);
    if (peer?.name === subjectOf(nodeName).commonName && peer.groups.includes(NODES_GROUP))
      return 'certificate';
    throw new Refusal(
      'BadToken',
      'The request carries neither a token nor the certificate of this node',
    );
  }
  const secret = secretIn(header);
  if (secret.kind === 'password') {
    const expected = options.passwords()[secret.user];
    if (expected !== undefined && secretsEqual(expected, secret.password)) return 'token';
    throw new Refusal('BadToken', 'The server does not know this token');
  }
  const { id, secret: text } = secret;
  const asked = { id, secret: text, use: 'signing' as const, now: options.now() };
  const result = checkBootstrapToken(options.registry, asked);
  if (result.kind === 'valid') return 'token';
  if (result.kind === 'expired') {
    throw new Refusal(
      'ExpiredToken',
      `The token ${id} has expired; create another with mini token create`,
    );
  }
  if (result.kind === 'unused')
    throw new Refusal('BadToken', `The token ${id} is not meant for joining nodes`);
  throw new Refusal('BadToken', 'The server does not know this token');
}

function secretIn(header: string): TokenSecret {
  const [, scheme = '', value = ''] = /^(\w+) +(\S+)$/.exec(header) ?? [];
  try {
    if (scheme.toLowerCase() === 'bearer') return parseSecret(value);
    if (scheme.toLowerCase() === 'basic')
      return parseSecret(Buffer.from(value, 'base64').toString());
  } catch (cause) {
    throw new Refusal('BadToken', cause instanceof Error ? cause.message : String(cause));
  }
  throw new Refusal('BadToken', 'The Authorization header is neither Basic nor Bearer');
}

function checkClock({ clock }: JoinRequest, now: number): void {
  if (Math.abs(clock - now) <= MAX_CLOCK_SKEW_MS) return;
  const show = (ms: number) => (Number.isFinite(ms) ? new Date(ms).toISOString() : 'unknown');
  throw new Refusal(
    'ClockSkew',
    `The clocks differ by more than ${MAX_CLOCK_SKEW_MS / 60_000} minutes: the server has ${show(now)}, the node ${show(clock)}. Set the wrong one`,
  );
}

/** The key of the signing request, which must be for this node and nothing else. */
async function checkedKey({ nodeName, csr }: JoinRequest): Promise<Buffer> {
  const [problem] = dnsSubdomain(nodeName);
  if (problem)
    throw new Refusal('BadRequest', `The node name "${nodeName}" is not valid: ${problem}`);
  let request: SigningRequest;
  try {
    request = await parseCsr(csr);
  } catch (cause) {
    throw new Refusal('BadRequest', cause instanceof Error ? cause.message : String(cause));
  }
  const wanted = subjectOf(nodeName);
  const { commonName, organizations } = request.subject;
  if (commonName !== wanted.commonName || organizations.join() !== NODES_GROUP) {
    throw new Refusal('BadRequest', `The signing request is not for ${wanted.commonName}`);
  }
  return request.publicKey;
}

function subjectOf(nodeName: string) {
  return { commonName: `${NODE_USER_PREFIX}${nodeName}`, organizations: [NODES_GROUP] };
}

async function readRequest(message: IncomingMessage): Promise<JoinRequest> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MAX_JOIN_BYTES)
      throw new Refusal('BadRequest', `The request is over ${MAX_JOIN_BYTES} bytes`);
    chunks.push(bytes);
  }
  try {
    return decodeJoinRequest(JSON.parse(Buffer.concat(chunks).toString()));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Refusal('BadRequest', `The request cannot be read: ${why}`);
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
