/**
 * Keeps the objects of one list query up to date: list, then watch, again after an error with backoff, from the
 * beginning when the server has forgotten the revision. The agent needs queries of its own (pods of this node, one
 * ConfigMap), as node authorization gives it no others.
 */

import { isReason } from '../api/errors.ts';
import { type ApiObject, keyOf } from '../api/meta.ts';
import type { Client, ListQuery } from '../client/client.ts';
import type { Logger } from '../log/log.ts';
import { Backoff } from '../wait/backoff.ts';
import { type Clock, sleep } from '../wait/clock.ts';

export interface ObjectWatchOptions<T extends ApiObject> {
  readonly client: Client;
  readonly resource: string;
  readonly query: ListQuery;
  readonly log: Logger;
  readonly clock: Clock;
  /** Called after each change, `object` undefined once it is gone; during a list for each difference. */
  onChange?(key: string, object: T | undefined): void;
}

const RETRY = { firstMs: 200, maxMs: 10_000, jitter: 0.5 };

export class ObjectWatch<T extends ApiObject> {
  readonly #options: ObjectWatchOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #controller = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  readonly #done: Promise<void>;
  #resourceVersion = '';

  constructor(options: ObjectWatchOptions<T>) {
    this.#options = options;
    this.#done = this.#run();
  }

  /** Resolves when the first list is here; stays open when the watch is closed before. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#controller;
    const backoff = new Backoff(RETRY);
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === '') await this.#list(signal);
        await this.#watch(signal, backoff);
      } catch (error) {
        if (signal.aborted) return;
        this.#onError(error);
      }
      await sleep(backoff.next(), signal, this.#options.clock).catch(() => undefined);
    }
  }

  #onError(error: unknown): void {
    const { log, resource } = this.#options;
    if (isReason(error, 'Expired') || isReason(error, 'Gone')) this.#resourceVersion = '';
    else log.debug('Watch ended', { resource, error });
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, resource, query } = this.#options;
    const list = await client.list<T>(resource, query, signal);
    const seen = new Set<string>();
    for (const item of list.items) {
      seen.add(keyOf(item.metadata));
      this.#set(item);
    }
    for (const key of [...this.#objects.keys()]) {
      if (!seen.has(key)) this.#delete(key);
    }
    this.#resourceVersion = list.metadata.resourceVersion;
    this.#synced.resolve();
  }

  async #watch(signal: AbortSignal, backoff: Backoff): Promise<void> {
    const { client, resource, query } = this.#options;
    const from = { ...query, resourceVersion: this.#resourceVersion, allowWatchBookmarks: true };
    for await (const { type, object } of client.watch<T>(resource, from, signal)) {
      backoff.reset();
      if (type === 'ADDED' || type === 'MODIFIED') this.#set(object);
      else if (type === 'DELETED') this.#delete(keyOf(object.metadata));
      this.#resourceVersion = object.metadata.resourceVersion;
    }
  }

  #set(object: T): void {
    const key = keyOf(object.metadata);
    if (this.#objects.get(key)?.metadata.resourceVersion === object.metadata.resourceVersion)
      return;
    this.#objects.set(key, object);
    this.#options.onChange?.(key, object);
  }

  #delete(key: string): void {
    if (this.#objects.delete(key)) this.#options.onChange?.(key, undefined);
  }
}
