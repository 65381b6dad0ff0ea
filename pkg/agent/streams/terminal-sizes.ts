/** The sizes a client's terminal takes. The latest is kept until somebody listens: it may come before the process is there. */

import { sleep } from '../../wait/clock.ts';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export class TerminalSizes {
  readonly #first = Promise.withResolvers<void>();
  #latest: Size | undefined;
  #listener: ((size: Size) => void) | undefined;

  /** Tells of a new size; one without columns or rows changes nothing. */
  push(size: Size): void {
    if (size.columns <= 0 || size.rows <= 0) return;
    this.#latest = size;
    this.#first.resolve();
    this.#listener?.(size);
  }

  /** Calls `listener` with the latest size, if there is one, and with each that follows. */
  listen(listener: (size: Size) => void): void {
    this.#listener = listener;
    if (this.#latest) listener(this.#latest);
  }

  /** The latest size; waits up to `withinMs` for the first. */
  async latest(withinMs: number): Promise<Size | undefined> {
    const waiting = new AbortController();
    const timeout = sleep(withinMs, waiting.signal).catch(() => undefined);
    await Promise.race([this.#first.promise, timeout]);
    waiting.abort();
    return this.#latest;
  }
}
