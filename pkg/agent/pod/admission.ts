/**
 * Which of the pods that are bound to this node it takes, and what those that it has taken hold: kept as sums, so that
 * a new pod is compared with numbers, not with hundreds of pods.
 */

import type { Node, Pod } from '../../api/generated/types.ts';
import { podAmount } from '../../api/pod-resources.ts';
import { REJECTION } from '../node/shutdown.ts';
import { COUNT, type HostPort, hostPorts, misfitOf, type Refusal } from './node-fit.ts';

interface AdmissionOptions {
  readonly allocatable: Readonly<Record<string, string>>;
  /** The node as the API has it; undefined before it has told. */
  node(): Node | undefined;
}

interface Share {
  readonly generation: number | undefined;
  readonly amounts: ReadonlyMap<string, number>;
  readonly ports: readonly HostPort[];
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #shares = new Map<string, Share>();
  readonly #used = new Map<string, number>();
  #isClosed = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** The host goes down: no more pods. */
  close(): void {
    this.#isClosed = true;
  }

  /** Takes a pod that is new to this node; why not, if it does not. */
  admit(pod: Pod): Refusal | undefined {
    if (this.#shares.has(pod.metadata.uid)) return undefined;
    if (this.#isClosed) return REJECTION;
    const { allocatable, node } = this.#options;
    const ports = [...this.#shares.values()].flatMap((share) => share.ports);
    const refusal = misfitOf(pod, { allocatable, node: node(), used: this.#used, ports });
    if (refusal === undefined) this.take(pod);
    return refusal;
  }

  /** Counts a pod that runs here already, again when it has changed. */
  take(pod: Pod): void {
    const { uid, generation } = pod.metadata;
    const before = this.#shares.get(uid);
    if (before && before.generation === generation) return;
    this.release(uid);
    const names = Object.keys(this.#options.allocatable);
    const amounts = new Map(names.map((name) => [name, shareOf(pod, name)]));
    for (const [name, amount] of amounts) this.#add(name, amount);
    this.#shares.set(uid, { generation, amounts, ports: hostPorts(pod) });
  }

  /** The pod has ended. */
  release(uid: string): void {
    for (const [name, amount] of this.#shares.get(uid)?.amounts ?? []) this.#add(name, -amount);
    this.#shares.delete(uid);
  }

  #add(name: string, amount: number): void {
    this.#used.set(name, (this.#used.get(name) ?? 0) + amount);
  }
}

function shareOf(pod: Pod, name: string): number {
  return name === COUNT ? 1 : podAmount(pod, 'requests', name);
}
