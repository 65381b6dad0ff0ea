/** Finds the node for one pod, or says in kubectl's words why there is none. Pure but for what it reads. */

import type { Namespace } from '../api/generated/types.ts';
import type { Cache } from '../client/client.ts';
import { FILTERS, type Filter, type Pending } from './filters.ts';
import type { NodeInfo, NodeTable } from './node-table.ts';
import { affinitiesOf } from './pod-affinity.ts';
import type { PodInfo } from './pod-info.ts';
import { best } from './scores.ts';
import { spreadsOf } from './spread.ts';
import { type Assumed, volumeNeeds } from './volumes.ts';

const NO_CLAIMS = 'no new claims to deallocate';

/** Why nodes do not fit. */
export interface Misfit {
  readonly total: number;
  /** How many nodes gave each reason. */
  readonly reasons: ReadonlyMap<string, number>;
  /** Why no node at all will do, whatever they are like. */
  readonly problem: string | undefined;
  /** Nodes that taking pods away from might help. */
  readonly resolvable: readonly NodeInfo[];
}

export type Placement =
  | { readonly node: NodeInfo; readonly misfit?: undefined }
  | { readonly node?: undefined; readonly misfit: Misfit };

/** Reads what a pod needs. */
export function pendingOf(
  info: PodInfo,
  table: NodeTable,
  { cache, assumed }: { readonly cache: Cache; readonly assumed: Assumed },
): Pending {
  const nodes = table.nodes();
  const namespaceLabels = (name: string) =>
    cache.get<Namespace>('namespaces', { name })?.metadata.labels;
  return {
    info,
    spreads: spreadsOf(info, nodes),
    affinities: affinitiesOf(info, nodes, namespaceLabels),
    volumes: volumeNeeds(info.pod, { cache, nodes, assumed }),
    names: table.names,
  };
}

/** Chooses a node. `turn` rotates among equals. */
export function place(pending: Pending, table: NodeTable, turn: number): Placement {
  const nodes = table.nodes();
  const reasons = new Map<string, number>();
  const { problem } = pending.volumes;
  if (problem) return { misfit: { total: nodes.length, reasons, problem, resolvable: [] } };
  const feasible: NodeInfo[] = [];
  const resolvable: NodeInfo[] = [];
  for (const node of nodes) {
    const failure = firstFailure(pending, table.seenBy(pending.info, node));
    if (!failure) {
      feasible.push(node);
      continue;
    }
    for (const reason of failure.reasons) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    if (failure.isResolvable) resolvable.push(node);
  }
  const node = best(pending, feasible, turn);
  if (node) return { node };
  return { misfit: { total: nodes.length, reasons, problem, resolvable } };
}

/** The first filter that a node does not pass, with its reasons. */
export function firstFailure(pending: Pending, node: NodeInfo) {
  for (const filter of FILTERS) {
    const reasons = filter.check(pending, node);
    if (reasons.length > 0) return { reasons, isResolvable: isResolvable(filter, pending, node) };
  }
  return undefined;
}

function isResolvable(filter: Filter, pending: Pending, node: NodeInfo): boolean {
  const { isResolvable } = filter;
  return typeof isResolvable === 'function' ? isResolvable(pending, node) : isResolvable;
}

/**
 * `0/2 nodes are available: 1 Insufficient cpu, …. no new claims to deallocate, preemption: …`: each way to make room
 * says why it did not; no pod gets devices through claims here, so there is never one to give back.
 */
export function explain(misfit: Misfit, preemption: string): string {
  const { total, reasons, problem } = misfit;
  if (total === 0) return 'no nodes available to schedule pods';
  const list = problem ?? histogram(reasons);
  return `0/${total} nodes are available: ${list}. ${NO_CLAIMS}, preemption: ${preemption}`;
}

/** `1 Insufficient cpu, 2 Too many pods`, sorted as text. */
export function histogram(reasons: ReadonlyMap<string, number>): string {
  return [...reasons]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(', ');
}
