/** Waits for the end of a container, each time for so long and no longer. */

import type { Clock } from '../wait/clock.ts';
import type { Container } from './container.ts';

export interface ExitWait {
  /** True as soon as it has ended, false after `timeoutMs`. */
  within(timeoutMs: number): Promise<boolean>;
  cancel(): void;
}

/** Begins to wait for a container that runs. */
export function waitForExit(container: Container, clock: Clock): ExitWait {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = container.onceExited(resolve);
  return {
    within: (timeoutMs) =>
      new Promise<boolean>((tell) => {
        const cancelTimer = clock.after(timeoutMs, () => tell(false));
        const onExit = () => {
          cancelTimer();
          tell(true);
        };
        promise.then(onExit, onExit);
      }),
    cancel,
  };
}
