/**
 * How many pods of the node are worked on at once, and so how long a status of one that is still being made or ended
 * may wait: of a few pods it is told soon; of hundreds most are done before anybody has looked, and each status that
 * is not written leaves time for the others.
 */

/** A start that is done sooner writes one status, not two. */
const DELAY_MS = 100;
const DELAY_PER_POD_MS = 10;
const DELAY_MAX_MS = 10_000;

export class Pace {
  #busy = 0;

  begin(): void {
    this.#busy += 1;
  }

  end(): void {
    this.#busy -= 1;
  }

  /** For a pod that is being worked on. */
  get delayMs(): number {
    return Math.min(DELAY_MS + (this.#busy - 1) * DELAY_PER_POD_MS, DELAY_MAX_MS);
  }
}
