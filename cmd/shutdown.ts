/** Turns SIGTERM and SIGINT into one AbortSignal; a second signal ends the process at once. */

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
    if (process.env['MINI_LIFELINE'] !== undefined)
      process.stdin.on('end', ask).on('error', ask).resume();
  });
  return { signal: controller.signal, asked };
}
