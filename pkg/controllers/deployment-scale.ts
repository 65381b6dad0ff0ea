/**
 * How many pods each ReplicaSet of a Deployment is to have next: rolling update within maxSurge and maxUnavailable,
 * and proportional scaling while several are active. Pure.
 */

import type { Deployment, ReplicaSet } from '../api/generated/types.ts';
import { byAge, DESIRED, MAXIMUM } from './deployment-revision.ts';

/** A ReplicaSet with the count it should ask for. */
export interface Target {
  readonly rs: ReplicaSet;
  readonly replicas: number;
}

export interface Limits {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/** What a count or a percentage of `total` is. */
export function scaled(
  value: string | number | undefined,
  total: number,
  round: 'up' | 'down',
): number {
  if (value === undefined) return 0;
  if (typeof value === 'number') return value;
  const percent = /^(\d+)%$/.exec(value)?.[1];
  if (percent === undefined) throw new Error(`Invalid count or percentage "${value}"`);
  const share = (Number(percent) * total) / 100;
  return round === 'up' ? Math.ceil(share) : Math.floor(share);
}

/** The limits of a Deployment in pods; none for Recreate. */
export function limitsOf({ spec }: Deployment): Limits {
  if (!isRolling(spec.strategy?.type)) return { maxSurge: 0, maxUnavailable: 0 };
  const total = spec.replicas ?? 1;
  const { maxSurge: surge = '25%', maxUnavailable: unavailable = '25%' } =
    spec.strategy?.rollingUpdate ?? {};
  const maxSurge = scaled(surge, total, 'up');
  const maxUnavailable = Math.min(scaled(unavailable, total, 'down'), total);
  // Both zero would never move.
  if (maxSurge === 0 && maxUnavailable === 0) return { maxSurge, maxUnavailable: 1 };
  return { maxSurge, maxUnavailable };
}

function isRolling(type = 'RollingUpdate'): boolean {
  return type === 'RollingUpdate';
}

/** The sum of what ReplicaSets ask for. */
function wanted(sets: readonly ReplicaSet[]): number {
  return sets.reduce((sum, { spec }) => sum + (spec.replicas ?? 1), 0);
}

/** The sum of what ReplicaSets ask for, or still have: one that shrinks may not have come to its pods yet. */
function held(sets: readonly ReplicaSet[]): number {
  return sets.reduce(
    (sum, { spec, status }) => sum + Math.max(spec.replicas ?? 1, status?.replicas ?? 0),
    0,
  );
}

/** The sum of available pods. */
export function available(sets: readonly ReplicaSet[]): number {
  return sets.reduce((sum, { status }) => sum + (status?.availableReplicas ?? 0), 0);
}

/** How many pods the new ReplicaSet may ask for now, given those that the old ones still ask for or have. */
export function newReplicas(
  deployment: Deployment,
  current: number,
  old: readonly ReplicaSet[],
): number {
  const total = deployment.spec.replicas ?? 1;
  if (!isRolling(deployment.spec.strategy?.type) || current > total) return total;
  const room = total + limitsOf(deployment).maxSurge - held(old) - current;
  return room <= 0 ? current : current + Math.min(room, total - current);
}

/** What the old ReplicaSets may give up now without going below the allowed availability. */
export function oldTargets(
  deployment: Deployment,
  current: ReplicaSet,
  old: readonly ReplicaSet[],
): Target[] {
  const minAvailable = (deployment.spec.replicas ?? 1) - limitsOf(deployment).maxUnavailable;
  const unavailable = Math.max(
    0,
    (current.spec.replicas ?? 1) - (current.status?.availableReplicas ?? 0),
  );
  let spare = wanted([...old, current]) - minAvailable - unavailable;
  const replicas = new Map(old.map((rs) => [rs, rs.spec.replicas ?? 1]));
  const take = (rs: ReplicaSet, limit: number): number => {
    const count = Math.max(0, Math.min(limit, spare, replicas.get(rs) ?? 0));
    replicas.set(rs, (replicas.get(rs) ?? 0) - count);
    spare -= count;
    return count;
  };
  const ordered = byAge(old);
  // Pods that do not serve go first: they cost no availability.
  for (const rs of ordered) take(rs, (rs.spec.replicas ?? 1) - (rs.status?.availableReplicas ?? 0));
  let serving = available([...old, current]) - minAvailable;
  for (const rs of ordered) serving -= take(rs, serving);
  return ordered.map((rs) => ({ rs, replicas: replicas.get(rs) ?? 0 }));
}

/** Whether the Deployment's size was changed since its active ReplicaSets were scaled. */
export function isScaling(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  const total = String(deployment.spec.replicas ?? 1);
  return active(sets).some(({ metadata }) => {
    const desired = metadata.annotations?.[DESIRED];
    return desired !== undefined && desired !== total;
  });
}

function active(sets: readonly ReplicaSet[]): ReplicaSet[] {
  return sets.filter(({ spec }) => (spec.replicas ?? 1) > 0);
}

/** Sizes after a change of the Deployment's size, or while it is paused: the change is shared out by proportion. */
export function scaleTargets(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): Target[] {
  const total = deployment.spec.replicas ?? 1;
  const only = activeOrLatest(current, old);
  if (only) return [{ rs: only, replicas: total }];
  if (current && isSaturated(current, total)) return old.map((rs) => ({ rs, replicas: 0 }));
  if (!isRolling(deployment.spec.strategy?.type)) return [];
  return proportional(deployment, active(current ? [...old, current] : old));
}

function activeOrLatest(
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): ReplicaSet | undefined {
  const alive = active(current ? [...old, current] : old);
  if (alive.length > 1) return undefined;
  return alive[0] ?? current ?? byAge(old).at(-1);
}

function isSaturated({ metadata, spec, status }: ReplicaSet, total: number): boolean {
  return (
    spec.replicas === total &&
    Number(metadata.annotations?.[DESIRED]) === total &&
    status?.availableReplicas === total
  );
}

function proportional(deployment: Deployment, sets: readonly ReplicaSet[]): Target[] {
  const total = deployment.spec.replicas ?? 1;
  const allowed = total > 0 ? total + limitsOf(deployment).maxSurge : 0;
  const toAdd = allowed - wanted(sets);
  const ages = byAge(sets);
  // Bigger ones first; among equals the newer grow first and the older shrink first.
  const ordered = (toAdd > 0 ? ages.toReversed() : ages).toSorted(
    (a, b) => (b.spec.replicas ?? 1) - (a.spec.replicas ?? 1),
  );
  let added = 0;
  const targets = ordered.map((rs) => {
    const size = rs.spec.replicas ?? 1;
    const left = toAdd - added;
    const fraction = fractionOf(rs, deployment, allowed);
    const share = toAdd > 0 ? Math.min(fraction, left) : Math.max(fraction, left);
    added += share;
    return { rs, replicas: size + share };
  });
  const [first, ...rest] = targets;
  if (!first) return [];
  const leftover = { rs: first.rs, replicas: first.replicas + toAdd - added };
  return [leftover, ...rest].map(({ rs, replicas }) => ({ rs, replicas: Math.max(0, replicas) }));
}

function fractionOf(rs: ReplicaSet, deployment: Deployment, allowed: number): number {
  const size = rs.spec.replicas ?? 1;
  if ((deployment.spec.replicas ?? 1) === 0) return -size;
  const before = Number(rs.metadata.annotations?.[MAXIMUM]) || deployment.status?.replicas || size;
  return Math.round((size * allowed) / before) - size;
}
