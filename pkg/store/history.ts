/** The latest events in memory, oldest first, bounded in number and bytes; watches resume from it without a disk. */

import type { StoreEvent } from './backend.ts';

interface HistoryLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

const LIMITS: HistoryLimits = { maxEvents: 20_000, maxBytes: 16 * 1024 * 1024 };
/** Dropped slots are reclaimed once they outnumber the live ones by this many. */
const SLACK = 1024;

export class History {
  readonly #limits: HistoryLimits;
  #events: StoreEvent[] = [];
  #head = 0;
  #bytes = 0;
  /** Every event with a revision greater than this is held. */
  #floor: number;

  constructor(floor: number, limits = LIMITS) {
    this.#limits = limits;
    this.#floor = floor;
  }

  get floor(): number {
    return this.#floor;
  }

  /** Keeps copies: what others hang on a value while it is current is not held by its history. */
  push({ type, current, previous }: StoreEvent): void {
    const event = { type, current: { ...current }, previous: previous && { ...previous } };
    this.#events.push(event);
    this.#bytes += event.current.value.length;
    while (
      this.#events.length - this.#head > this.#limits.maxEvents ||
      (this.#bytes > this.#limits.maxBytes && this.#events.length - this.#head > 1)
    ) {
      this.#drop();
    }
  }

  /** Forgets events up to and including this revision. */
  forget(revision: number): void {
    for (let oldest = this.#events[this.#head]; oldest && oldest.current.revision <= revision; ) {
      this.#drop();
      oldest = this.#events[this.#head];
    }
    this.#floor = Math.max(this.#floor, revision);
  }

  /** Events under a prefix with a revision greater than `after`, which must not be below the floor. */
  since(prefix: string, after: number): StoreEvent[] {
    let low = this.#head;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.current.revision ?? 0) <= after) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low).filter((event) => event.current.key.startsWith(prefix));
  }

  #drop(): void {
    const oldest = this.#events[this.#head];
    if (!oldest) return;
    this.#floor = oldest.current.revision;
    this.#bytes -= oldest.current.value.length;
    this.#head += 1;
    if (this.#head > SLACK && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }
}
