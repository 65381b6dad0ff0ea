/**
 * Keeps a copy of one resource up to date: lists once, then watches, and resumes from the last resourceVersion after
 * every cut, so that no event is missed; lists again only when the server has forgotten that version (Expired).
 */

import { isReason } from '../api/errors.ts';
import { type ApiObject, keyOf, type WatchEvent } from '../api/meta.ts';
import { describe, type Logger } from '../log/log.ts';
import { Backoff } from '../wait/backoff.ts';
import { type Clock, sleep } from '../wait/clock.ts';
import type { Client, ListQuery } from './client.ts';
import { ObjectIndex } from './object-index.ts';

/** One change of the copy. `old` is what the copy held before. */
export interface Change<T extends ApiObject = ApiObject> {
  readonly type: 'added' | 'updated' | 'deleted';
  readonly object: T;
  readonly old?: T;
}

export type Handler<T extends ApiObject = ApiObject> = (change: Change<T>) => void;

/** Which part of a resource an informer follows. */
export interface Selection {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Items per page of the list; absent = all in one, right for callers in the server's process. */
  readonly pageSize?: number;
}

export interface InformerOptions {
  readonly client: Client;
  readonly log: Logger;
  readonly clock: Clock;
}

const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 10_000;
const STABLE_MS = 5000;
/** Failures in a row after which an operator should know; a restart of the server is over before. */
const WARN_EVERY = 10;

export class Informer {
  readonly resource: string;
  readonly objects = new ObjectIndex();
  readonly #selection: Selection;
  readonly #options: InformerOptions;
  readonly #handlers = new Set<Handler>();
  readonly #backoff = new Backoff({ firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS, jitter: 0.5 });
  /** Those who wait until the copy shows something. */
  #waiting: { readonly isMet: () => boolean; readonly resolve: () => void }[] = [];
  #resourceVersion: string | undefined;
  #isExpired = false;
  /** In a row. */
  #failures = 0;
  #revision = -1;

  constructor(resource: string, selection: Selection, options: InformerOptions) {
    this.resource = resource;
    this.#selection = selection;
    this.#options = options;
  }

  /** Whether the first list is in. */
  get isSynced(): boolean {
    return this.#revision >= 0;
  }

  /** Calls `handler` for every change from now on, after an 'added' for each object that is there already. */
  subscribe(handler: Handler): () => void {
    for (const object of this.objects.list()) handler({ type: 'added', object });
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** Resolves when the copy shows everything written up to `revision`. */
  reached(revision: number): Promise<void> {
    return this.until(() => this.#revision >= revision);
  }

  /** Resolves when `isMet`, asked now and after every event, is true. */
  until(isMet: () => boolean): Promise<void> {
    if (isMet()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ isMet, resolve }));
  }

  /** Follows the resource until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const began = clock.monotonic();
      // A connection that held has shown that all is well: the next failure starts afresh.
      const forgive = () => {
        if (clock.monotonic() - began > STABLE_MS) this.#backoff.reset();
      };
      try {
        if (this.#resourceVersion === undefined || this.#isExpired) await this.#list(signal);
        const count = await this.#watch(signal);
        forgive();
        // A server that ends watches at once must not be asked in a tight loop.
        if (count === 0) await this.#pause(signal);
      } catch (error) {
        if (signal.aborted) return;
        forgive();
        await this.#afterError(error, signal);
      }
    }
  }

  async #afterError(error: unknown, signal: AbortSignal): Promise<void> {
    if (isReason(error, 'Expired') || isReason(error, 'Gone')) {
      const isRepeated = this.#isExpired;
      this.#isExpired = true;
      if (!isRepeated) return;
    }
    const { log } = this.#options;
    this.#failures += 1;
    const level = this.#failures % WARN_EVERY === 0 ? 'warn' : 'debug';
    log[level]('Cannot follow resource', { resource: this.resource, error: describe(error) });
    await this.#pause(signal);
  }

  async #pause(signal: AbortSignal): Promise<void> {
    await sleep(this.#backoff.next(), signal, this.#options.clock).catch(() => undefined);
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { pageSize, ...selection } = this.#selection;
    const found: ApiObject[] = [];
    let next: string | undefined;
    let resourceVersion = '';
    do {
      const query: ListQuery = {
        ...selection,
        ...(pageSize ? { limit: pageSize } : {}),
        ...(next ? { continue: next } : {}),
      };
      const page = await this.#options.client.list(this.resource, query, signal);
      for (const item of page.items) found.push(item);
      resourceVersion = page.metadata.resourceVersion;
      next = page.metadata.continue;
    } while (next);
    this.#replace(found);
    this.#isExpired = false;
    this.#resourceVersion = resourceVersion;
    this.#advance(resourceVersion);
  }

  /** Watches until the server ends it; resolves to how many events came. */
  async #watch(signal: AbortSignal): Promise<number> {
    const { pageSize: _, ...selection } = this.#selection;
    const resourceVersion = this.#resourceVersion ?? '0';
    const query = { ...selection, resourceVersion, allowWatchBookmarks: true };
    let count = 0;
    for await (const event of this.#options.client.watch(this.resource, query, signal)) {
      this.#apply(event);
      count += 1;
      this.#failures = 0;
      this.#backoff.reset();
    }
    return count;
  }

  #apply({ type, object }: WatchEvent): void {
    if (type === 'DELETED') {
      const old = this.objects.delete(object.metadata);
      if (old) this.#emit({ type: 'deleted', object, old });
    } else if (type === 'ADDED' || type === 'MODIFIED') {
      this.#put(object);
    }
    this.#resourceVersion = object.metadata.resourceVersion;
    this.#advance(object.metadata.resourceVersion);
  }

  #put(object: ApiObject): void {
    const old = this.objects.set(object);
    if (!old) {
      this.#emit({ type: 'added', object });
    } else if (old.metadata.uid !== object.metadata.uid) {
      this.#emit({ type: 'deleted', object: old, old });
      this.#emit({ type: 'added', object });
    } else if (old.metadata.resourceVersion !== object.metadata.resourceVersion) {
      this.#emit({ type: 'updated', object, old });
    }
  }

  /** Takes over a whole list: what is not in it has been deleted meanwhile. */
  #replace(found: readonly ApiObject[]): void {
    const keys = new Set(found.map((object) => keyOf(object.metadata)));
    for (const old of this.objects.list()) {
      if (keys.has(keyOf(old.metadata))) continue;
      this.objects.delete(old.metadata);
      this.#emit({ type: 'deleted', object: old, old });
    }
    for (const object of found) this.#put(object);
  }

  #emit(change: Change): void {
    for (const handler of this.#handlers) {
      try {
        handler(change);
      } catch (error) {
        // One subscriber's defect must not stop the copy that all others share.
        const { log } = this.#options;
        log.error('Handler threw', { resource: this.resource, error: describe(error) });
      }
    }
  }

  #advance(resourceVersion: string): void {
    this.#revision = Math.max(this.#revision, Number(resourceVersion) || 0);
    if (this.#waiting.length === 0) return;
    const met = this.#waiting.filter(({ isMet }) => isMet());
    if (met.length === 0) return;
    this.#waiting = this.#waiting.filter((waiter) => !met.includes(waiter));
    for (const { resolve } of met) resolve();
  }
}
