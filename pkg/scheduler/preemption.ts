/**
 * Makes room for a pod that fits nowhere: finds the node where taking away pods of lower priority costs least. Only
 * says which; the scheduler deletes them.
 */

import type { Namespace } from '../api/generated/types.ts';
import type { Cache } from '../client/client.ts';
import type { Pending } from './filters.ts';
import { copyOf, type NodeInfo, put, take } from './node-table.ts';
import { firstFailure, histogram, type Misfit } from './place.ts';
import { affinitiesOf } from './pod-affinity.ts';
import type { PodInfo } from './pod-info.ts';
import { spreadsOf } from './spread.ts';

/** Nodes that are looked at; more would not find a notably better one. */
const CANDIDATES_MAX = 100;

export interface Victims {
  readonly node: NodeInfo;
  readonly pods: readonly PodInfo[];
}

export interface Preemption {
  readonly victims: Victims | undefined;
  /** The part of the message after "preemption: ". */
  readonly message: string;
}

export interface Situation {
  readonly pending: Pending;
  readonly misfit: Misfit;
  readonly nodes: readonly NodeInfo[];
  readonly cache: Cache;
  /** Where pods were evicted for this one before. */
  readonly nominated: NodeInfo | undefined;
}

/** Looks for pods to take away. */
export function preempt(situation: Situation): Preemption {
  const { pending, misfit } = situation;
  if (pending.info.pod.spec.preemptionPolicy === 'Never') {
    return { victims: undefined, message: 'not eligible due to preemptionPolicy=Never.' };
  }
  if (situation.nominated && isBeingCleared(situation.nominated, pending.info)) {
    const message = 'not eligible due to a terminating pod on the nominated node.';
    return { victims: undefined, message };
  }
  const candidates = misfit.resolvable.slice(0, CANDIDATES_MAX);
  const found = candidates.flatMap((node) => victimsOn(node, situation) ?? []);
  const [victims] = found.sort(byCost);
  const reasons = new Map<string, number>();
  const useless = misfit.total - misfit.resolvable.length;
  if (useless > 0) reasons.set('Preemption is not helpful for scheduling', useless);
  if (misfit.resolvable.length > 0) {
    reasons.set('No preemption victims found for incoming pod', misfit.resolvable.length);
  }
  const message = `0/${misfit.total} nodes are available: ${histogram(reasons)}.`;
  return { victims, message };
}

function isBeingCleared({ pods }: NodeInfo, { priority }: PodInfo): boolean {
  return [...pods.values()].some(
    (other) => other.priority < priority && other.pod.metadata.deletionTimestamp,
  );
}

function victimsOn(node: NodeInfo, situation: Situation): Victims | undefined {
  const { info } = situation.pending;
  const lower = [...node.pods.values()].filter(({ priority }) => priority < info.priority);
  if (lower.length === 0) return undefined;
  const trial = copyOf(node);
  for (const other of lower) take(trial, other);
  if (!fits(trial, situation)) return undefined;
  // As many as possible may stay, the most important first.
  const victims: PodInfo[] = [];
  for (const other of lower.sort(byImportance)) {
    put(trial, other);
    if (fits(trial, situation)) continue;
    take(trial, other);
    victims.push(other);
  }
  return victims.length > 0 ? { node, pods: victims } : undefined;
}

function fits(trial: NodeInfo, { pending, nodes, cache }: Situation): boolean {
  const { info } = pending;
  const others = nodes.map((node) => (node.name === trial.name ? trial : node));
  const labels = (name: string) => cache.get<Namespace>('namespaces', { name })?.metadata.labels;
  const tried = {
    ...pending,
    spreads: spreadsOf(info, others),
    affinities: affinitiesOf(info, others, labels),
  };
  return firstFailure(tried, trial) === undefined;
}

function byImportance(a: PodInfo, b: PodInfo): number {
  return b.priority - a.priority || startOf(a) - startOf(b);
}

function startOf({ pod }: PodInfo): number {
  return Date.parse(pod.status?.startTime ?? pod.metadata.creationTimestamp);
}

/** Least important victims first, then fewest. */
function byCost(a: Victims, b: Victims): number {
  const highest = ({ pods }: Victims) => Math.max(...pods.map(({ priority }) => priority));
  const sum = ({ pods }: Victims) => pods.reduce((total, { priority }) => total + priority, 0);
  return highest(a) - highest(b) || sum(a) - sum(b) || a.pods.length - b.pods.length;
}
