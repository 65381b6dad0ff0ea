/** Work that several callers may want at once: done once, cancelled when the last of them has gone. */

interface Shared<T> {
  readonly result: Promise<T>;
  readonly stop: AbortController;
  waiting: number;
}

export class SharedWork<T> {
  readonly #running = new Map<string, Shared<T>>();

  /** Joins the work under `key`, or begins it. An abort ends this caller's wait only, unless nobody else waits. */
  async join(
    key: string,
    begin: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    signal?.throwIfAborted();
    const shared = this.#running.get(key) ?? this.#begin(key, begin);
    shared.waiting += 1;
    const gone = Promise.withResolvers<never>();
    const onAbort = () => gone.reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([shared.result, gone.promise]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      shared.waiting -= 1;
      if (shared.waiting === 0) {
        shared.stop.abort(signal?.reason);
        if (this.#running.get(key) === shared) this.#running.delete(key);
      }
    }
  }

  /** Cancels all work and waits for its end. */
  async close(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { stop } of running) stop.abort(new Error('closed'));
    await Promise.allSettled(running.map(({ result }) => result));
  }

  #begin(key: string, begin: (signal: AbortSignal) => Promise<T>): Shared<T> {
    const stop = new AbortController();
    const shared: Shared<T> = { result: begin(stop.signal), stop, waiting: 0 };
    this.#running.set(key, shared);
    return shared;
  }
}
