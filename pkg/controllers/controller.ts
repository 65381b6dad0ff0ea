/**
 * The contract of a controller. Level-based and idempotent: read all, then write; never branch on the event.
 * Throw = retry with backoff; `{ requeueAfterMs }` = again later; DONE = at the next event. Only manager.ts loops.
 */

import type { ApiObject, Ref } from '../api/meta.ts';
import type { Cache, Client } from '../client/client.ts';
import type { EventRecorder } from '../client/events.ts';
import type { Change } from '../client/informer.ts';
import type { IndexFunction } from '../client/object-index.ts';
import type { Logger } from '../log/log.ts';

export interface Result {
  /** Run this key again after that long, even if nothing happens. */
  readonly requeueAfterMs?: number;
}

export const DONE: Result = {};

interface Watches {
  /** The resource whose keys are reconciled, e.g. 'replicasets'. Absent only for a controller of `everything`. */
  readonly primary?: string;
  /** Resources whose objects map to their controlling owner of the primary kind. */
  readonly owns?: readonly string[];
  /** Other resources, each with a function from a changed object to the primary keys it concerns. */
  readonly maps?: Readonly<Record<string, (object: ApiObject, cache: Cache) => readonly Ref[]>>;
  /** Resources that reconcile reads from the cache without being woken by them. */
  readonly reads?: readonly string[];
  /** Indexes that reconcile uses with `cache.indexed`: resource, name, function. */
  readonly indexes?: Readonly<Record<string, Readonly<Record<string, IndexFunction>>>>;
  /** Indexes on every resource that has an informer. */
  readonly everyIndex?: Readonly<Record<string, IndexFunction>>;
  /** From a change of any resource that has an informer to keys. */
  readonly everything?: (resource: string, change: Change, cache: Cache) => readonly Ref[];
}

export interface Context {
  readonly client: Client;
  /** Read-only view of the informers; never older than this controller's own last writes. */
  readonly cache: Cache;
  readonly events: EventRecorder;
  readonly log: Logger;
  /** Milliseconds since the epoch, from the injectable clock. */
  now(): number;
  /** For durations: see Clock. */
  monotonic(): number;
}

export interface Controller {
  readonly name: string;
  readonly watches: Watches;
  /** How many keys may be reconciled at once (default 4). One key never runs twice at once. */
  readonly concurrency?: number;
  reconcile(ref: Ref, context: Context, signal: AbortSignal): Promise<Result>;
}
