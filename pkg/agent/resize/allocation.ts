/** What a pod was given by its node, which during a resize differs from what its spec asks for. Pure. */

import { isDeepStrictEqual } from 'node:util';
import type { Container, Pod, ResourceRequirements } from '../../api/generated/types.ts';
import { amountOf, podAmount } from '../../api/pod-resources.ts';
import { initContainers, isSidecar, mainContainers } from '../pod/records.ts';

export interface Allocation {
  /** By container; init containers that end are not among them. */
  readonly containers: Readonly<Record<string, ResourceRequirements>>;
  /** Of the pod as a whole. */
  readonly pod?: ResourceRequirements;
}

const RESIZABLE = ['cpu', 'memory'] as const;
const KINDS = ['requests', 'limits'] as const;

/** Containers that can be resized: those that run on. */
export function resizable(pod: Pod): readonly Container[] {
  return [...initContainers(pod).filter(isSidecar), ...mainContainers(pod)];
}

/** What the pod's spec asks for. */
export function allocationOf(pod: Pod): Allocation {
  const { resources } = pod.spec;
  return {
    containers: Object.fromEntries(
      resizable(pod).map((container) => [container.name, container.resources ?? {}]),
    ),
    ...(resources ? { pod: resources } : {}),
  };
}

/** The pod with what it was given instead of what it asks for. */
export function withAllocation(pod: Pod, allocation: Allocation): Pod {
  if (isAllocated(pod, allocation)) return pod;
  const given = (list: readonly Container[]) =>
    list.map((container) => {
      const resources = allocation.containers[container.name];
      return resources ? { ...container, resources } : container;
    });
  const { initContainers: inits, resources: _resources, ...spec } = pod.spec;
  return {
    ...pod,
    spec: {
      ...spec,
      containers: given(spec.containers),
      ...(inits ? { initContainers: given(inits) } : {}),
      ...(allocation.pod ? { resources: allocation.pod } : {}),
    },
  };
}

/** Whether the pod was given what it asks for. */
export function isAllocated(pod: Pod, allocation: Allocation): boolean {
  return isDeepStrictEqual(allocationOf(pod), allocation);
}

/** Names of the resources, cpu and memory, that differ. */
export function changedIn(
  a: ResourceRequirements = {},
  b: ResourceRequirements = {},
): readonly string[] {
  return RESIZABLE.filter((name) =>
    KINDS.some((kind) => amountOf(name, a[kind]?.[name]) !== amountOf(name, b[kind]?.[name])),
  );
}

/** Whether a container has to be started anew to get these resources. */
export function needsRestart(
  { resizePolicy = [] }: Container,
  changed: readonly string[],
): boolean {
  return resizePolicy.some(
    ({ resourceName, restartPolicy }) =>
      restartPolicy === 'RestartContainer' && changed.includes(resourceName),
  );
}

export interface Refusal {
  readonly reason: 'Deferred' | 'Infeasible';
  readonly message: string;
}

interface Room {
  /** CPU in thousandths, memory in bytes. */
  readonly allocatable: { readonly cpu: number; readonly memory: number };
  /** The other pods of the node, with what they were given. */
  readonly others: readonly Pod[];
}

/** Why the node cannot give a pod what it asks for; undefined when it can. Words as the kubelet's. */
export function refusalOfResize(pod: Pod, { allocatable, others }: Room): Refusal | undefined {
  const wanted = (name: 'cpu' | 'memory') => podAmount(pod, 'requests', name);
  for (const name of ['memory', 'cpu'] as const) {
    if (wanted(name) <= allocatable[name]) continue;
    const message = `Node didn't have enough capacity: ${name}, requested: ${wanted(name)}, capacity: ${allocatable[name]}`;
    return { reason: 'Infeasible', message };
  }
  for (const name of RESIZABLE) {
    const used = others.reduce((sum, other) => sum + podAmount(other, 'requests', name), 0);
    if (used + wanted(name) <= allocatable[name]) continue;
    const message = `Node didn't have enough resource: ${name}, requested: ${wanted(name)}, used: ${used}, capacity: ${allocatable[name]}`;
    return { reason: 'Deferred', message };
  }
  return undefined;
}

/** Whether a pod asks for more than it was given. */
export function grows(pod: Pod, allocation: Allocation): boolean {
  const given = withAllocation(pod, allocation);
  return RESIZABLE.some(
    (name) => podAmount(pod, 'requests', name) > podAmount(given, 'requests', name),
  );
}
