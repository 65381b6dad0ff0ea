/** Which pod goes first, and what it is told. Source: kubelet eviction helpers. Pure. */

import type { Pod } from '../../api/generated/types.ts';
import { amountOf, podAmount } from '../../api/pod-resources.ts';
import type { Signal, Threshold } from '../node/kubelet-args.ts';
import { resolveAmount } from '../node/reservations.ts';
import type { Observation } from './signals.ts';
import { kindOf } from './thresholds.ts';

export interface ContainerUsage {
  readonly name: string;
  readonly memoryBytes: number;
  /** Writable layer and logs. */
  readonly diskBytes: number;
}

export interface PodUsage {
  readonly pod: Pod;
  readonly memoryBytes: number;
  readonly pids: number;
  /** Of its containers and its volumes on disk. */
  readonly diskBytes: number;
  readonly diskInodes: number;
  readonly containers: readonly ContainerUsage[];
}

/** Priorities from here on are the system's. */
const SYSTEM_CRITICAL = 2_000_000_000;

/** Whether the node needs the pod so much that it never evicts it. */
export function isCritical({ metadata, spec }: Pod): boolean {
  const source = metadata.annotations?.['kubernetes.io/config.source'];
  const isStatic = source !== undefined && source !== 'api';
  return isStatic || (spec.priority ?? 0) >= SYSTEM_CRITICAL;
}

/** Pods in the order in which they are to go: above their requests first, then lower priority, then larger use. */
export function rank(usages: readonly PodUsage[], signal: Signal): readonly PodUsage[] {
  const measure = measureOf(signal);
  return usages.toSorted(
    (a, b) =>
      Number(measure.isAbove(b)) - Number(measure.isAbove(a)) ||
      (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0) ||
      measure.excess(b) - measure.excess(a),
  );
}

interface Measure {
  isAbove(usage: PodUsage): boolean;
  excess(usage: PodUsage): number;
}

function measureOf(signal: Signal): Measure {
  const kind = kindOf(signal);
  if (kind === 'pids') return { isAbove: () => false, excess: ({ pids }) => pids };
  const isInodes = signal.endsWith('inodesFree');
  const excess = (usage: PodUsage) => {
    if (isInodes) return usage.diskInodes;
    return kind === 'memory'
      ? usage.memoryBytes - podAmount(usage.pod, 'requests', 'memory')
      : usage.diskBytes - podAmount(usage.pod, 'requests', 'ephemeral-storage');
  };
  return { isAbove: (usage) => !isInodes && excess(usage) > 0, excess };
}

/** The resource that a signal is about, as messages name it. */
export function resourceOf(signal: Signal): string {
  if (signal === 'memory.available') return 'memory';
  if (signal === 'pid.available') return 'pids';
  return signal.endsWith('inodesFree') ? 'inodes' : 'ephemeral-storage';
}

/** What an evicted pod's status and event say. */
export function evictionMessage(
  { pod, containers }: PodUsage,
  threshold: Threshold,
  observation: Observation | undefined,
): string {
  const resource = resourceOf(threshold.signal);
  const head = `The node was low on resource: ${resource}. `;
  const amounts = observation
    ? `Threshold quantity: ${shown(resolveAmount(threshold.below, observation.capacity), resource)}, available: ${shown(observation.available, resource)}. `
    : '';
  if (resource !== 'memory' && resource !== 'ephemeral-storage') return head + amounts;
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const lines = containers.map(({ name, memoryBytes, diskBytes }) => {
    const used = resource === 'memory' ? memoryBytes : diskBytes;
    const request = all.find((one) => one.name === name)?.resources?.requests?.[resource];
    if (used <= amountOf(resource, request)) return '';
    return `Container ${name} was using ${shown(used, resource)}, request is ${request ?? '0'}, has larger consumption of ${resource}. `;
  });
  return head + amounts + lines.join('');
}

const KIB = 1024;

/** Bytes in whole kibibytes, as the kubelet's messages mostly have them; numbers as they are. */
function shown(amount: number, resource: string): string {
  const isBytes = resource === 'memory' || resource === 'ephemeral-storage';
  if (!isBytes || amount < KIB) return String(Math.floor(amount));
  return amount % KIB === 0 ? compact(amount) : `${Math.floor(amount / KIB)}Ki`;
}

/** In the largest unit that keeps it exact: 104857600 is 100Mi. */
export function compact(amount: number): string {
  let left = amount;
  let unit = 0;
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'];
  while (left % KIB === 0 && unit < units.length - 1) {
    left /= KIB;
    unit += 1;
  }
  return `${left}${units[unit]}`;
}
