/** Pod affinity and anti-affinity: in which domains the pods are that a pod wants near, or away from it. */

import type { NodeInfo } from './node-table.ts';
import { type NamespaceLabels, type PodInfo, type Term, termMatches } from './pod-info.ts';

interface Domains {
  readonly topologyKey: string;
  readonly values: ReadonlySet<string>;
}

/** What affinity means for one pod to be placed, counted once. */
export interface Affinities {
  /** Domains of each required term; `isFirst` = no pod matches anywhere yet, and the pod matches its own terms. */
  readonly near: readonly Domains[];
  readonly isFirst: boolean;
  readonly away: readonly Domains[];
  /** Domains that pods which are there already do not want this one in. */
  readonly repelled: readonly Domains[];
  /** Score by topology key and value. */
  readonly preferred: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

/** Counts the affinities of a pod over these nodes. */
export function affinitiesOf(
  info: PodInfo,
  nodes: readonly NodeInfo[],
  namespaceLabels: NamespaceLabels,
): Affinities {
  const domainsOf = (term: Term): Domains => ({
    topologyKey: term.topologyKey,
    values: valuesOf(nodes, term.topologyKey, (other) => termMatches(term, other, namespaceLabels)),
  });
  const near = info.affinity.map(domainsOf);
  const matchesItself = info.affinity.every((term) => termMatches(term, info, namespaceLabels));
  return {
    near,
    isFirst: matchesItself && near.every(({ values }) => values.size === 0),
    away: info.antiAffinity.map(domainsOf),
    repelled: repelledFrom(info, nodes, namespaceLabels),
    preferred: preferredIn(info, nodes, namespaceLabels),
  };
}

function valuesOf(
  nodes: readonly NodeInfo[],
  topologyKey: string,
  matches: (other: PodInfo) => boolean,
): Set<string> {
  const values = new Set<string>();
  for (const node of nodes) {
    const value = node.labels[topologyKey];
    if (value === undefined || values.has(value)) continue;
    for (const other of node.pods.values()) {
      if (!matches(other)) continue;
      values.add(value);
      break;
    }
  }
  return values;
}

function repelledFrom(
  info: PodInfo,
  nodes: readonly NodeInfo[],
  labels: NamespaceLabels,
): Domains[] {
  const found = new Map<string, Set<string>>();
  for (const node of nodes) {
    for (const other of node.repelling.values()) {
      for (const term of other.antiAffinity) {
        const value = node.labels[term.topologyKey];
        if (value === undefined || !termMatches(term, info, labels)) continue;
        const values = found.get(term.topologyKey) ?? new Set();
        found.set(term.topologyKey, values.add(value));
      }
    }
  }
  return [...found].map(([topologyKey, values]) => ({ topologyKey, values }));
}

function preferredIn(info: PodInfo, nodes: readonly NodeInfo[], labels: NamespaceLabels) {
  const scores = new Map<string, Map<string, number>>();
  for (const term of info.preferred) {
    const byValue = scores.get(term.topologyKey) ?? new Map<string, number>();
    scores.set(term.topologyKey, byValue);
    for (const node of nodes) {
      const value = node.labels[term.topologyKey];
      const count = value === undefined ? 0 : countMatching(term, node, labels);
      if (value === undefined || count === 0) continue;
      byValue.set(value, (byValue.get(value) ?? 0) + count * term.weight);
    }
  }
  return scores;
}

function countMatching(term: Term, node: NodeInfo, labels: NamespaceLabels): number {
  let count = 0;
  for (const other of node.pods.values()) {
    if (termMatches(term, other, labels)) count += 1;
  }
  return count;
}

/** Why required affinity forbids a node. */
export function affinityReason(affinities: Affinities, node: NodeInfo): string | undefined {
  return isNear(affinities, node) ? undefined : "node(s) didn't match pod affinity rules";
}

/** Why anti-affinity, the pod's own or that of pods that are there, forbids a node. */
export function antiAffinityReason(affinities: Affinities, node: NodeInfo): string | undefined {
  if (affinities.away.some((domains) => isIn(domains, node))) {
    return "node(s) didn't match pod anti-affinity rules";
  }
  if (affinities.repelled.some((domains) => isIn(domains, node))) {
    return "node(s) didn't satisfy existing pods anti-affinity rules";
  }
  return undefined;
}

function isNear({ near, isFirst }: Affinities, node: NodeInfo): boolean {
  return near.every((domains) => {
    if (node.labels[domains.topologyKey] === undefined) return false;
    return isFirst || isIn(domains, node);
  });
}

function isIn({ topologyKey, values }: Domains, node: NodeInfo): boolean {
  const value = node.labels[topologyKey];
  return value !== undefined && values.has(value);
}

/** Sum of the preferred terms' weights that a node's domains earn. */
export function attraction({ preferred }: Affinities, node: NodeInfo): number {
  let sum = 0;
  for (const [topologyKey, byValue] of preferred) {
    sum += byValue.get(node.labels[topologyKey] ?? '') ?? 0;
  }
  return sum;
}
