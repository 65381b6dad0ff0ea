/** What was given out to objects that are not stored yet, so that two creates at once never get the same. */

/** A write takes far less; one that failed frees what it held after this. */
const HOLD_MS = 30_000;

export class Reservations {
  readonly #until = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  has(key: string): boolean {
    const until = this.#until.get(key);
    return until !== undefined && until > this.#now();
  }

  add(key: string): void {
    for (const [old, until] of this.#until) {
      if (until > this.#now()) break; // In the order of their ends, as all hold equally long.
      this.#until.delete(old);
    }
    this.#until.delete(key);
    this.#until.set(key, this.#now() + HOLD_MS);
  }
}
