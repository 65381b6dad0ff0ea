/** Waits for the end of a container, each time for so long and no longer. */

import type { Clock } from '../wait/clock.ts';
import type { Container } from './container.ts';

export interface ExitWait {
  /** True as soon as it has ended, false after `timeoutMs`. Rejects when `signal` aborts. */
  within(timeoutMs: number): Promise<boolean>;
  cancel(): void;
}

/** Begins to wait for a container that runs. */
export function waitForExit(container: Container, clock: Clock, signal: AbortSignal): ExitWait {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = container.onceExited(resolve);
  return {
    async within(timeoutMs) {
      signal.throwIfAborted();
      const late = Promise.withResolvers<false>();
      const cancelTimer = clock.after(timeoutMs, () => late.resolve(false));
      const onAbort = () => late.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        return await Promise.race([promise.then(() => true), late.promise]);
      } finally {
        cancelTimer();
        signal.removeEventListener('abort', onAbort);
      }
    },
    cancel,
  };
}
