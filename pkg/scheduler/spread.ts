/** Topology spread constraints: how many matching pods each domain has, counted once per pod to be placed. */

import type { TopologySpreadConstraint } from '../api/generated/types.ts';
import { matchesNode } from '../api/node-affinity.ts';
import { matchesLabels, type Selector, selectorOf } from '../api/selectors.ts';
import { untolerated } from '../api/tolerations.ts';
import type { NodeInfo } from './node-table.ts';
import type { PodInfo } from './pod-info.ts';

/** One constraint with its counts. */
export interface Spread {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly isHard: boolean;
  /** 1 if the pod to be placed counts itself. */
  readonly self: 0 | 1;
  readonly counts: ReadonlyMap<string, number>;
  readonly min: number;
  readonly max: number;
}

/** The constraints of a pod, counted over these nodes. */
export function spreadsOf(info: PodInfo, nodes: readonly NodeInfo[]): readonly Spread[] {
  const constraints = info.pod.spec.topologySpreadConstraints ?? [];
  return constraints.map((constraint) => counted(constraint, info, nodes));
}

function counted(
  constraint: TopologySpreadConstraint,
  info: PodInfo,
  nodes: readonly NodeInfo[],
): Spread {
  const { topologyKey, maxSkew, whenUnsatisfiable, minDomains } = constraint;
  const selector = selectorFor(constraint, info);
  const counts = new Map<string, number>();
  for (const node of nodes) {
    const domain = node.labels[topologyKey];
    if (domain === undefined || !takesPart(constraint, info, node)) continue;
    counts.set(domain, (counts.get(domain) ?? 0) + countOn(node, info.namespace, selector));
  }
  const values = [...counts.values()];
  // With fewer domains than asked for, the emptiest one counts as empty.
  const isLacking = minDomains !== undefined && counts.size < minDomains;
  return {
    topologyKey,
    maxSkew,
    isHard: whenUnsatisfiable === 'DoNotSchedule',
    self: matchesLabels(selector, info.pod.metadata.labels) ? 1 : 0,
    counts,
    min: isLacking || values.length === 0 ? 0 : Math.min(...values),
    max: Math.max(0, ...values),
  };
}

function selectorFor(
  { labelSelector, matchLabelKeys = [] }: TopologySpreadConstraint,
  info: PodInfo,
): Selector {
  const labels = info.pod.metadata.labels ?? {};
  const byLabels = matchLabelKeys
    .filter((key) => labels[key] !== undefined)
    .map((key) => ({ key, operator: 'In', values: [labels[key] ?? ''] }));
  return selectorOf(
    labelSelector && {
      ...labelSelector,
      matchExpressions: [...(labelSelector.matchExpressions ?? []), ...byLabels],
    },
  );
}

function countOn(node: NodeInfo, namespace: string, selector: Selector): number {
  let count = 0;
  for (const { pod, namespace: other } of node.pods.values()) {
    if (other !== namespace || pod.metadata.deletionTimestamp) continue;
    if (matchesLabels(selector, pod.metadata.labels)) count += 1;
  }
  return count;
}

function takesPart(constraint: TopologySpreadConstraint, info: PodInfo, node: NodeInfo): boolean {
  const { nodeAffinityPolicy = 'Honor', nodeTaintsPolicy = 'Ignore' } = constraint;
  if (nodeAffinityPolicy === 'Honor' && !matchesNode(info.pod, node.node)) return false;
  return nodeTaintsPolicy !== 'Honor' || !untolerated(node.taints, info.tolerations);
}

/** Why a node breaks one of the hard constraints. */
export function spreadReason(spreads: readonly Spread[], node: NodeInfo): string | undefined {
  for (const spread of spreads) {
    if (!spread.isHard) continue;
    const domain = node.labels[spread.topologyKey];
    if (domain === undefined) {
      return "node(s) didn't match pod topology spread constraints (missing required label)";
    }
    const skew = (spread.counts.get(domain) ?? 0) + spread.self - spread.min;
    if (skew > spread.maxSkew) return "node(s) didn't match pod topology spread constraints";
  }
  return undefined;
}

/** Matching pods in the node's domains under the soft constraints: fewer is better. */
export function crowding(spreads: readonly Spread[], node: NodeInfo): number {
  let sum = 0;
  for (const spread of spreads) {
    if (spread.isHard) continue;
    const domain = node.labels[spread.topologyKey];
    sum += domain === undefined ? spread.max + 1 : (spread.counts.get(domain) ?? 0);
  }
  return sum;
}
