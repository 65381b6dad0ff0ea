/** What objects take of a ResourceQuota. Pure; used by admission, and by whoever recounts a quota's status. */

import type {
  Container,
  PersistentVolumeClaim,
  Pod,
  ResourceQuota,
  ScopedResourceSelectorRequirement,
  Service,
} from '../../api/generated/types.ts';
import type { ApiObject } from '../../api/meta.ts';
import { addQuantities, compareQuantities } from '../../api/quantity.ts';

export type Amounts = Readonly<Record<string, string>>;

/** Core resources that a quota may count by their bare plural. */
const COUNTED: ReadonlySet<string> = new Set([
  'pods',
  'services',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'replicationcontrollers',
  'resourcequotas',
]);

/** What one object takes, by the names that quotas use. `resource` is `plural` or `plural.group`. */
export function usageOf(resource: string, object: ApiObject): Amounts {
  const count = { [`count/${resource}`]: '1' };
  if (resource === 'pods') return { ...count, ...podUsage(object as Pod) };
  const counted = COUNTED.has(resource) ? { ...count, [resource]: '1' } : count;
  if (resource === 'services') return { ...counted, ...serviceUsage(object as Service) };
  if (resource === 'persistentvolumeclaims')
    return { ...counted, ...claimUsage(object as PersistentVolumeClaim) };
  return counted;
}

/** The sum of amounts, name by name. */
export function sum(all: readonly Amounts[]): Amounts {
  const total: Record<string, string> = {};
  for (const amounts of all) {
    for (const [name, amount] of Object.entries(amounts)) {
      const present = total[name];
      total[name] = present === undefined ? amount : addQuantities(present, amount);
    }
  }
  return total;
}

/** Whether a quota's scopes choose this object; only pods have scopes. */
export function isInScope(
  quota: ResourceQuota,
  { resource, object }: { readonly resource: string; readonly object: ApiObject },
): boolean {
  const { scopes = [], scopeSelector } = quota.spec;
  const wanted: readonly ScopedResourceSelectorRequirement[] = [
    ...scopes.map((scopeName) => ({ scopeName, operator: 'Exists' })),
    ...(scopeSelector?.matchExpressions ?? []),
  ];
  if (wanted.length === 0) return true;
  return resource === 'pods' && wanted.every((one) => matches(one, object as Pod));
}

/** The plural that a name of a quota is counted from: `requests.cpu` from pods; undefined for a foreign name. */
export function sourceOf(name: string): string | undefined {
  if (name.startsWith('count/')) return name.slice('count/'.length);
  if (COUNTED.has(name)) return name;
  if (name.startsWith('services.')) return 'services';
  if (name === 'requests.storage' || name.includes('.storageclass.storage.k8s.io/'))
    return 'persistentvolumeclaims';
  if (/^(requests|limits)\./.test(name)) return 'pods';
  return ['cpu', 'memory', 'ephemeral-storage'].includes(name) || name.startsWith('hugepages-')
    ? 'pods'
    : undefined;
}

/** Names of CPU and memory that a quota limits and a container does not state. */
export function unstated(quota: ResourceQuota, pod: Pod): readonly string[] {
  const names = Object.keys(quota.spec.hard ?? {}).filter((name) =>
    /^((requests|limits)\.)?(cpu|memory)$/.test(name),
  );
  const all = [...(pod.spec.containers ?? []), ...(pod.spec.initContainers ?? [])];
  return names.flatMap((name) => {
    const [kind, key] = name.includes('.') ? name.split('.') : ['requests', name];
    const lacking = all.filter(({ resources }) => {
      const amounts = kind === 'limits' ? resources?.limits : resources?.requests;
      return amounts?.[key ?? ''] === undefined;
    });
    return lacking.length > 0
      ? [`${name} for: ${lacking.map((container) => container.name).join(',')}`]
      : [];
  });
}

function podUsage(pod: Pod): Amounts {
  // A pod that has ended holds no resources any more.
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return {};
  const requests = effective(pod, 'requests');
  const limits = effective(pod, 'limits');
  const plain = Object.fromEntries(
    Object.entries(requests).filter(([name]) => sourceOf(name) === 'pods'),
  );
  return { pods: '1', ...plain, ...prefixed('requests', requests), ...prefixed('limits', limits) };
}

/** The sum over the containers, or one init container's if larger; sidecars count with the containers; plus overhead. */
function effective({ spec }: Pod, kind: 'requests' | 'limits'): Amounts {
  const of = ({ resources }: Container): Amounts => resources?.[kind] ?? {};
  const inits = spec.initContainers ?? [];
  const sidecars = inits.filter(({ restartPolicy }) => restartPolicy === 'Always');
  const running = sum([...(spec.containers ?? []), ...sidecars].map(of));
  const largest = { ...running };
  for (const init of inits) {
    for (const [name, amount] of Object.entries(of(init))) {
      const present = largest[name];
      if (present === undefined || compareQuantities(amount, present) > 0) largest[name] = amount;
    }
  }
  return spec.overhead ? sum([largest, spec.overhead]) : largest;
}

function prefixed(prefix: string, amounts: Amounts): Amounts {
  return Object.fromEntries(
    Object.entries(amounts).map(([name, amount]) => [`${prefix}.${name}`, amount]),
  );
}

function serviceUsage({ spec }: Service): Amounts {
  const ports = spec.ports?.length ?? 0;
  const hasNodePorts =
    spec.type === 'NodePort' ||
    (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
  return {
    ...(hasNodePorts ? { 'services.nodeports': String(ports) } : {}),
    ...(spec.type === 'LoadBalancer' ? { 'services.loadbalancers': '1' } : {}),
  };
}

function claimUsage({ spec }: PersistentVolumeClaim): Amounts {
  const storage = spec?.resources?.requests?.['storage'] ?? '0';
  const byClass = spec?.storageClassName
    ? `${spec.storageClassName}.storageclass.storage.k8s.io/`
    : undefined;
  return {
    'requests.storage': storage,
    ...(byClass
      ? { [`${byClass}requests.storage`]: storage, [`${byClass}persistentvolumeclaims`]: '1' }
      : {}),
  };
}

function matches(
  { scopeName, operator, values }: ScopedResourceSelectorRequirement,
  pod: Pod,
): boolean {
  const { spec } = pod;
  if (scopeName === 'PriorityClass')
    return matchesValue(operator, { value: spec.priorityClassName, values });
  if (scopeName === 'Terminating') return spec.activeDeadlineSeconds !== undefined;
  if (scopeName === 'NotTerminating') return spec.activeDeadlineSeconds === undefined;
  if (scopeName === 'BestEffort') return isBestEffort(pod);
  if (scopeName === 'NotBestEffort') return !isBestEffort(pod);
  return scopeName === 'CrossNamespacePodAffinity' && hasForeignAffinity(pod);
}

interface Value {
  readonly value: string | undefined;
  readonly values: readonly string[] | undefined;
}

function matchesValue(operator: string, { value, values = [] }: Value): boolean {
  if (operator === 'Exists') return Boolean(value);
  if (operator === 'DoesNotExist') return !value;
  const isListed = value !== undefined && values.includes(value);
  return operator === 'In' ? isListed : !isListed;
}

function isBestEffort({ spec }: Pod): boolean {
  return [...(spec.containers ?? []), ...(spec.initContainers ?? [])].every(({ resources }) => {
    const stated = { ...resources?.requests, ...resources?.limits };
    return stated['cpu'] === undefined && stated['memory'] === undefined;
  });
}

function hasForeignAffinity({ spec }: Pod): boolean {
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {};
  const terms = [podAffinity, podAntiAffinity].flatMap((each) => [
    ...(each?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(each?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      ({ podAffinityTerm }) => podAffinityTerm,
    ),
  ]);
  return terms.some(
    ({ namespaces, namespaceSelector }) =>
      Boolean(namespaces?.length) || namespaceSelector !== undefined,
  );
}
