/** A pod's resolv.conf: by dnsPolicy, then dnsConfig, within the limits of the kubelet. */

import type { Pod } from '../../api/generated/types.ts';

export interface DnsFacts {
  /** Cluster DNS addresses; none = pods use the host's resolver. */
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** Path of the host's resolver file; empty = pods get none of it. */
  readonly hostResolver: string;
}

/** What the C libraries of images can be expected to read. */
const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARS = 2048;

interface Resolver {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

/** By dnsPolicy, then dnsConfig; see Kubernetes' "DNS for Services and Pods". */
export function resolvConf(
  pod: Pod,
  dns: DnsFacts,
  { hostFile, warn }: { readonly hostFile: string; warn(message: string): void },
): string {
  const host = parseResolvConf(hostFile);
  const base = baseResolver(pod, dns, host);
  const extra = pod.spec.dnsConfig;
  const options = (extra?.options ?? []).map(({ name = '', value }) =>
    value ? `${name}:${value}` : name,
  );
  const optionName = (option: string) => option.split(':')[0];
  const kept = base.options.filter(
    (old) => !options.some((option) => optionName(option) === optionName(old)),
  );
  const nameservers = fewer([...base.nameservers, ...(extra?.nameservers ?? [])], (line) =>
    warn(
      `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${line}`,
    ),
  );
  const searches = shorter([...base.searches, ...(extra?.searches ?? [])], (line) =>
    warn(
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${line}`,
    ),
  );
  const all = [...kept, ...options];
  const lines = [
    ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
    ...nameservers.map((address) => `nameserver ${address}`),
    ...(all.length > 0 ? [`options ${all.join(' ')}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function fewer(all: readonly string[], tell: (line: string) => void): readonly string[] {
  const unique = [...new Set(all)];
  const kept = unique.slice(0, MAX_NAMESERVERS);
  if (kept.length < unique.length) tell(kept.join(' '));
  return kept;
}

function shorter(all: readonly string[], tell: (line: string) => void): readonly string[] {
  const unique = [...new Set(all)];
  const kept = unique.slice(0, MAX_SEARCHES);
  while (kept.join(' ').length > MAX_SEARCH_CHARS) kept.pop();
  if (kept.length < unique.length) tell(kept.join(' '));
  return kept;
}

function baseResolver(pod: Pod, { clusterDns, clusterDomain }: DnsFacts, host: Resolver): Resolver {
  const policy = pod.spec.dnsPolicy ?? 'ClusterFirst';
  if (policy === 'None') return { nameservers: [], searches: [], options: [] };
  const isCluster =
    policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !pod.spec.hostNetwork);
  if (!isCluster || clusterDns.length === 0) return host;
  const service = `svc.${clusterDomain}`;
  const searches = [
    `${pod.metadata.namespace}.${service}`,
    service,
    clusterDomain,
    ...host.searches,
  ];
  return { nameservers: clusterDns, searches, options: ['ndots:5'] };
}

function parseResolvConf(text: string): Resolver {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const of = (keyword: string) =>
    lines.filter(([first]) => first === keyword).map((line) => line.slice(1));
  return {
    nameservers: of('nameserver').flatMap((line) => line.slice(0, 1)),
    searches: of('search').at(-1) ?? [],
    options: of('options').flat(),
  };
}
