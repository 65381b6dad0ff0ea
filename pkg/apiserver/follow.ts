/** Following what the store has below a prefix, other servers' writes included. */

import { describe, type Logger } from '../log/log.ts';
import type { Backend, StoreEvent, Watch } from '../store/backend.ts';
import { Backoff } from '../wait/backoff.ts';
import { sleep } from '../wait/clock.ts';

const RETRY = { firstMs: 50, maxMs: 5_000, jitter: 0.2 };

export interface FollowOptions {
  readonly store: Backend;
  /** Sync with keyFor in storage.ts: /registry/<group>/<plural>/<namespace>/<name>. */
  readonly prefix: string;
  /** For the log: 'Watching RBAC objects'. */
  readonly what: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** A watch has begun, at first or again: what changed before is to be read. */
  onBegin(): Promise<void>;
  onEvents(events: readonly StoreEvent[]): Promise<void>;
}

/** Runs until the signal aborts, again after each error; never rejects. */
export async function follow(options: FollowOptions): Promise<void> {
  const { store, prefix, what, log, signal } = options;
  const backoff = new Backoff(RETRY);
  while (!signal.aborted) {
    let watch: Watch | undefined;
    const stop = () => watch?.close();
    try {
      watch = store.watch(prefix, store.revision);
      signal.addEventListener('abort', stop, { once: true });
      await options.onBegin();
      for await (const events of watch) {
        await options.onEvents(events);
        backoff.reset();
      }
    } catch (error) {
      if (!signal.aborted) log.warn(`${what} failed`, { error: describe(error) });
    } finally {
      signal.removeEventListener('abort', stop);
      watch?.close();
    }
    await sleep(backoff.next(), signal).catch(() => undefined);
  }
}
