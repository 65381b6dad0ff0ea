/** A clock that stands still until a test lets time pass, or moves the wall clock alone as an operator would. */

import type { Clock } from '../../pkg/wait/clock.ts';

export interface MovableClock extends Clock {
  /** Time passes: timers that are due run, in order. */
  pass(ms: number): Promise<void>;
  /** The wall clock is set ahead, or back. */
  move(ms: number): void;
}

export function movableClock(startMs = Date.UTC(2026, 10, 22)): MovableClock {
  let wallMs = startMs;
  let steadyMs = 5_000;
  const timers = new Set<{ readonly atMs: number; readonly task: () => void }>();
  const advance = (ms: number) => {
    wallMs += ms;
    steadyMs += ms;
  };
  return {
    now: () => wallMs,
    monotonic: () => steadyMs,
    after(delayMs, task) {
      const timer = { atMs: steadyMs + Math.max(delayMs, 0), task };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    move(ms) {
      wallMs += ms;
    },
    async pass(ms) {
      const endMs = steadyMs + ms;
      for (;;) {
        const [next] = [...timers].sort((a, b) => a.atMs - b.atMs);
        if (next === undefined || next.atMs > endMs) break;
        timers.delete(next);
        advance(Math.max(next.atMs - steadyMs, 0));
        next.task();
        await new Promise((resolve) => setImmediate(resolve));
      }
      advance(endMs - steadyMs);
    },
  };
}
