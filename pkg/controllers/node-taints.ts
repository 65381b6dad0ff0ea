/** Taints and conditions of nodes: what a node's state means for the pods on it. Pure. */

import type { Node, NodeCondition, Pod, Taint, Toleration } from '../api/generated/types.ts';
import { timestamp } from './pods.ts';

const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';

/** Taints by condition type and status, as Kubernetes has them. */
const BY_CONDITION: Readonly<Record<string, string>> = {
  'Ready=False': NOT_READY,
  'Ready=Unknown': UNREACHABLE,
  'MemoryPressure=True': 'node.kubernetes.io/memory-pressure',
  'DiskPressure=True': 'node.kubernetes.io/disk-pressure',
  'PIDPressure=True': 'node.kubernetes.io/pid-pressure',
  'NetworkUnavailable=True': 'node.kubernetes.io/network-unavailable',
};
const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable';
const OWN_KEYS = new Set([...Object.values(BY_CONDITION), UNSCHEDULABLE]);
/** Taints that also drive running pods away. */
const EVICTING = new Set([NOT_READY, UNREACHABLE]);
/** Conditions that only the node itself can know. */
const REPORTED = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

/** The Ready condition's status; 'Unknown' when it was never reported. */
export function readiness({ status }: Node): string {
  return status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? 'Unknown';
}

/** The taints that a node should have: others' are kept, own ones follow from its conditions. */
export function taintsOf(node: Node, now: number): readonly Taint[] {
  const before = node.spec?.taints ?? [];
  const keys = (node.status?.conditions ?? []).flatMap(
    ({ type, status }) => BY_CONDITION[`${type}=${status}`] ?? [],
  );
  if (node.spec?.unschedulable) keys.push(UNSCHEDULABLE);
  const wanted = keys.flatMap((key): Taint[] => {
    const taint = { key, effect: 'NoSchedule' };
    return EVICTING.has(key) ? [taint, { key, effect: 'NoExecute' }] : [taint];
  });
  const others = before.filter(({ key }) => !OWN_KEYS.has(key));
  const own = wanted.map((taint) => {
    const known = before.find(({ key, effect }) => key === taint.key && effect === taint.effect);
    return known ?? { ...taint, timeAdded: timestamp(now) };
  });
  return [...others, ...own];
}

/** The conditions of a node that stopped reporting. */
export function silentConditions(
  { metadata, status }: Node,
  now: number,
): readonly NodeCondition[] {
  const before = status?.conditions ?? [];
  const others = before.filter(({ type }) => !REPORTED.includes(type));
  const unknown = REPORTED.map((type): NodeCondition => {
    const known = before.find((condition) => condition.type === type);
    if (known?.status === 'Unknown') return known;
    return {
      type,
      status: 'Unknown',
      reason: known ? 'NodeStatusUnknown' : 'NodeStatusNeverUpdated',
      message: known ? 'Kubelet stopped posting node status.' : 'Kubelet never posted node status.',
      lastHeartbeatTime: known?.lastHeartbeatTime ?? metadata.creationTimestamp,
      lastTransitionTime: timestamp(now),
    };
  });
  return [...others, ...unknown];
}

export function isEvicting({ effect }: Taint): boolean {
  return effect === 'NoExecute';
}

/** How long a pod may be under these taints, all of which evict, in milliseconds; undefined = for ever. */
export function toleratedMs({ spec }: Pod, taints: readonly Taint[]): number | undefined {
  let least: number | undefined;
  for (const taint of taints) {
    // The first one that fits counts, as in Kubernetes.
    const toleration = spec.tolerations?.find((each) => tolerates(each, taint));
    if (!toleration) return 0;
    const { tolerationSeconds: seconds } = toleration;
    if (seconds !== undefined)
      least = Math.min(least ?? Number.POSITIVE_INFINITY, Math.max(0, seconds) * 1000);
  }
  return least;
}

function tolerates(
  { key, operator = 'Equal', value = '', effect }: Toleration,
  taint: Taint,
): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  return operator === 'Exists' || (Boolean(key) && value === (taint.value ?? ''));
}
