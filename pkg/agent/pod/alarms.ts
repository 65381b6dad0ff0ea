/** The timers of one pod's worker, by name: one of each at a time. */

import type { Clock } from '../../wait/clock.ts';

export type AlarmName = 'wake' | 'publish' | 'deadline';

export class Alarms {
  readonly #clock: Clock;
  readonly #cancels = new Map<AlarmName, () => void>();
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(name: AlarmName): boolean {
    return this.#cancels.has(name);
  }

  /** Runs the task at that time, instead of what was to run; never when the time is infinite. */
  set(name: AlarmName, atMs: number, task: () => void): void {
    this.clear(name);
    if (!Number.isFinite(atMs) || this.#isClosed) return;
    const cancel = this.#clock.after(Math.max(atMs - this.#clock.now(), 0), () => {
      this.#cancels.delete(name);
      // A timer is shorter than some waits.
      if (this.#clock.now() < atMs) this.set(name, atMs, task);
      else task();
    });
    this.#cancels.set(name, cancel);
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
