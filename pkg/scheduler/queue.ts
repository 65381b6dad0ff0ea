/**
 * Pods that wait for a node: active ones in order of priority and age; those that found none wait until something
 * changes, and at least for a backoff that grows with each attempt; gated ones until their gates are gone.
 */

import type { Pod } from '../api/generated/types.ts';
import type { Clock } from '../wait/clock.ts';

/** Kubernetes begins with a second. A try here takes microseconds, and a node that has just become ready is worth one. */
const BACKOFF_FIRST_MS = 50;
/** As Kubernetes' podMaxBackoffSeconds. */
const BACKOFF_MAX_MS = 10_000;
/** A pod that found no node is tried again after this long even if nothing seems to have changed. */
const UNSCHEDULABLE_MAX_MS = 5 * 60_000;

interface Entry {
  pod: Pod;
  attempts: number;
  state: 'active' | 'placing' | 'unschedulable';
  /** When its backoff ends. */
  readyAt: number;
  /** Something changed while it was being placed: its failure may be out of date. */
  isStale: boolean;
  cancel: () => void;
}

export interface QueueOptions {
  readonly clock: Clock;
  /** Called when there is work. */
  readonly wake: () => void;
}

export class SchedulingQueue {
  readonly #options: QueueOptions;
  readonly #entries = new Map<string, Entry>();
  /** In no order; sorted when taken. */
  #active = new Set<Entry>();

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** How many pods wait, in whatever state. */
  get size(): number {
    return this.#entries.size;
  }

  /** Takes over a pod without a node, new or changed. */
  set(pod: Pod): void {
    const known = this.#entries.get(pod.metadata.uid);
    if ((pod.spec.schedulingGates?.length ?? 0) > 0) {
      this.delete(pod.metadata.uid);
      return;
    }
    if (known) {
      const isChanged = known.pod.metadata.generation !== pod.metadata.generation;
      known.pod = pod;
      if (isChanged) this.#retry(known);
      return;
    }
    const entry: Entry = {
      pod,
      attempts: 0,
      state: 'active',
      readyAt: 0,
      isStale: false,
      cancel: () => undefined,
    };
    this.#entries.set(pod.metadata.uid, entry);
    this.#activate(entry);
  }

  /** The pod is gone or has a node. */
  delete(uid: string): void {
    const entry = this.#entries.get(uid);
    if (!entry) return;
    entry.cancel();
    this.#active.delete(entry);
    this.#entries.delete(uid);
  }

  /** Takes up to `limit` active pods out to be placed: highest priority first, then oldest. */
  take(limit: number): Pod[] {
    const ordered = [...this.#active].sort(inOrder).slice(0, limit);
    for (const entry of ordered) {
      this.#active.delete(entry);
      entry.state = 'placing';
      entry.isStale = false;
      entry.attempts += 1;
    }
    return ordered.map(({ pod }) => pod);
  }

  /** Whether pods are ready to be placed. */
  get hasActive(): boolean {
    return this.#active.size > 0;
  }

  /** No node was found: the pod waits for a change. */
  park(uid: string): void {
    const entry = this.#entries.get(uid);
    if (!entry) return;
    entry.state = 'unschedulable';
    entry.readyAt = this.#options.clock.monotonic() + backoffMs(entry.attempts);
    if (entry.isStale) this.#retry(entry);
    else this.#wait(entry, UNSCHEDULABLE_MAX_MS);
  }

  /** Placing failed for a reason that passes (a conflict, a lost connection): again after the backoff. */
  retryLater(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry) entry.isStale = true;
    this.park(uid);
  }

  /** Something changed that may let pods be placed: all that wait, or those that `concerns` names. */
  changed(concerns?: (pod: Pod) => boolean): void {
    for (const entry of this.#entries.values()) {
      if (!concerns || concerns(entry.pod)) this.#retry(entry);
    }
  }

  close(): void {
    for (const uid of [...this.#entries.keys()]) this.delete(uid);
  }

  #retry(entry: Entry): void {
    if (entry.state === 'placing') entry.isStale = true;
    if (entry.state !== 'unschedulable') return;
    const waitMs = entry.readyAt - this.#options.clock.monotonic();
    if (waitMs <= 0) this.#activate(entry);
    else this.#wait(entry, waitMs);
  }

  #wait(entry: Entry, delayMs: number): void {
    entry.cancel();
    entry.cancel = this.#options.clock.after(delayMs, () => this.#activate(entry));
  }

  #activate(entry: Entry): void {
    entry.cancel();
    entry.state = 'active';
    this.#active.add(entry);
    this.#options.wake();
  }
}

function backoffMs(attempts: number): number {
  return Math.min(BACKOFF_FIRST_MS * 2 ** Math.max(0, attempts - 1), BACKOFF_MAX_MS);
}

function inOrder({ pod: a }: Entry, { pod: b }: Entry): number {
  const byPriority = (b.spec.priority ?? 0) - (a.spec.priority ?? 0);
  if (byPriority !== 0) return byPriority;
  if (a.metadata.creationTimestamp === b.metadata.creationTimestamp) return 0;
  return a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1;
}
