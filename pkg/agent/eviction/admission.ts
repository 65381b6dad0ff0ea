/** Which pods a node under pressure still takes. Source: kubelet eviction manager's Admit. Pure. */

import type { Pod, PodCondition, PodStatus, Toleration } from '../../api/generated/types.ts';
import { qosClass } from '../../api/resources/pod-qos.ts';
import type { NodeContext } from '../node-context.ts';
import { refusedFor } from '../pod/refused.ts';
import type { Eviction } from './manager.ts';
import { isCritical } from './rank.ts';
import { conditionNames, type Pressure } from './thresholds.ts';

const MEMORY_TAINT = 'node.kubernetes.io/memory-pressure';

/** Why a new pod is not taken; undefined when it is. */
export function refusalUnderPressure(
  pod: Pod,
  pressure: Pressure,
): { readonly reason: 'Evicted'; readonly message: string } | undefined {
  const names = conditionNames(pressure);
  if (names.length === 0 || isCritical(pod)) return undefined;
  const isMemoryAlone = pressure.memory && names.length === 1;
  const isBestEffort = qosClass(pod.spec) === 'BestEffort';
  if (isMemoryAlone && (!isBestEffort || toleratesMemory(pod))) return undefined;
  return { reason: 'Evicted', message: `The node had condition: [${names.join(' ')}]. ` };
}

function toleratesMemory({ spec }: Pod): boolean {
  return (spec.tolerations ?? []).some(
    ({ key, operator = 'Equal', value = '', effect }: Toleration) =>
      (key === MEMORY_TAINT || (!key && operator === 'Exists')) &&
      (operator === 'Exists' || value === '') &&
      (!effect || effect === 'NoSchedule'),
  );
}

/** Why the node does not take a pod that it has not begun with; undefined when it does. */
export function refusalOf(context: NodeContext, pod: Pod): Eviction | undefined {
  if (pod.status?.startTime) {
    context.admission.take(pod);
    return undefined;
  }
  const refusal =
    refusedFor(pod, context.limits.unsafeSysctls) ??
    refusalUnderPressure(pod, context.pressure()) ??
    context.admission.admit(pod);
  if (refusal === undefined) return undefined;
  context.events.record(pod, { type: 'Warning', ...refusal });
  const { reason, message } = refusal;
  return { reason, message: `Pod was rejected: ${message}`, graceSeconds: 0, isRefusal: true };
}

/** A status of a pod that the node ends says so by a condition, too. */
export function withDisruption(status: PodStatus, eviction: Eviction, nowMs: number): PodStatus {
  const old = status.conditions ?? [];
  const type = 'DisruptionTarget';
  if (eviction.isRefusal) return ofRefused(status);
  if (old.some((one) => one.type === type)) return status;
  const condition: PodCondition = {
    type,
    status: 'True',
    reason: 'TerminationByKubelet',
    message: eviction.message,
    lastTransitionTime: new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z'),
  };
  return { ...status, conditions: [...old, condition] };
}

/** Nothing was ever made of its containers: clients show the pod's reason then, not a container's. */
function ofRefused(status: PodStatus): PodStatus {
  const { containerStatuses: _mains, initContainerStatuses: _inits, ...rest } = status;
  const { ephemeralContainerStatuses: _ephemerals, ...refused } = rest;
  return refused;
}
