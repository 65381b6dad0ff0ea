/** Time as a dependency, so that tests can move it. The only place that sets timers. */

export interface Clock {
  /** Milliseconds since the epoch, for timestamps: an operator or a time service may move it, by hours, either way. */
  now(): number;
  /** Milliseconds since some fixed moment, never moved: for durations, timeouts and ages within this process. */
  monotonic(): number;
  /** Runs `task` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, task: () => void): () => void;
}

/** Node's setTimeout fires at once above this many milliseconds, so longer waits are cut. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, Math.min(Math.max(delayMs, 0), TIMER_MAX_MS));
    return () => clearTimeout(timer);
  },
};

/**
 * A time that the wall clock noted, carried over to the monotonic one, so that a clock that is moved later changes no
 * duration. A time yet to come (the clock was set back since) counts as now.
 */
export function monotonicOf(notedMs: number, clock: Clock): number {
  return clock.monotonic() - Math.max(0, clock.now() - notedMs);
}

/** Resolves after `delayMs`, or rejects with the signal's reason as soon as it aborts. */
export function sleep(
  delayMs: number,
  signal?: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
