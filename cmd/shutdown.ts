/** Turns SIGTERM and SIGINT into one AbortSignal; a second signal ends the process at once. */

import { Socket } from 'node:net';

export interface Shutdown {
  readonly signal: AbortSignal;
  /** Resolves at the first signal. */
  readonly asked: Promise<void>;
}

const EXIT_FORCED = 1;

/** Also ends when standard input does, if MINI_LIFELINE is set: a supervised process ends with its supervisor. */
export function shutdownSignal(): Shutdown {
  const controller = new AbortController();
  const asked = new Promise<void>((resolve) => {
    const ask = () => {
      if (controller.signal.aborted) process.exit(EXIT_FORCED);
      controller.abort(new Error('mini is stopping'));
      resolve();
    };
    process.on('SIGTERM', ask);
    process.on('SIGINT', ask);
    if (process.env['MINI_LIFELINE'] !== undefined) followLifeline(ask);
  });
  return { signal: controller.signal, asked };
}

/** The pipe alone must not keep a process alive that has nothing left to do. */
function followLifeline(ask: () => void): void {
  const lifeline = new Socket({ fd: process.stdin.fd, readable: true, writable: false });
  lifeline.on('end', ask).on('error', ask).resume().unref();
}
