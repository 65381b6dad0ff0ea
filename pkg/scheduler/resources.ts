/** Amounts as arrays of numbers: the position says of which resource, so that the hot loop only compares numbers. */

import type { Container, Pod } from '../api/generated/types.ts';
import { containerRequests } from '../api/pod-resources.ts';
import { bytes, cpuMilli } from '../api/quantity.ts';

/** Amounts by position; a missing position is zero. */
export type Amounts = number[];

type Quantities = Readonly<Record<string, string>>;

export const CPU = 0;
export const MEMORY = 1;
/** After ephemeral-storage at 2. */
export const PODS = 3;

/** What a container without requests counts as when nodes are scored, as in Kubernetes. */
const NONZERO_CPU_MILLI = 100;
const NONZERO_MEMORY_BYTES = 200 * 1024 * 1024;

/** The positions of resources; extended ones get theirs when first seen. */
export class ResourceNames {
  readonly #names = ['cpu', 'memory', 'ephemeral-storage', 'pods'];
  readonly #positions = new Map(this.#names.map((name, position) => [name, position]));

  /** The name at a position. */
  at(position: number): string {
    return this.#names[position] ?? '';
  }

  /** Adds quantities to amounts. CPU counts in thousandths, all else in whole units. */
  add(amounts: Amounts, quantities: Quantities = {}): Amounts {
    for (const [name, quantity] of Object.entries(quantities)) {
      const position = this.#position(name);
      const value = position === CPU ? cpuMilli(quantity) : bytes(quantity);
      amounts[position] = (amounts[position] ?? 0) + value;
    }
    return fill(amounts);
  }

  #position(name: string): number {
    const known = this.#positions.get(name);
    if (known !== undefined) return known;
    const position = this.#names.length;
    this.#names.push(name);
    this.#positions.set(name, position);
    return position;
  }
}

/** No hole may stay in an array of the hot loop. */
function fill(amounts: Amounts): Amounts {
  for (let i = 0; i < amounts.length; i += 1) amounts[i] ??= 0;
  return amounts;
}

/** Adds `b` to `a`, or takes it away with sign -1. */
export function accumulate(a: Amounts, b: Amounts, sign: 1 | -1): void {
  for (let i = 0; i < b.length; i += 1) a[i] = (a[i] ?? 0) + sign * (b[i] ?? 0);
}

/** The larger of each, into `a`. */
function raise(a: Amounts, b: Amounts): void {
  for (let i = 0; i < b.length; i += 1) a[i] = Math.max(a[i] ?? 0, b[i] ?? 0);
}

function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/**
 * What a pod needs: its containers and sidecars together, or the most that any init container needs beside the
 * sidecars started before it; plus overhead; pod-level requests take precedence.
 */
export function requestsOf(pod: Pod, names: ResourceNames): Amounts {
  const { spec } = pod;
  const total: Amounts = [0, 0, 0, 0];
  const requests = containerRequests(pod);
  for (const container of spec.containers) names.add(total, requests(container));
  const sidecars: Amounts = [0, 0, 0, 0];
  const initPeak: Amounts = [0, 0, 0, 0];
  for (const container of spec.initContainers ?? []) {
    if (isSidecar(container)) {
      names.add(sidecars, requests(container));
      raise(initPeak, sidecars);
    } else {
      raise(initPeak, names.add([...sidecars], requests(container)));
    }
  }
  accumulate(total, sidecars, 1);
  raise(total, initPeak);
  const own = spec.resources?.requests;
  if (own) overrule(total, names.add([], own));
  names.add(total, spec.overhead);
  total[PODS] = 1;
  return total;
}

function overrule(total: Amounts, own: Amounts): void {
  own.forEach((amount, position) => {
    if (amount > 0) total[position] = amount;
  });
}

/** CPU and memory for scoring: containers that ask for nothing count as something. */
export function scoringRequests(
  pod: Pod,
  requests: Amounts,
): readonly [cpu: number, memory: number] {
  const lackCpu = pod.spec.containers.filter(({ resources }) => !resources?.requests?.['cpu']);
  const lackMemory = pod.spec.containers.filter(
    ({ resources }) => !resources?.requests?.['memory'],
  );
  return [
    (requests[CPU] ?? 0) + lackCpu.length * NONZERO_CPU_MILLI,
    (requests[MEMORY] ?? 0) + lackMemory.length * NONZERO_MEMORY_BYTES,
  ];
}
