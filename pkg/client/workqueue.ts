/**
 * Keys that wait to be worked on. A key is queued once however often it is added, never runs twice at once, and
 * is queued again if it was added while it ran: after a rest, if it ran long, so that what comes in a stream is worked
 * on in lots. Failures wait longer each time, per key.
 */

import { type Clock, systemClock } from '../wait/clock.ts';

export interface WorkQueueOptions {
  readonly concurrency: number;
  readonly clock?: Clock;
  /** Delay after the first failure of a key; doubles with each. */
  readonly firstMs?: number;
  readonly maxMs?: number;
}

/** Kubernetes' per-key limits (client-go DefaultTypedControllerRateLimiter). */
const FIRST_MS = 5;
const MAX_MS = 1_000_000;

/** A key that ran for longer rests for as long as it ran, at most REST_MAX_MS. */
const RUN_FREE_MS = 10;
const REST_MAX_MS = 100;

/** Works on one key; what it rejects with is the caller's own affair to handle. */
export type Work = (key: string) => Promise<void>;

export class WorkQueue {
  readonly #work: Work;
  readonly #options: WorkQueueOptions;
  readonly #clock: Clock;
  /** Insertion order is the order of work. */
  readonly #ready = new Set<string>();
  readonly #running = new Set<string>();
  /** How to end the rest of those that have run long. */
  readonly #resting = new Map<string, () => void>();
  /** Added while they ran or rested. */
  readonly #again = new Set<string>();
  readonly #delayed = new Map<string, { readonly at: number; readonly cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  #isPaused = true;
  #isClosed = false;
  #idle: (() => void)[] = [];

  constructor(work: Work, options: WorkQueueOptions) {
    this.#work = work;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Begins to work; keys added before wait until then. */
  start(): void {
    this.#isPaused = false;
    this.#pump();
  }

  /** Works on `key` as soon as possible. */
  add(key: string): void {
    if (this.#isClosed) return;
    if (this.#running.has(key) || this.#resting.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#cancelDelay(key);
    this.#ready.add(key);
    this.#pump();
  }

  /** Works on `key` in `delayMs`, or sooner if it is added before. */
  addAfter(key: string, delayMs: number): void {
    if (this.#isClosed) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.monotonic() + delayMs;
    const known = this.#delayed.get(key);
    if (this.#ready.has(key) || (known && known.at <= at)) return;
    known?.cancel();
    const cancel = this.#clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { at, cancel });
  }

  /** Works on `key` again after a delay that grows with each failure. */
  addRateLimited(key: string): void {
    const count = this.#failures.get(key) ?? 0;
    this.#failures.set(key, count + 1);
    const { firstMs = FIRST_MS, maxMs = MAX_MS } = this.#options;
    this.addAfter(key, Math.min(firstMs * 2 ** Math.min(count, 40), maxMs));
  }

  /** After a success: the next failure of `key` waits the first delay again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** How often `key` failed in a row. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Keys that wait, without those that are delayed or running. */
  get length(): number {
    return this.#ready.size;
  }

  /** Drops everything that waits and resolves when nothing runs any more. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#ready.clear();
    this.#again.clear();
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    for (const cancel of this.#resting.values()) cancel();
    this.#resting.clear();
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #rest(key: string, restMs: number): void {
    const cancel = this.#clock.after(restMs, () => {
      this.#resting.delete(key);
      if (this.#again.delete(key)) this.add(key);
    });
    this.#resting.set(key, cancel);
  }

  #cancelDelay(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }

  #pump(): void {
    if (this.#isPaused) return;
    for (const key of this.#ready) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#ready.delete(key);
      this.#running.add(key);
      const startMs = this.#clock.monotonic();
      // Work handles its own errors; a rejection here is a defect and must not leave the key marked as running.
      this.#work(key).then(
        () => this.#done(key, startMs),
        (error: unknown) => {
          this.#done(key, startMs);
          throw error;
        },
      );
    }
  }

  #done(key: string, startMs: number): void {
    this.#running.delete(key);
    const ranMs = this.#clock.monotonic() - startMs;
    if (ranMs > RUN_FREE_MS && !this.#isClosed) this.#rest(key, Math.min(ranMs, REST_MAX_MS));
    else if (this.#again.delete(key)) this.add(key);
    if (this.#isClosed && this.#running.size === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
    this.#pump();
  }
}
