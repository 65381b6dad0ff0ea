/** Exponential backoff with jitter: how long to wait before the next attempt. */

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Share of each delay that is random, 0 to 1; spreads clients that failed together. */
  readonly jitter?: number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #nextMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  /** The delay before the next attempt; doubles up to maxMs with each call. */
  next(): number {
    const { maxMs, jitter = 0 } = this.#options;
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(this.#nextMs * 2, maxMs);
    return delayMs * (1 - jitter * Math.random());
  }

  /** After a success: the next delay is the first one again. */
  reset(): void {
    this.#nextMs = this.#options.firstMs;
  }
}
