/**
 * The live watches of a store. An applied batch is filtered once per distinct prefix, and all watchers of that
 * prefix share the result. A watcher that lags is cut off, never waited for.
 */

import { type StoreEvent, type Watch, WatchTooSlow } from './backend.ts';

/** Events that may wait for one reader before it is cut off. */
const WATCH_QUEUE_MAX_EVENTS = 20_000;

export class Watchers {
  readonly #byPrefix = new Map<string, Set<Watcher>>();

  get size(): number {
    let total = 0;
    for (const watchers of this.#byPrefix.values()) total += watchers.size;
    return total;
  }

  /** Adds a watcher that first yields `backlog`; with a promise, what is applied meanwhile queues behind it. */
  add(prefix: string, backlog: readonly StoreEvent[] | Promise<readonly StoreEvent[]>): Watch {
    const watcher = new Watcher(backlog, () => this.#remove(prefix, watcher));
    const watchers = this.#byPrefix.get(prefix);
    if (watchers) watchers.add(watcher);
    else this.#byPrefix.set(prefix, new Set([watcher]));
    return watcher;
  }

  /** Tells every watcher of the events that concern it. */
  publish(events: readonly StoreEvent[]): void {
    for (const [prefix, watchers] of this.#byPrefix) {
      const matching = events.filter((event) => event.current.key.startsWith(prefix));
      if (matching.length === 0) continue;
      for (const watcher of watchers) watcher.push(matching);
    }
  }

  /** Ends every watch. */
  close(): void {
    for (const watchers of [...this.#byPrefix.values()])
      for (const watcher of [...watchers]) watcher.close();
  }

  #remove(prefix: string, watcher: Watcher): void {
    const watchers = this.#byPrefix.get(prefix);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#byPrefix.delete(prefix);
  }
}

class Watcher implements Watch {
  #queue: (readonly StoreEvent[])[] = [];
  #waiting = 0;
  #isBacklogPending = false;
  #isEnded = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onEnd: () => void;

  constructor(backlog: readonly StoreEvent[] | Promise<readonly StoreEvent[]>, onEnd: () => void) {
    this.#onEnd = onEnd;
    if (backlog instanceof Promise) {
      this.#isBacklogPending = true;
      backlog.then(
        (events) => this.#backlogRead(events),
        (error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))),
      );
    } else if (backlog.length > 0) {
      this.#queue.push(backlog);
    }
  }

  push(events: readonly StoreEvent[]): void {
    this.#queue.push(events);
    this.#waiting += events.length;
    if (this.#waiting > WATCH_QUEUE_MAX_EVENTS) {
      this.#queue = [];
      this.#fail(new WatchTooSlow(`reader lags by more than ${WATCH_QUEUE_MAX_EVENTS} events`));
    }
    this.#notify();
  }

  close(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#queue = [];
    this.#onEnd();
    this.#notify();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly StoreEvent[]> {
    try {
      while (true) {
        const batch = this.#isBacklogPending ? undefined : this.#queue.shift();
        if (batch) {
          this.#waiting = Math.max(this.#waiting - batch.length, 0);
          yield batch;
        } else if (this.#error) {
          throw this.#error;
        } else if (this.#isEnded) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.close();
    }
  }

  #backlogRead(events: readonly StoreEvent[]): void {
    this.#isBacklogPending = false;
    if (events.length > 0 && !this.#isEnded) this.#queue.unshift(events);
    this.#notify();
  }

  #fail(error: Error): void {
    this.#isBacklogPending = false;
    this.#error ??= error;
    this.#onEnd();
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
