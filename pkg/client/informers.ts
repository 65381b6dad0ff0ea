/** The informers that the actors of a process share: one per resource, started on first demand. */

import type { ApiObject, Ref } from '../api/meta.ts';
import type { Logger } from '../log/log.ts';
import { type Clock, systemClock } from '../wait/clock.ts';
import type { Cache, Client } from './client.ts';
import { type Handler, Informer, type Selection } from './informer.ts';
import { type IndexFunction, OWNER_INDEX } from './object-index.ts';

export interface InformersOptions {
  readonly client: Client;
  readonly log: Logger;
  /** Ends all informers. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

interface Running {
  readonly informer: Informer;
  readonly stop: AbortController;
}

export class Informers implements Cache {
  readonly #options: InformersOptions;
  readonly #running = new Map<string, Running>();
  readonly #onStart = new Set<(resource: string) => void>();

  constructor(options: InformersOptions) {
    this.#options = options;
  }

  /** Starts to follow a resource; does nothing if it is followed already. */
  start(resource: string, selection: Selection = {}): void {
    if (this.#running.has(resource)) return;
    const { client, log, signal, clock = systemClock } = this.#options;
    const informer = new Informer(resource, selection, { client, log, clock });
    const stop = new AbortController();
    this.#running.set(resource, { informer, stop });
    void informer.run(AbortSignal.any([signal, stop.signal]));
    for (const handler of this.#onStart) handler(resource);
  }

  /** Stops to follow a resource and forgets its objects, without telling subscribers. */
  stop(resource: string): void {
    this.#running.get(resource)?.stop.abort();
    this.#running.delete(resource);
  }

  /** Names of the resources that are followed. */
  resources(): string[] {
    return [...this.#running.keys()];
  }

  /** Whether a resource is followed. */
  has(resource: string): boolean {
    return this.#running.has(resource);
  }

  /** Calls `handler` with each resource that is followed, now or from now on. */
  onStart(handler: (resource: string) => void): void {
    for (const resource of this.#running.keys()) handler(resource);
    this.#onStart.add(handler);
  }

  /** Resolves when the first list of these resources (default: all that are followed) is in. */
  async synced(resources: readonly string[] = this.resources()): Promise<void> {
    await Promise.all(resources.map((resource) => this.#informer(resource).reached(0)));
  }

  /** Whether the first list of a resource is in. */
  isSynced(resource: string): boolean {
    return this.#running.get(resource)?.informer.isSynced ?? false;
  }

  /** Resolves when the copy of `resource` shows everything written up to `revision`. */
  reached(resource: string, revision: number): Promise<void> {
    return this.#informer(resource).reached(revision);
  }

  /** Resolves when `isMet`, asked now and after every event of `resource`, is true. */
  until(resource: string, isMet: () => boolean): Promise<void> {
    return this.#informer(resource).until(isMet);
  }

  /** Calls `handler` for every change, after an 'added' for each object that is there already. */
  subscribe<T extends ApiObject>(resource: string, handler: Handler<T>): () => void {
    return this.#informer(resource).subscribe(decodeHandler(handler));
  }

  /** Makes an index known, for `indexed`. */
  addIndex(resource: string, name: string, valuesOf: IndexFunction): void {
    this.#informer(resource).objects.addIndex(name, valuesOf);
  }

  get<T extends ApiObject>(resource: string, ref: Ref): T | undefined {
    return decode<T | undefined>(this.#informer(resource).objects.get(ref));
  }

  list<T extends ApiObject>(resource: string, namespace?: string): readonly T[] {
    return decode<readonly T[]>(this.#informer(resource).objects.list(namespace));
  }

  owned<T extends ApiObject>(resource: string, owner: ApiObject): readonly T[] {
    return this.indexed(resource, { index: OWNER_INDEX, value: owner.metadata.uid });
  }

  indexed<T extends ApiObject>(
    resource: string,
    { index, value }: { readonly index: string; readonly value: string },
  ): readonly T[] {
    return decode<readonly T[]>(this.#informer(resource).objects.indexed(index, value));
  }

  #informer(resource: string): Informer {
    const running = this.#running.get(resource);
    if (!running) throw new Error(`No informer for "${resource}": it must be started first`);
    return running.informer;
  }
}

/** Makes an empty set of informers; each is started with `start(resource)`. */
export function createInformers(options: InformersOptions): Informers {
  return new Informers(options);
}

/** The informer of a resource holds objects of that resource only. */
function decode<T>(found: unknown): T {
  return found as T;
}

function decodeHandler<T extends ApiObject>(handler: Handler<T>): Handler {
  return handler as unknown as Handler;
}
