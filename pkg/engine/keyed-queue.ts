/** Runs tasks of one key one after another; those of different keys at once. */

export class KeyedQueue {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const tail = this.#tails.get(key);
    const result = tail === undefined ? task() : tail.then(task, task);
    const settled = result
      .catch(() => undefined)
      .then(() => {
        if (this.#tails.get(key) === settled) this.#tails.delete(key);
      });
    this.#tails.set(key, settled);
    return result;
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}
