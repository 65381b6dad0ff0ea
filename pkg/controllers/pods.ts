/** What controllers ask of pods. */

import type { Pod, PodCondition } from '../api/generated/types.ts';

/** Whether a pod counts as a replica: neither finished nor being deleted. */
export function isActive(pod: Pod): boolean {
  return !isFinished(pod) && pod.metadata.deletionTimestamp === undefined;
}

/** Whether all containers of a pod have ended for good. */
export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** A condition of a pod by type. */
export function podCondition(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}

/** Whether a pod serves. */
export function isReady(pod: Pod): boolean {
  return podCondition(pod, 'Ready')?.status === 'True';
}

/** Milliseconds since the epoch at which the pod became ready; undefined when it is not. */
export function readySince(pod: Pod): number | undefined {
  const condition = podCondition(pod, 'Ready');
  if (condition?.status !== 'True') return undefined;
  return Date.parse(condition.lastTransitionTime ?? pod.metadata.creationTimestamp);
}

/** A time noted further ahead than clocks of a cluster may differ was noted before the clock was set back. */
const SKEW_MAX_MS = 5 * 60_000;

/** Whether a time was noted by a clock that has been set back since: nobody knows then how long ago it was. */
export function isBeforeSetBack(notedMs: number, now: number): boolean {
  return notedMs - now > SKEW_MAX_MS;
}

/** In how many milliseconds the pod has been ready for long enough; 0 = it is now, undefined = it is not ready. */
export function availableInMs(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  const since = readySince(pod);
  if (since === undefined) return undefined;
  if (minReadySeconds === 0 || isBeforeSetBack(since, now)) return 0;
  return Math.max(0, since + minReadySeconds * 1000 - now);
}

/** An RFC 3339 timestamp with whole seconds, as API objects have them. */
export function timestamp(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}
