/** What the flags of `mini server` come to, with what they must be together. */

import { parseRange } from '../pkg/apiserver/admission/address-range.ts';
import { type Flags, UsageError, UserError } from './command.ts';
import { defaultNodeIp, defaultNodeName } from './node-defaults.ts';

/** The tenth service address answers DNS, as in k3s. */
const DNS_ADDRESS = 10;
/** A node gets a block of 256 pod addresses. */
const NODE_BITS = 24;
const ANY = ['0.0.0.0', '::'];

export interface Settings {
  readonly dataDir: string;
  readonly runDir: string;
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly clusterDns: string;
  /** Names and addresses of the server certificate. */
  readonly certificateNames: readonly string[];
  /** For clients on this host. */
  readonly url: string;
}

/** Throws when the flags contradict each other. */
export function readSettings(flags: Flags): Settings {
  if (process.getuid?.() !== 0 && !flags.isSet('disable-agent')) {
    throw new UserError(
      'mini server runs containers and must be started as root; --disable-agent runs the control plane alone',
    );
  }
  const host = flags.text('bind-address');
  const port = flags.number('https-listen-port');
  const serviceCidr = flags.text('service-cidr');
  const nodeName = flags.optional('node-name') ?? defaultNodeName();
  const nodeIps = flags.list('node-ip').length > 0 ? flags.list('node-ip') : [defaultNodeIp()];
  const names = [nodeName, ...nodeIps, parseRange(serviceCidr).at(1), ...flags.list('tls-san')];
  return {
    dataDir: flags.text('data-dir'),
    runDir: flags.text('run-dir'),
    nodeName,
    nodeIps,
    host,
    port,
    serviceCidr,
    ...readNetwork(flags),
    certificateNames: ANY.includes(host) ? names : [...names, host],
    url: `https://${localHost(host)}:${port}`,
  };
}

function readNetwork(flags: Flags): { clusterCidr: string; clusterDns: string } {
  const clusterCidr = flags.text('cluster-cidr');
  const serviceCidr = flags.text('service-cidr');
  if (bitsOf(clusterCidr) > NODE_BITS)
    throw new UsageError(
      `--cluster-cidr ${clusterCidr}: a node takes 256 addresses, so it must be a /${NODE_BITS} or larger`,
    );
  if (parseRange(serviceCidr).size < DNS_ADDRESS)
    throw new UsageError(`--service-cidr ${serviceCidr}: it has too few addresses`);
  if (overlap(clusterCidr, serviceCidr))
    throw new UsageError(
      `--cluster-cidr ${clusterCidr} and --service-cidr ${serviceCidr} overlap: pods and services need addresses of their own`,
    );
  const clusterDns = flags.optional('cluster-dns') ?? parseRange(serviceCidr).at(DNS_ADDRESS);
  if (!parseRange(serviceCidr).contains(clusterDns))
    throw new UsageError(`--cluster-dns ${clusterDns} is not in --service-cidr ${serviceCidr}`);
  return { clusterCidr, clusterDns };
}

/** Whether two blocks share addresses. */
export function overlap(a: string, b: string): boolean {
  return parseRange(a).contains(baseOf(b)) || parseRange(b).contains(baseOf(a));
}

function baseOf(cidr: string): string {
  return cidr.split('/')[0] ?? '';
}

function bitsOf(cidr: string): number {
  return Number(cidr.split('/')[1]);
}

function localHost(host: string): string {
  if (ANY.includes(host)) return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
