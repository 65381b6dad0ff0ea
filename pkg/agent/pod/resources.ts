/** Kubernetes resource amounts as the kernel understands them, and the pod's quality of service. */

import type { Container, Pod } from '../../api/generated/types.ts';
import { bytes, cpuMilli } from '../../api/quantity.ts';
import type { Resources } from '../../engine/engine.ts';
import { initContainers, mainContainers } from './records.ts';

const CPU_PERIOD_US = 100_000;
/** The kernel refuses a smaller quota. */
const MIN_QUOTA_US = 1000;
const MIN_SHARES = 2;
const MAX_SHARES = 262_144;
const SHARES_PER_CORE = 1024;

export function containerResources(container: Container, pidsLimit: number): Resources {
  const { requests = {}, limits = {} } = container.resources ?? {};
  const cpuRequest = cpuMilli(requests['cpu'] ?? limits['cpu']);
  const cpuLimit = cpuMilli(limits['cpu']);
  const memoryLimit = bytes(limits['memory']);
  const quota = Math.max(Math.floor((cpuLimit * CPU_PERIOD_US) / 1000), MIN_QUOTA_US);
  return {
    cpuShares: toShares(cpuRequest),
    ...(cpuLimit > 0 ? { cpuQuotaUs: quota, cpuPeriodUs: CPU_PERIOD_US } : {}),
    ...(memoryLimit > 0 ? { memoryLimitBytes: memoryLimit } : {}),
    pidsLimit,
  };
}

function toShares(milli: number): number {
  const shares = Math.floor((milli * SHARES_PER_CORE) / 1000);
  return Math.min(Math.max(shares, MIN_SHARES), MAX_SHARES);
}

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const QOS_RESOURCES = ['cpu', 'memory'] as const;

/** Guaranteed = every container limits cpu and memory and asks for just that; BestEffort = none asks for any. */
export function qosClass(pod: Pod): QosClass {
  const containers = [...initContainers(pod), ...mainContainers(pod)];
  const amounts = containers.flatMap(({ resources }) =>
    QOS_RESOURCES.map((name) => ({
      limit: resources?.limits?.[name],
      request: resources?.requests?.[name] ?? resources?.limits?.[name],
    })),
  );
  const isSet = (value: string | undefined) => value !== undefined && bytes(value) > 0;
  if (amounts.every(({ limit, request }) => !isSet(limit) && !isSet(request))) return 'BestEffort';
  const isGuaranteed = amounts.every(({ limit, request }) => isSet(limit) && limit === request);
  return isGuaranteed ? 'Guaranteed' : 'Burstable';
}

const OOM_GUARANTEED = -997;
const OOM_BEST_EFFORT = 1000;

/** The less of what it asked for a container uses, the later the kernel chooses it. Source: kubelet qos policy. */
export function oomScoreAdj(pod: Pod, container: Container, memoryCapacityBytes: number): number {
  const qos = qosClass(pod);
  if (pod.spec.priorityClassName === 'system-node-critical' || qos === 'Guaranteed')
    return OOM_GUARANTEED;
  if (qos === 'BestEffort') return OOM_BEST_EFFORT;
  const request = bytes(
    container.resources?.requests?.['memory'] ?? container.resources?.limits?.['memory'],
  );
  const adjust = Math.floor(1000 - (1000 * request) / memoryCapacityBytes);
  return Math.min(Math.max(adjust, 1000 + OOM_GUARANTEED), 999);
}

/** The cgroup below which the pod's containers are put: `<root>[/<qos>]/pod<uid>`. */
export function cgroupParent(root: string, pod: Pod): string {
  const qos = qosClass(pod);
  const folder = qos === 'Guaranteed' ? '' : `/${qos.toLowerCase()}`;
  return `${root}${folder}/pod${pod.metadata.uid}`;
}
