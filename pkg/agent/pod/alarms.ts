/** The timers of one pod's worker, by name: one of each at a time. Times are the monotonic clock's. */

import type { Clock } from '../../wait/clock.ts';

export type AlarmName = 'wake' | 'publish' | 'deadline';

export class Alarms {
  readonly #clock: Clock;
  readonly #cancels = new Map<AlarmName, () => void>();
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs the task at that time, instead of what was to run; never when the time is infinite. */
  set(name: AlarmName, atMs: number, task: () => void): void {
    this.clear(name);
    if (!Number.isFinite(atMs) || this.#isClosed) return;
    const cancel = this.#clock.after(Math.max(atMs - this.#clock.monotonic(), 0), () => {
      this.#cancels.delete(name);
      // A timer is shorter than some waits.
      if (this.#clock.monotonic() < atMs) this.set(name, atMs, task);
      else task();
    });
    this.#cancels.set(name, cancel);
  }

  /** The same at the first of the times that there are. */
  setFirst(name: AlarmName, times: readonly (number | undefined)[], task: () => void): void {
    this.set(name, Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY)), task);
  }

  /** Runs the task after a delay, unless one waits already. */
  setIn(name: AlarmName, delayMs: number, task: () => void): void {
    if (!this.#cancels.has(name)) this.set(name, this.#clock.monotonic() + delayMs, task);
  }

  clear(name: AlarmName): void {
    this.#cancels.get(name)?.();
    this.#cancels.delete(name);
  }

  close(): void {
    this.#isClosed = true;
    for (const name of this.#cancels.keys()) this.clear(name);
  }
}
