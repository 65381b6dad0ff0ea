/**
 * Hands decided writes to the journal in batches: at most BATCHES_IN_FLIGHT_MAX are with it, and what arrives
 * meanwhile becomes the next one, so that thousands of writers share one sync. Keeps a stock of revisions that the
 * journal has promised never to use again, from which volatile writes are acknowledged without a sync.
 */

import type { Journal, LogEntry } from './journal.ts';

/** One batch syncs while the next is packed; more would only add latency. */
const BATCHES_IN_FLIGHT_MAX = 2;
/** Writes in a batch; bounds how long packing one holds the event loop, and how long its transaction takes. */
const BATCH_MAX = 256;
/** Revisions reserved ahead of use, and how few may be left before more are. */
const RESERVE_STEP = 100_000;
const RESERVE_MARGIN = 50_000;

export interface Outgoing {
  readonly entry: LogEntry;
  isDurable: boolean;
}

export interface PipelineOptions {
  readonly journal: Journal;
  /** No revision up to this one will be used again after a crash. */
  readonly reserved: number;
  /** The greatest revision decided so far. */
  assigned(): number;
  /** After each batch: its writes are marked durable, or `error` says why they are not. */
  onSettled(error: Error | undefined): void;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  #unsent: Outgoing[] = [];
  #inFlight = 0;
  #isScheduled = false;
  #isReserving = false;
  #reserved: number;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#reserved = options.reserved;
  }

  get reserved(): number {
    return this.#reserved;
  }

  /** Queues a durable write, or nothing, and sends at the end of this turn: all writes of a turn share a batch. */
  add(write?: Outgoing): void {
    if (write) this.#unsent.push(write);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#send();
    });
  }

  /** Forgets what was not handed over yet. */
  drop(): void {
    this.#unsent = [];
  }

  /** Writes a batch of its own, beside the queue. */
  write(entries: readonly LogEntry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#append(entries, this.#reserved, (error) => (error ? reject(error) : resolve()));
    });
  }

  #send(): void {
    while (
      this.#inFlight < BATCHES_IN_FLIGHT_MAX &&
      (this.#unsent.length > 0 || this.#mustReserve())
    ) {
      const batch = this.#unsent.splice(0, BATCH_MAX);
      const reserve = this.#mustReserve()
        ? this.#options.assigned() + RESERVE_STEP
        : this.#reserved;
      const isReserving = reserve > this.#reserved;
      if (isReserving) this.#isReserving = true;
      this.#append(
        batch.map(({ entry }) => entry),
        reserve,
        (error) => {
          if (isReserving) this.#isReserving = false;
          if (error) return;
          this.#reserved = Math.max(this.#reserved, reserve);
          for (const write of batch) write.isDurable = true;
        },
      );
    }
  }

  #mustReserve(): boolean {
    return !this.#isReserving && this.#options.assigned() + RESERVE_MARGIN > this.#reserved;
  }

  #append(
    entries: readonly LogEntry[],
    reserve: number,
    settle: (error: Error | undefined) => void,
  ): void {
    this.#inFlight += 1;
    this.#options.journal.append(entries, reserve, (error) => {
      this.#inFlight -= 1;
      settle(error);
      this.#options.onSettled(error);
      // After a failure nothing is sent until a new write comes: the journal refuses everything anyway.
      if (!error) this.#send();
    });
  }
}
