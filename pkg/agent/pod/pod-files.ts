/** The files that a pod's containers find in /etc: hosts, hostname and resolv.conf. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import { type DnsFacts, resolvConf } from './resolv-conf.ts';

/** What Kubernetes leaves of a name, and what the kernel can hold. */
const MAX_SHORT = 63;
const MAX_HOSTNAME = 64;

/** What the kernel of the pod is told. Throws when that is too long for it. */
export function hostnameOf(pod: Pod, clusterDomain: string): string {
  if (pod.spec.hostNetwork) return hostname();
  const full = pod.spec.setHostnameAsFQDN ? domainName(pod, clusterDomain) : undefined;
  if (full === undefined || full.length <= MAX_HOSTNAME) return full ?? shortName(pod);
  throw new Error(
    `failed to construct FQDN from pod hostname and cluster domain, FQDN ${full} is too long (${MAX_HOSTNAME} characters is the max, ${full.length} characters requested)`,
  );
}

function shortName({ metadata, spec }: Pod): string {
  const name = spec.hostnameOverride ?? (spec.hostname || metadata.name);
  return name.length <= MAX_SHORT ? name : name.slice(0, MAX_SHORT).replace(/[-.]+$/, '');
}

/** With its domain; undefined when it has none. */
function domainName(pod: Pod, clusterDomain: string): string | undefined {
  const { subdomain, hostnameOverride } = pod.spec;
  if (!subdomain || hostnameOverride) return undefined;
  return `${shortName(pod)}.${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}`;
}

/** Writes the files into `directory`; returns them by their path in the container. */
export async function writePodFiles(
  directory: string,
  {
    pod,
    podIps,
    dns,
    warn,
  }: {
    readonly pod: Pod;
    readonly podIps: readonly string[];
    readonly dns: DnsFacts;
    /** Told when a limit of resolv.conf is exceeded. */
    warn(message: string): void;
  },
): Promise<ReadonlyMap<string, string>> {
  const isNew = (await mkdir(directory, { recursive: true })) !== undefined;
  const host = {
    hosts: pod.spec.hostNetwork ? await readHost('/etc/hosts') : '',
    resolv: dns.hostResolver === '' ? '' : await readHost(dns.hostResolver),
  };
  const files = {
    hosts: hostsFile({ pod, podIps, domain: dns.clusterDomain, hostHosts: host.hosts }),
    hostname: `${hostnameOf(pod, dns.clusterDomain)}\n`,
    'resolv.conf': resolvConf(pod, dns, { hostFile: host.resolv, warn }),
  };
  const mounts = new Map<string, string>();
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, `etc-${name}`);
    const old = isNew ? undefined : await readFile(path, 'utf8').catch(() => undefined);
    if (old !== text) await writeFile(path, text, { mode: 0o644 });
    mounts.set(`/etc/${name}`, path);
  }
  return mounts;
}

function readHost(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

interface HostsFacts {
  readonly pod: Pod;
  readonly podIps: readonly string[];
  readonly domain: string;
  /** The host's own file, for a pod on the host's network. */
  readonly hostHosts: string;
}

const LOCAL_HOSTS = [
  '# Kubernetes-managed hosts file.',
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::0\tip6-localnet',
  'fe00::0\tip6-mcastprefix',
  'fe00::1\tip6-allnodes',
  'fe00::2\tip6-allrouters',
];

function hostsFile({ pod, podIps, domain, hostHosts }: HostsFacts): string {
  const name = shortName(pod);
  const full = domainName(pod, domain);
  const own = podIps.map((ip) => (full ? `${ip}\t${full}\t${name}` : `${ip}\t${name}`));
  const lines = pod.spec.hostNetwork
    ? ['# Kubernetes-managed hosts file (host network).', hostHosts.trimEnd()]
    : [...LOCAL_HOSTS, ...own];
  const aliases = (pod.spec.hostAliases ?? []).map(({ ip, hostnames = [] }) =>
    [ip, ...hostnames].join('\t'),
  );
  const added = aliases.length > 0 ? ['', '# Entries added by HostAliases.', ...aliases] : [];
  return `${[...lines, ...added].join('\n')}\n`;
}
