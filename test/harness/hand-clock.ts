/** A clock that stands still until a test lets time pass, all at once: what is due then runs before pass() returns. */

import type { Clock } from '../../pkg/wait/clock.ts';

export interface HandClock extends Clock {
  /** Time passes: timers that are due run, in the order in which they were set. */
  pass(ms: number): void;
  /** Timers that wait. */
  pending(): number;
}

export function handClock(startMs = 0): HandClock {
  let nowMs = startMs;
  const timers = new Set<{ readonly atMs: number; readonly task: () => void }>();
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    after(delayMs, task) {
      const timer = { atMs: nowMs + delayMs, task };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    pass(ms) {
      nowMs += ms;
      for (const timer of [...timers].filter(({ atMs }) => atMs <= nowMs))
        if (timers.delete(timer)) timer.task();
    },
    pending: () => timers.size,
  };
}
