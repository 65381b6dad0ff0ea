/**
 * Which requests to the helper go first when many wait: what finishes a pod before what begins another, so that of a
 * thousand pods some run at once rather than all at the end. At most JOBS_AT_ONCE are at work.
 */

/** More would only contend for the kernel's locks. The helper itself takes 64 (JOBS_MAX in runtime/serve.h). */
const JOBS_AT_ONCE = 24;
/** Removing trees may take long: it has room of its own. */
const REMOVALS_AT_ONCE = 8;
const REMOVAL = 'remove-tree';
/** Verbs that wait for all others. */
const LAST: readonly string[] = ['sandbox-create'];

interface Waiting {
  readonly start: () => void;
}

/** Requests at work and waiting, of one kind. */
class Lane {
  readonly #most: number;
  #active = 0;
  readonly #first = new Set<Waiting>();
  readonly #last = new Set<Waiting>();

  constructor(most: number) {
    this.#most = most;
  }

  async enter(isLast: boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#active < this.#most) {
      this.#active += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const queue = isLast ? this.#last : this.#first;
      const onAbort = () => {
        queue.delete(waiting);
        reject(signal?.reason);
      };
      const waiting = {
        start: () => {
          queue.delete(waiting);
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      queue.add(waiting);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The place goes to the next one, if one waits. */
  leave(): void {
    const [next] = this.#first.size > 0 ? this.#first : this.#last;
    if (next) next.start();
    else this.#active -= 1;
  }
}

export class JobQueue {
  readonly #jobs = new Lane(JOBS_AT_ONCE);
  readonly #removals = new Lane(REMOVALS_AT_ONCE);

  /** Does the work when it is its turn. Rejects with the signal's reason when it aborts before. */
  async run<T>(verb: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const lane = verb === REMOVAL ? this.#removals : this.#jobs;
    await lane.enter(LAST.includes(verb), signal);
    try {
      return await work();
    } finally {
      lane.leave();
    }
  }
}
