/** Turns SIGTERM, SIGINT and the supervisor's end into one AbortSignal; a second signal ends the process at once. */

import { Socket } from 'node:net';

export interface Shutdown {
  readonly signal: AbortSignal;
  /** Resolves at the first signal. */
  readonly asked: Promise<void>;
  /** The line that the supervisor writes to standard input once its server answers; absent without a supervisor. */
  readonly goAhead?: Promise<string>;
}

const EXIT_FORCED = 1;

/** Also ends when standard input does, if MINI_LIFELINE is set: a supervised process ends with its supervisor. */
export function shutdownSignal(): Shutdown {
  const controller = new AbortController();
  const asked = Promise.withResolvers<void>();
  const ask = () => {
    if (controller.signal.aborted) process.exit(EXIT_FORCED);
    controller.abort(new Error('mini is stopping'));
    asked.resolve();
  };
  process.on('SIGTERM', ask);
  process.on('SIGINT', ask);
  const stopping = { signal: controller.signal, asked: asked.promise };
  if (process.env['MINI_LIFELINE'] === undefined) return stopping;
  return { ...stopping, goAhead: followLifeline(ask) };
}

/** Resolves to the first line. The pipe alone must not keep a process alive that has nothing left to do. */
function followLifeline(ask: () => void): Promise<string> {
  const lifeline = new Socket({ fd: process.stdin.fd, readable: true, writable: false });
  const line = Promise.withResolvers<string>();
  let text = '';
  lifeline.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const end = text.indexOf('\n');
    if (end >= 0) line.resolve(text.slice(0, end));
  });
  lifeline.on('end', ask).on('error', ask).unref();
  return line.promise;
}
