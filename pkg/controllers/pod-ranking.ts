/**
 * Which pods go first when there are too many: those whose loss costs least. The order is that of Kubernetes'
 * ActivePodsWithRanks.
 */

import type { Pod } from '../api/generated/types.ts';
import { isReady, readySince } from './pods.ts';

const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';
const PHASES: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

type Compare = (a: Pod, b: Pod) => number;

/** Sorts the pods so that those to delete first come first. */
export function byDeletion(pods: readonly Pod[]): Pod[] {
  const perNode = new Map<string, number>();
  for (const { spec } of pods) {
    if (spec.nodeName) perNode.set(spec.nodeName, (perNode.get(spec.nodeName) ?? 0) + 1);
  }
  const crowd = (pod: Pod) => perNode.get(pod.spec.nodeName ?? '') ?? 0;
  const order: readonly Compare[] = [
    (a, b) => Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName)),
    (a, b) => phase(a) - phase(b),
    (a, b) => Number(isReady(a)) - Number(isReady(b)),
    (a, b) => cost(a) - cost(b),
    (a, b) => crowd(b) - crowd(a),
    // Ready for a shorter time, hence since a later moment, first.
    (a, b) => (readySince(b) ?? 0) - (readySince(a) ?? 0),
    (a, b) => restarts(b) - restarts(a),
    (a, b) => created(b) - created(a),
  ];
  return pods.toSorted((a, b) => {
    for (const compare of order) {
      const difference = compare(a, b);
      if (difference !== 0) return difference;
    }
    return 0;
  });
}

function phase(pod: Pod): number {
  return PHASES[pod.status?.phase ?? 'Pending'] ?? 0;
}

function cost(pod: Pod): number {
  return Number(pod.metadata.annotations?.[DELETION_COST]) || 0;
}

function restarts(pod: Pod): number {
  return Math.max(0, ...(pod.status?.containerStatuses ?? []).map((status) => status.restartCount));
}

function created(pod: Pod): number {
  return Date.parse(pod.metadata.creationTimestamp);
}
