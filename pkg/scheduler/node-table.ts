/**
 * What is on which node, kept up to date by events: totals never have to be summed up anew. A pod that was placed but
 * is not bound yet counts as assumed.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Node, Pod, Taint } from '../api/generated/types.ts';
import { type HostPort, type PodInfo, podInfo } from './pod-info.ts';
import { type Amounts, accumulate, ResourceNames } from './resources.ts';

type Labels = Readonly<Record<string, string>>;

/** One node with its totals. Changed in place by the table only. */
export interface NodeInfo {
  readonly name: string;
  node: Node;
  labels: Labels;
  taints: readonly Taint[];
  allocatable: Amounts;
  /** Image names on the node and their size. */
  images: ReadonlyMap<string, number>;
  readonly requested: Amounts;
  /** CPU and memory as they are scored. */
  readonly scoring: [cpu: number, memory: number];
  readonly pods: Map<string, PodInfo>;
  readonly hostPorts: Map<string, readonly HostPort[]>;
  /** Pods with required anti-affinity, which newcomers must respect. */
  readonly repelling: Map<string, PodInfo>;
  /** How many pods of each controlling owner are here. */
  readonly owners: Map<string, number>;
}

interface Placed {
  readonly info: PodInfo;
  readonly nodeName: string;
  readonly isAssumed: boolean;
}

export class NodeTable {
  readonly names = new ResourceNames();
  readonly #nodes = new Map<string, NodeInfo>();
  /** Every pod that is on a node, also on one that is not known (any more). */
  readonly #placed = new Map<string, Placed>();
  readonly #byNode = new Map<string, Set<string>>();
  /** Pods that others were evicted for. */
  readonly #nominated = new Map<string, { readonly info: PodInfo; readonly nodeName: string }>();
  #list: readonly NodeInfo[] | undefined;

  /** All nodes; the array stays the same until a node comes or goes. */
  nodes(): readonly NodeInfo[] {
    this.#list ??= [...this.#nodes.values()];
    return this.#list;
  }

  /** Reads a pod for scheduling. */
  read(pod: Pod): PodInfo {
    return podInfo(pod, this.names);
  }

  /** Takes a new or changed node over; false when nothing changed that matters for placing pods. */
  setNode(node: Node): boolean {
    const { name } = node.metadata;
    const known = this.#nodes.get(name);
    if (known) return this.#changeNode(known, node);
    const info: NodeInfo = {
      name,
      node,
      ...factsOf(node, this.names),
      requested: [0, 0, 0, 0],
      scoring: [0, 0],
      pods: new Map(),
      hostPorts: new Map(),
      repelling: new Map(),
      owners: new Map(),
    };
    this.#nodes.set(name, info);
    this.#list = undefined;
    for (const uid of this.#byNode.get(name) ?? []) {
      const placed = this.#placed.get(uid);
      if (placed) put(info, placed.info);
    }
    return true;
  }

  #changeNode(known: NodeInfo, node: Node): boolean {
    const before = known.node;
    known.node = node;
    const isSame =
      before.spec?.unschedulable === node.spec?.unschedulable &&
      isDeepStrictEqual(before.metadata.labels, node.metadata.labels) &&
      isDeepStrictEqual(before.spec?.taints, node.spec?.taints) &&
      isDeepStrictEqual(before.status?.allocatable, node.status?.allocatable) &&
      before.status?.images?.length === node.status?.images?.length;
    if (isSame) return false;
    Object.assign(known, factsOf(node, this.names));
    return true;
  }

  deleteNode(name: string): void {
    this.#nodes.delete(name);
    this.#list = undefined;
  }

  /** Takes a pod over that is on a node, replacing what was assumed or known; true when it was not known as bound. */
  setPod(pod: Pod): boolean {
    const nodeName = pod.spec.nodeName ?? '';
    const known = this.#placed.get(pod.metadata.uid);
    if (known && known.nodeName === nodeName && isSamePod(known.info.pod, pod)) {
      if (known.isAssumed) this.#placed.set(known.info.uid, { ...known, isAssumed: false });
      return known.isAssumed;
    }
    this.#place(this.read(pod), nodeName, false);
    return true;
  }

  /** Counts a pod as being on a node before it is bound. */
  assume(info: PodInfo, nodeName: string): void {
    this.#place(info, nodeName, true);
  }

  /** Takes an assumption back; a pod that has been seen on its node stays. */
  forget(uid: string): void {
    if (this.#placed.get(uid)?.isAssumed) this.deletePod(uid);
  }

  /** Whether a pod counts as being on a node. */
  has(uid: string): boolean {
    return this.#placed.has(uid);
  }

  /** Takes a pod away; false when it was not there. */
  deletePod(uid: string): boolean {
    const placed = this.#placed.get(uid);
    if (!placed) return false;
    this.#placed.delete(uid);
    this.#byNode.get(placed.nodeName)?.delete(uid);
    if (this.#byNode.get(placed.nodeName)?.size === 0) this.#byNode.delete(placed.nodeName);
    const node = this.#nodes.get(placed.nodeName);
    if (node) take(node, placed.info);
    return true;
  }

  /** Keeps room on a node for a pod, until it is placed or gone. */
  nominate(info: PodInfo, nodeName: string): void {
    this.#nominated.set(info.uid, { info, nodeName });
  }

  /** The pod needs no room kept any more. */
  unnominate(uid: string): void {
    this.#nominated.delete(uid);
  }

  /** The node on which room is kept for a pod. */
  nominatedNode(uid: string): NodeInfo | undefined {
    return this.#nodes.get(this.#nominated.get(uid)?.nodeName ?? '');
  }

  /** A node as `info` is to see it: pods that are at least as important and wait for room there count as being there. */
  seenBy(info: PodInfo, node: NodeInfo): NodeInfo {
    let seen = node;
    for (const { info: other, nodeName } of this.#nominated.values()) {
      const counts =
        nodeName === node.name && other.uid !== info.uid && other.priority >= info.priority;
      if (!counts) continue;
      if (seen === node) seen = copyOf(node);
      put(seen, other);
    }
    return seen;
  }

  #place(info: PodInfo, nodeName: string, isAssumed: boolean): void {
    this.deletePod(info.uid);
    this.#placed.set(info.uid, { info, nodeName, isAssumed });
    const there = this.#byNode.get(nodeName);
    if (there) there.add(info.uid);
    else this.#byNode.set(nodeName, new Set([info.uid]));
    const node = this.#nodes.get(nodeName);
    if (node) put(node, info);
  }
}

function factsOf(node: Node, names: ResourceNames) {
  const images = new Map<string, number>();
  for (const image of node.status?.images ?? []) {
    for (const name of image.names ?? []) images.set(name, image.sizeBytes ?? 0);
  }
  return {
    labels: node.metadata.labels ?? {},
    taints: node.spec?.taints ?? [],
    allocatable: names.add([0, 0, 0, 0], node.status?.allocatable ?? node.status?.capacity),
    images,
  };
}

/** Whether a pod is, for placing, what it was: its status does not matter. */
function isSamePod(a: Pod, b: Pod): boolean {
  if (a.metadata.resourceVersion === b.metadata.resourceVersion) return true;
  return (
    a.metadata.deletionTimestamp === b.metadata.deletionTimestamp &&
    isDeepStrictEqual(a.metadata.labels, b.metadata.labels) &&
    a.metadata.generation === b.metadata.generation &&
    isDeepStrictEqual(
      a.spec.containers.map(({ resources }) => resources),
      b.spec.containers.map(({ resources }) => resources),
    ) &&
    isDeepStrictEqual(givenTo(a), givenTo(b))
  );
}

/** What a pod has of its node, which differs from what it asks for during a resize. */
function givenTo({ status }: Pod): unknown {
  const isPending = status?.conditions?.some(({ type }) => type === 'PodResizePending');
  return [
    isPending,
    status?.containerStatuses?.map(({ resources, allocatedResources: given }) => [
      resources?.requests,
      given,
    ]),
  ];
}

/** A copy on which what-ifs may be tried. */
export function copyOf(node: NodeInfo): NodeInfo {
  return {
    ...node,
    requested: [...node.requested],
    scoring: [...node.scoring],
    pods: new Map(node.pods),
    hostPorts: new Map(node.hostPorts),
    repelling: new Map(node.repelling),
    owners: new Map(node.owners),
  };
}

/** Counts a pod in a node's totals. Also used on copies, to try what-ifs. */
export function put(node: NodeInfo, info: PodInfo): void {
  node.pods.set(info.uid, info);
  if (info.hostPorts.length > 0) node.hostPorts.set(info.uid, info.hostPorts);
  if (info.antiAffinity.length > 0) node.repelling.set(info.uid, info);
  if (info.ownerUid) node.owners.set(info.ownerUid, (node.owners.get(info.ownerUid) ?? 0) + 1);
  count(node, info, 1);
}

/** Takes a pod out of a node's totals. */
export function take(node: NodeInfo, info: PodInfo): void {
  node.pods.delete(info.uid);
  node.hostPorts.delete(info.uid);
  node.repelling.delete(info.uid);
  const left = (node.owners.get(info.ownerUid) ?? 0) - 1;
  if (left > 0) node.owners.set(info.ownerUid, left);
  else node.owners.delete(info.ownerUid);
  count(node, info, -1);
}

function count(node: NodeInfo, info: PodInfo, sign: 1 | -1): void {
  accumulate(node.requested, info.requests, sign);
  node.scoring[0] += sign * info.scoring[0];
  node.scoring[1] += sign * info.scoring[1];
}
