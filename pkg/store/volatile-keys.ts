/** Volatile writes that are not on disk yet, the last of each key; written lazily to spare flash. */

import type { Clock } from '../wait/clock.ts';
import type { LogEntry } from './journal.ts';

/** How long a Lease or an Event may be in memory only. */
const LAZY_FLUSH_MS = 60_000;

export class VolatileKeys {
  readonly #dirty = new Map<string, LogEntry>();
  readonly #clock: Clock;
  readonly #flush: () => Promise<void>;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, flush: () => Promise<void>) {
    this.#clock = clock;
    this.#flush = flush;
  }

  add(entry: LogEntry): void {
    this.#dirty.set(entry.key, entry);
    this.#arm();
  }

  /** Whether the key's last value is in memory only. */
  has(key: string): boolean {
    return this.#dirty.has(key);
  }

  /** Hands over what is to be written, in the order of revisions. */
  take(): LogEntry[] {
    const entries = [...this.#dirty.values()].sort((a, b) => a.revision - b.revision);
    this.#dirty.clear();
    this.#cancel?.();
    this.#cancel = undefined;
    return entries;
  }

  /** Takes entries back whose writing failed, unless newer ones came. */
  putBack(entries: readonly LogEntry[]): void {
    for (const entry of entries) if (!this.#dirty.has(entry.key)) this.#dirty.set(entry.key, entry);
    this.#arm();
  }

  close(): void {
    this.#cancel?.();
  }

  #arm(): void {
    this.#cancel ??= this.#clock.after(LAZY_FLUSH_MS, () => {
      this.#cancel = undefined;
      // A failure puts the entries back and arms the timer again; the store has logged it.
      this.#flush().catch(() => undefined);
    });
  }
}
