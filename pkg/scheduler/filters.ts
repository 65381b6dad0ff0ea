/**
 * The table of filters: each says why a node cannot take a pod, in the words that kubectl users know. The first that
 * fails speaks for the node.
 */

import type { Taint } from '../api/generated/types.ts';
import { matchesNode } from '../api/node-affinity.ts';
import { tolerates, untolerated } from '../api/tolerations.ts';
import type { NodeInfo } from './node-table.ts';
import { type Affinities, affinityReason, antiAffinityReason } from './pod-affinity.ts';
import { collides, type PodInfo } from './pod-info.ts';
import { PODS, type ResourceNames } from './resources.ts';
import { type Spread, spreadReason } from './spread.ts';
import { rivalReason, type VolumeNeeds, volumeReason } from './volumes.ts';

/** A pod to be placed, with what was counted for it. */
export interface Pending {
  readonly info: PodInfo;
  readonly spreads: readonly Spread[];
  readonly affinities: Affinities;
  readonly volumes: VolumeNeeds;
  readonly names: ResourceNames;
}

export interface Filter {
  readonly name: string;
  /** Whether taking pods away from the node could help. */
  readonly isResolvable: boolean | ((pending: Pending, node: NodeInfo) => boolean);
  /** Why not; empty = the node passes. */
  check(pending: Pending, node: NodeInfo): readonly string[];
}

const PASSED: readonly string[] = [];
const UNSCHEDULABLE: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** All filters, in order. */
export const FILTERS: readonly Filter[] = [
  {
    name: 'NodeUnschedulable',
    isResolvable: false,
    check: ({ info }, { node }) =>
      node.spec?.unschedulable && !tolerates(info.tolerations, UNSCHEDULABLE)
        ? ['node(s) were unschedulable']
        : PASSED,
  },
  {
    name: 'NodeName',
    isResolvable: false,
    check: ({ info }, { name }) =>
      info.pod.spec.nodeName && info.pod.spec.nodeName !== name
        ? ["node(s) didn't match the requested node name"]
        : PASSED,
  },
  {
    name: 'TaintToleration',
    isResolvable: false,
    check({ info }, { taints }) {
      return untolerated(taints, info.tolerations) ? ['node(s) had untolerated taint(s)'] : PASSED;
    },
  },
  {
    name: 'NodeAffinity',
    isResolvable: false,
    check: ({ info }, { node }) =>
      matchesNode(info.pod, node) ? PASSED : ["node(s) didn't match Pod's node affinity/selector"],
  },
  {
    name: 'NodePorts',
    isResolvable: true,
    check: ({ info }, node) =>
      hasPorts(info, node)
        ? PASSED
        : ["node(s) didn't have free ports for the requested pod ports"],
  },
  { name: 'NodeResourcesFit', isResolvable: fitsEmptied, check: lacking },
  { name: 'VolumeRestrictions', isResolvable: true, check: byRivals },
  { name: 'VolumeBinding', isResolvable: false, check: byVolumes },
  { name: 'PodTopologySpread', isResolvable: true, check: bySpread },
  { name: 'PodAffinity', isResolvable: false, check: byAffinity },
  { name: 'PodAntiAffinity', isResolvable: true, check: byAntiAffinity },
];

function byRivals({ volumes }: Pending, node: NodeInfo): readonly string[] {
  const reason = volumes.rivals.length > 0 ? rivalReason(volumes, node) : undefined;
  return reason ? [reason] : PASSED;
}

function byVolumes({ volumes }: Pending, { node }: NodeInfo): readonly string[] {
  const reason = volumeReason(volumes, node);
  return reason ? [reason] : PASSED;
}

function bySpread({ spreads }: Pending, node: NodeInfo): readonly string[] {
  const reason = spreads.length > 0 ? spreadReason(spreads, node) : undefined;
  return reason ? [reason] : PASSED;
}

function byAffinity({ affinities }: Pending, node: NodeInfo): readonly string[] {
  const reason = affinityReason(affinities, node);
  return reason ? [reason] : PASSED;
}

function byAntiAffinity({ affinities }: Pending, node: NodeInfo): readonly string[] {
  const reason = antiAffinityReason(affinities, node);
  return reason ? [reason] : PASSED;
}

function hasPorts({ hostPorts }: PodInfo, node: NodeInfo): boolean {
  if (hostPorts.length === 0 || node.hostPorts.size === 0) return true;
  for (const taken of node.hostPorts.values()) {
    if (taken.some((port) => hostPorts.some((wanted) => collides(port, wanted)))) return false;
  }
  return true;
}

function lacking(
  { info, names }: Pending,
  { requested, allocatable }: NodeInfo,
): readonly string[] {
  const { requests } = info;
  let reasons: string[] | undefined;
  for (let i = 0; i < requests.length; i += 1) {
    const wanted = requests[i] ?? 0;
    if (wanted === 0 || (requested[i] ?? 0) + wanted <= (allocatable[i] ?? 0)) continue;
    reasons ??= [];
    reasons.push(i === PODS ? 'Too many pods' : `Insufficient ${names.at(i)}`);
  }
  return reasons ?? PASSED;
}

/** Whether the node has what the pod wants, once others have left it. */
function fitsEmptied({ info: { requests } }: Pending, { allocatable }: NodeInfo): boolean {
  return requests.every((wanted, i) => i === PODS || (wanted ?? 0) <= (allocatable[i] ?? 0));
}
