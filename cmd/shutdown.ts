/** Turns SIGTERM, SIGINT and the supervisor's end into one AbortSignal; a second signal ends the process at once. */

import { Socket } from 'node:net';

export interface Shutdown {
  readonly signal: AbortSignal;
  /** Resolves at the first signal. */
  readonly asked: Promise<void>;
  /** Has SIGTERM run this first; SIGINT and the supervisor's end do not wait for it. It never rejects. */
  beforeTerm(task: () => Promise<void>): void;
  /** The line that the supervisor writes to standard input once its server answers; absent without a supervisor. */
  readonly goAhead?: Promise<string>;
}

const EXIT_FORCED = 1;

/** Also ends when standard input does, if MINI_LIFELINE is set: a supervised process ends with its supervisor. */
export function shutdownSignal(): Shutdown {
  const controller = new AbortController();
  const asked = Promise.withResolvers<void>();
  let before: () => Promise<void> = () => Promise.resolve();
  let isAsked = false;
  const end = () => {
    if (controller.signal.aborted) return;
    controller.abort(new Error('mini is stopping'));
    asked.resolve();
  };
  const ask = (task: () => Promise<void>) => {
    if (isAsked || controller.signal.aborted) process.exit(EXIT_FORCED);
    isAsked = true;
    void task().then(end);
  };
  process.on('SIGTERM', () => ask(() => before()));
  process.on('SIGINT', () => ask(() => Promise.resolve()));
  const stopping: Shutdown = {
    signal: controller.signal,
    asked: asked.promise,
    beforeTerm(task) {
      before = task;
    },
  };
  if (process.env['MINI_LIFELINE'] === undefined) return stopping;
  return { ...stopping, goAhead: followLifeline(end) };
}

/** Resolves to the first line. The pipe alone must not keep a process alive that has nothing left to do. */
function followLifeline(end: () => void): Promise<string> {
  const lifeline = new Socket({ fd: process.stdin.fd, readable: true, writable: false });
  const line = Promise.withResolvers<string>();
  let text = '';
  lifeline.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const at = text.indexOf('\n');
    if (at >= 0) line.resolve(text.slice(0, at));
  });
  lifeline.on('end', end).on('error', end).unref();
  return line.promise;
}
