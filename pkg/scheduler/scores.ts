/** The table of scores: how well a node that passed would suit a pod. Each gives 0 to 100, weighted as in Kubernetes. */

import { preferenceOf } from '../api/node-affinity.ts';
import { tolerates } from '../api/tolerations.ts';
import type { Pending } from './filters.ts';
import type { NodeInfo } from './node-table.ts';
import { attraction } from './pod-affinity.ts';
import { CPU, MEMORY } from './resources.ts';
import { crowding } from './spread.ts';

interface Score {
  readonly name: string;
  readonly weight: number;
  /** Whether it can tell nodes apart for this pod; a score that cannot is left out. */
  applies(pending: Pending, nodes: readonly NodeInfo[]): boolean;
  raw(pending: Pending, node: NodeInfo): number;
  /** How raw values become 0 to 100: as they are, most is best, or least is best. */
  readonly scale: 'none' | 'most' | 'least';
}

const MB = 1024 * 1024;
const IMAGE_MIN_BYTES = 23 * MB;
const IMAGE_MAX_BYTES = 1000 * MB;

/** All scores. */
const SCORES: readonly Score[] = [
  {
    name: 'TaintToleration',
    weight: 3,
    scale: 'least',
    applies: (_, nodes) =>
      nodes.some(({ taints }) => taints.some(({ effect }) => effect === 'PreferNoSchedule')),
    raw: ({ info }, { taints }) =>
      taints.filter(
        (taint) => taint.effect === 'PreferNoSchedule' && !tolerates(info.tolerations, taint),
      ).length,
  },
  {
    name: 'NodeAffinity',
    weight: 2,
    scale: 'most',
    applies: ({ info }) =>
      info.pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution !==
      undefined,
    raw: ({ info }, { node }) => preferenceOf(info.pod, node),
  },
  {
    name: 'NodeResourcesLeastAllocated',
    weight: 1,
    scale: 'none',
    applies: () => true,
    raw: (pending, node) =>
      ((1 - cpuShare(pending, node) + 1 - memoryShare(pending, node)) / 2) * 100,
  },
  {
    name: 'NodeResourcesBalancedAllocation',
    weight: 1,
    scale: 'none',
    applies: () => true,
    raw: (pending, node) =>
      (1 - Math.abs(cpuShare(pending, node) - memoryShare(pending, node)) / 2) * 100,
  },
  {
    name: 'PodTopologySpread',
    weight: 2,
    scale: 'least',
    applies: ({ spreads }) => spreads.some(({ isHard }) => !isHard),
    raw: ({ spreads }, node) => crowding(spreads, node),
  },
  {
    // Pods of one owner spread out even if they do not ask for it.
    name: 'DefaultSpread',
    weight: 2,
    scale: 'least',
    applies: ({ info, spreads }) => info.ownerUid !== '' && spreads.length === 0,
    raw: ({ info }, { owners }) => owners.get(info.ownerUid) ?? 0,
  },
  {
    name: 'InterPodAffinity',
    weight: 2,
    scale: 'most',
    applies: ({ affinities }) => affinities.preferred.size > 0,
    raw: ({ affinities }, node) => attraction(affinities, node),
  },
  {
    name: 'ImageLocality',
    weight: 1,
    scale: 'none',
    applies: (_, nodes) => nodes.some(({ images }) => images.size > 0),
    raw: imageScore,
  },
];

function cpuShare({ info }: Pending, { scoring, allocatable }: NodeInfo): number {
  return share(scoring[0] + info.scoring[0], allocatable[CPU]);
}

function memoryShare({ info }: Pending, { scoring, allocatable }: NodeInfo): number {
  return share(scoring[1] + info.scoring[1], allocatable[MEMORY]);
}

function share(used: number, total: number | undefined): number {
  return total ? Math.min(1, used / total) : 1;
}

function imageScore({ info }: Pending, { images }: NodeInfo): number {
  const { containers } = info.pod.spec;
  let size = 0;
  for (const { image = '' } of containers) size += images.get(image) ?? 0;
  const max = IMAGE_MAX_BYTES * containers.length;
  const clamped = Math.min(Math.max(size, IMAGE_MIN_BYTES), max);
  return (100 * (clamped - IMAGE_MIN_BYTES)) / (max - IMAGE_MIN_BYTES);
}

/** The node that suits best; among equals a different one each time, by `turn`. */
export function best(
  pending: Pending,
  nodes: readonly NodeInfo[],
  turn: number,
): NodeInfo | undefined {
  if (nodes.length <= 1) return nodes[0];
  const totals = new Array<number>(nodes.length).fill(0);
  for (const score of SCORES) {
    if (score.applies(pending, nodes)) addScore(totals, score, { pending, nodes });
  }
  let at = 0;
  for (let i = 0; i < nodes.length; i += 1) {
    const here = (i + turn) % nodes.length;
    if (i === 0 || (totals[here] ?? 0) > (totals[at] ?? 0)) at = here;
  }
  return nodes[at];
}

interface Field {
  readonly pending: Pending;
  readonly nodes: readonly NodeInfo[];
}

function addScore(
  totals: number[],
  { raw, scale, weight }: Score,
  { pending, nodes }: Field,
): void {
  const values = nodes.map((node) => raw(pending, node));
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (scale !== 'none' && low === high) return;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] ?? 0;
    const scaled =
      scale === 'none'
        ? value
        : (100 * (scale === 'most' ? value - low : high - value)) / (high - low);
    totals[i] = (totals[i] ?? 0) + weight * scaled;
  }
}
