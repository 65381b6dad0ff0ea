/** When a node runs short, and of what: thresholds against observations over time. Pure. */

import type { NodeLimits, Signal, Threshold } from '../node/kubelet-args.ts';
import { resolveAmount } from '../node/reservations.ts';
import type { Observations } from './signals.ts';

export interface Pressure {
  readonly memory: boolean;
  readonly disk: boolean;
  readonly pids: boolean;
}
export type PressureKind = keyof Pressure;

export const NO_PRESSURE: Pressure = { memory: false, disk: false, pids: false };

/** What was seen at earlier looks. */
export interface History {
  /** Since when each crossed threshold has been crossed. */
  readonly since: ReadonlyMap<Threshold, number>;
  /** When a threshold of each kind was last crossed. */
  readonly lastMs: ReadonlyMap<PressureKind, number>;
}

export const NO_HISTORY: History = { since: new Map(), lastMs: new Map() };

export interface Verdict {
  readonly history: History;
  readonly pressure: Pressure;
  /** Those to act on now, memory first. */
  readonly acting: readonly Threshold[];
}

interface Look {
  readonly limits: NodeLimits;
  readonly observations: Observations;
  readonly nowMs: number;
}

/** Takes a look into account. */
export function judge(history: History, { limits, observations, nowMs }: Look): Verdict {
  const all = [...limits.hard, ...limits.soft];
  const met = all.filter((threshold) =>
    isShort(threshold, observations, history.since.has(threshold) ? limits : undefined),
  );
  const since = new Map(met.map((one) => [one, history.since.get(one) ?? nowMs]));
  const lastMs = new Map(history.lastMs);
  for (const { signal } of met) lastMs.set(kindOf(signal), nowMs);
  const isUnder = (kind: PressureKind) =>
    nowMs - (lastMs.get(kind) ?? Number.NEGATIVE_INFINITY) < limits.pressureTransitionMs ||
    lastMs.get(kind) === nowMs;
  const acting = met.filter((one) => nowMs - (since.get(one) ?? nowMs) >= one.graceMs);
  return {
    history: { since, lastMs },
    pressure: { memory: isUnder('memory'), disk: isUnder('disk'), pids: isUnder('pids') },
    acting: acting.toSorted((a, b) => order(a.signal) - order(b.signal)),
  };
}

/** Whether less is free than the threshold; with `reclaim` also when not enough beyond it is free again. */
export function isShort(
  { signal, below }: Threshold,
  observations: Observations,
  reclaim?: Pick<NodeLimits, 'minimumReclaim'>,
): boolean {
  const seen = observations.get(signal);
  if (seen === undefined) return false;
  const extra = reclaim?.minimumReclaim.get(signal);
  const wanted =
    resolveAmount(below, seen.capacity) +
    (extra === undefined ? 0 : resolveAmount(extra, seen.capacity));
  return seen.available < wanted;
}

/** The condition that a signal stands for. */
export function kindOf(signal: Signal): PressureKind {
  if (signal === 'memory.available') return 'memory';
  return signal === 'pid.available' ? 'pids' : 'disk';
}

function order(signal: Signal): number {
  return ['memory', 'disk', 'pids'].indexOf(kindOf(signal));
}

const CONDITIONS: Readonly<Record<PressureKind, string>> = {
  disk: 'DiskPressure',
  memory: 'MemoryPressure',
  pids: 'PIDPressure',
};

/** Names of the node conditions that hold. */
export function conditionNames(pressure: Pressure): readonly string[] {
  const kinds: readonly PressureKind[] = ['memory', 'disk', 'pids'];
  return kinds.filter((kind) => pressure[kind]).map((kind) => CONDITIONS[kind]);
}
