/** Discovery documents: aggregated (apidiscovery.k8s.io/v2) and the plain ones, made from the resource rows. Pure. */

import { ALL_VERBS, type Resource } from '../api/resource.ts';
import { subresourceVerbs } from './subresource-verbs.ts';

/** Groups in the order that decides which one wins a kind without a group: as kube-apiserver's priorities. */
const GROUP_ORDER = [
  '',
  'apiregistration.k8s.io',
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'node.k8s.io',
  'discovery.k8s.io',
  'metrics.k8s.io',
];

export interface GroupVersions {
  readonly group: string;
  readonly versions: readonly { readonly version: string; readonly rows: readonly Resource[] }[];
}

/** The rows by group and version, newest stable version first. */
export function groupsOf(rows: readonly Resource[]): readonly GroupVersions[] {
  const groups = new Map<string, Map<string, Resource[]>>();
  for (const row of rows) {
    const [group, version] = row.gvk;
    const versions = groups.get(group) ?? new Map<string, Resource[]>();
    groups.set(group, versions);
    versions.set(version, [...(versions.get(version) ?? []), row]);
  }
  return [...groups]
    .map(([group, versions]) => ({
      group,
      versions: [...versions]
        .map(([version, list]) => ({ version, rows: list.toSorted(byPlural) }))
        .toSorted((a, b) => rank(b.version) - rank(a.version)),
    }))
    .toSorted((a, b) => orderOf(a.group) - orderOf(b.group) || (a.group < b.group ? -1 : 1));
}

function byPlural(a: Resource, b: Resource): number {
  return a.names.plural < b.names.plural ? -1 : 1;
}

function orderOf(group: string): number {
  const index = GROUP_ORDER.indexOf(group);
  return index < 0 ? GROUP_ORDER.length : index;
}

/** v2 > v1 > v2beta1 > v1alpha1. */
function rank(version: string): number {
  const [, major = '0', stage, minor = '0'] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? [];
  const weight = stage === undefined ? 2_000_000 : stage === 'beta' ? 1_000_000 : 0;
  return weight + Number(major) * 1000 + Number(minor);
}

/** The aggregated document: of the core group (`/api`) or of all others (`/apis`). */
export function aggregated(groups: readonly GroupVersions[], version: 'v2' | 'v2beta1'): object {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map(({ group, versions }) => ({
      metadata: { ...(group ? { name: group } : {}), creationTimestamp: null },
      versions: versions.map((each) => ({
        version: each.version,
        resources: each.rows.map(discoveryOf),
        freshness: 'Current',
      })),
    })),
  };
}

function discoveryOf(row: Resource): object {
  const { names, namespaced, subresources = [] } = row;
  const subs = subresources.map((name) => ({
    subresource: name,
    responseKind: responseKindOf(row, name),
    verbs: subresourceVerbs(name),
  }));
  return {
    resource: names.plural,
    responseKind: kindOf(row),
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: names.singular,
    verbs: row.verbs ?? ALL_VERBS,
    ...(names.short ? { shortNames: names.short } : {}),
    ...(names.categories ? { categories: names.categories } : {}),
    ...(subs.length > 0 ? { subresources: subs } : {}),
  };
}

function kindOf({ gvk: [group, version, kind] }: Pick<Resource, 'gvk'>) {
  return { group, version, kind };
}

const RESPONSE_KINDS: Readonly<Record<string, readonly [string, string, string]>> = {
  scale: ['autoscaling', 'v1', 'Scale'],
  eviction: ['policy', 'v1', 'Eviction'],
  binding: ['', 'v1', 'Binding'],
  token: ['authentication.k8s.io', 'v1', 'TokenRequest'],
  exec: ['', 'v1', 'PodExecOptions'],
  attach: ['', 'v1', 'PodAttachOptions'],
  portforward: ['', 'v1', 'PodPortForwardOptions'],
};

function responseKindOf(row: Resource, subresource: string) {
  if (subresource === 'proxy') {
    return { group: '', version: 'v1', kind: `${row.gvk[2]}ProxyOptions` };
  }
  return kindOf({ gvk: RESPONSE_KINDS[subresource] ?? row.gvk });
}

/** The plain document of one group version: `/api/v1`, `/apis/G/V`. */
export function resourceList(groupVersion: string, rows: readonly Resource[]): object {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: rows.flatMap((row) => [plainOf(row), ...subresourcesOf(row)]),
  };
}

function plainOf(row: Resource): object {
  const { names, namespaced } = row;
  return {
    name: names.plural,
    singularName: names.singular,
    namespaced,
    kind: row.gvk[2],
    verbs: row.verbs ?? ALL_VERBS,
    ...(names.short ? { shortNames: names.short } : {}),
    ...(names.categories ? { categories: names.categories } : {}),
  };
}

function subresourcesOf(row: Resource): readonly object[] {
  const { names, namespaced, subresources = [] } = row;
  return subresources.map((name) => {
    const { group, version, kind } = responseKindOf(row, name);
    const isOwn = group === row.gvk[0] && version === row.gvk[1];
    return {
      name: `${names.plural}/${name}`,
      singularName: '',
      namespaced,
      ...(isOwn ? {} : { group, version }),
      kind,
      verbs: subresourceVerbs(name),
    };
  });
}

/** The plain document of all groups but the core: `/apis`. */
export function groupList(groups: readonly GroupVersions[]): object {
  const named = groups.filter(({ group }) => group !== '');
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: named.map(groupBody) };
}

/** The plain document of one group: `/apis/G`. */
export function groupOf(group: GroupVersions): object {
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupBody(group) };
}

function groupBody({ group, versions }: GroupVersions) {
  const all = versions.map(({ version }) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: all, preferredVersion: all[0] };
}

/** The plain document of the core group: `/api`. */
export function coreVersions(host: string): object {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: host }],
  };
}
