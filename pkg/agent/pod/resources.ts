/** Kubernetes resource amounts as the kernel understands them: of containers, of pods as a whole. */

import type { Container, Pod } from '../../api/generated/types.ts';
import { amountOf, podAmount } from '../../api/pod-resources.ts';
import { qosClass } from '../../api/resources/pod-qos.ts';
import type { Resources } from '../../engine/engine.ts';
import { hugePageLimits, podHugePageLimits } from './huge-pages.ts';
import { initContainers, isSidecar, mainContainers } from './records.ts';

const CPU_PERIOD_US = 100_000;
/** The kernel refuses a smaller quota. */
const MIN_QUOTA_US = 1000;
const MIN_SHARES = 2;
const MAX_SHARES = 262_144;
const SHARES_PER_CORE = 1024;

/** Limits of one container; a pod-level limit counts where it has none of its own. Source: kubelet. */
export function containerResources(pod: Pod, container: Container): Resources {
  const { requests = {}, limits = {} } = container.resources ?? {};
  const whole = pod.spec.resources?.limits ?? {};
  const cpuLimit = amountOf('cpu', limits['cpu'] ?? whole['cpu']);
  const memoryLimit = amountOf('memory', limits['memory'] ?? whole['memory']);
  const hugePages = hugePageLimits(container);
  const cpuRequest = amountOf('cpu', requests['cpu']);
  return {
    cpuShares: toShares(requests['cpu'] === undefined ? cpuLimit : cpuRequest),
    ...quotaOf(cpuLimit),
    ...(memoryLimit > 0 ? { memoryLimitBytes: memoryLimit } : {}),
    maySwap: false,
    ...(hugePages === undefined ? {} : { hugePages }),
  };
}

/** Limits of a pod's own cgroup, the parent of its containers': limits only where they bound every container. */
export function podResources(pod: Pod, pidsLimit: number | undefined): Resources {
  const isBestEffort = qosClass(pod.spec) === 'BestEffort';
  const memoryLimit = podAmount(pod, 'limits', 'memory');
  const hugePages = podHugePageLimits(pod);
  return {
    cpuShares: isBestEffort ? MIN_SHARES : toShares(podAmount(pod, 'requests', 'cpu')),
    ...(isBounded(pod, 'cpu') ? quotaOf(podAmount(pod, 'limits', 'cpu')) : {}),
    ...(isBounded(pod, 'memory') && memoryLimit > 0 ? { memoryLimitBytes: memoryLimit } : {}),
    ...(pidsLimit === undefined ? {} : { pidsLimit }),
    ...(hugePages === undefined ? {} : { hugePages }),
  };
}

function isBounded(pod: Pod, name: string): boolean {
  const isLimited = (limits: Readonly<Record<string, string>> = {}) =>
    amountOf(name, limits[name]) > 0;
  return (
    isLimited(pod.spec.resources?.limits) ||
    ownContainers(pod).every(({ resources }) => isLimited(resources?.limits))
  );
}

/** Without those that were added for debugging, which have no resources. */
function ownContainers(pod: Pod): readonly Container[] {
  return [...initContainers(pod), ...mainContainers(pod)];
}

function quotaOf(cpuLimitMilli: number): Pick<Resources, 'cpuQuotaUs' | 'cpuPeriodUs'> {
  if (cpuLimitMilli === 0) return {};
  const quota = Math.floor((cpuLimitMilli * CPU_PERIOD_US) / 1000);
  return { cpuQuotaUs: Math.max(quota, MIN_QUOTA_US), cpuPeriodUs: CPU_PERIOD_US };
}

/** CPU shares of a request in thousandths of a core, within what the kernel takes. */
export function toShares(milli: number): number {
  const shares = Math.floor((milli * SHARES_PER_CORE) / 1000);
  return Math.min(Math.max(shares, MIN_SHARES), MAX_SHARES);
}

const OOM_GUARANTEED = -997;
const OOM_BEST_EFFORT = 1000;

/** The less of what it asked for a container uses, the later the kernel chooses it. Source: kubelet qos policy. */
export function oomScoreAdj(pod: Pod, container: Container, memoryCapacityBytes: number): number {
  const qos = qosClass(pod.spec);
  if (pod.spec.priorityClassName === 'system-node-critical' || qos === 'Guaranteed')
    return OOM_GUARANTEED;
  if (qos === 'BestEffort') return OOM_BEST_EFFORT;
  const score = (one: Container) =>
    1000 - Math.floor((1000 * (memoryRequest(one) + unassignedMemory(pod))) / memoryCapacityBytes);
  // A sidecar is not to go before the containers that it serves.
  const peers = isSidecar(container) ? mainContainers(pod) : [];
  const adjust = Math.min(score(container), ...peers.map(score));
  return Math.min(Math.max(adjust, 1000 + OOM_GUARANTEED), OOM_BEST_EFFORT - 1);
}

function memoryRequest({ resources }: Container): number {
  return amountOf('memory', resources?.requests?.['memory'] ?? resources?.limits?.['memory']);
}

/** What the pod asks for beyond its containers, in equal parts. */
function unassignedMemory(pod: Pod): number {
  const own = pod.spec.resources?.requests?.['memory'];
  if (own === undefined) return 0;
  const all = ownContainers(pod).filter(
    (container) => mainContainers(pod).includes(container) || isSidecar(container),
  );
  const assigned = all.reduce((sum, container) => sum + memoryRequest(container), 0);
  return Math.max(0, Math.floor((amountOf('memory', own) - assigned) / all.length));
}

/** The cgroup below which the pod's containers are put: `<root>[/<qos>]/pod<uid>`. */
export function cgroupParent(root: string, pod: Pod): string {
  const qos = qosClass(pod.spec);
  const folder = qos === 'Guaranteed' ? '' : `/${qos.toLowerCase()}`;
  return `${root}${folder}/pod${pod.metadata.uid}`;
}
