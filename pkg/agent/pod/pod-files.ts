/** The files that a pod's containers find in /etc: hosts, hostname and resolv.conf. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import { type DnsFacts, resolvConf } from './resolv-conf.ts';

const MAX_HOSTNAME = 63;

export function hostnameOf(pod: Pod, clusterDomain: string): string {
  if (pod.spec.hostnameOverride) return pod.spec.hostnameOverride;
  const short = (pod.spec.hostname ?? pod.metadata.name)
    .slice(0, MAX_HOSTNAME)
    .replace(/[-.]+$/, '');
  return pod.spec.setHostnameAsFQDN ? (domainName(pod, clusterDomain) ?? short) : short;
}

function domainName({ metadata, spec }: Pod, clusterDomain: string): string | undefined {
  if (!spec.subdomain) return undefined;
  const short = (spec.hostname ?? metadata.name).slice(0, MAX_HOSTNAME);
  return `${short}.${spec.subdomain}.${metadata.namespace}.svc.${clusterDomain}`;
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
  const name = hostnameOf(pod, domain);
  const full = domainName(pod, domain);
  const own = podIps.map((ip) =>
    full && full !== name ? `${ip}\t${full}\t${name}` : `${ip}\t${name}`,
  );
  const lines = pod.spec.hostNetwork
    ? ['# Kubernetes-managed hosts file (host network).', hostHosts.trimEnd()]
    : [...LOCAL_HOSTS, ...own];
  const aliases = (pod.spec.hostAliases ?? []).map(({ ip, hostnames = [] }) =>
    [ip, ...hostnames].join('\t'),
  );
  const added = aliases.length > 0 ? ['', '# Entries added by HostAliases.', ...aliases] : [];
  return `${[...lines, ...added].join('\n')}\n`;
}
