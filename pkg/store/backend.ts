/**
 * The store's contract: keys, bytes, revisions. Knows nothing of Kubernetes. One counter of revisions for the
 * whole store; same semantics as etcd's. Every implementation passes test/contract/store.
 *
 * Reads are synchronous and come from memory: all current values are held there. A write is decided
 * (revision, compare-and-swap against memory with writes in flight included) at once and settles when it is
 * durable; only then readers and watchers see it, in the order of revisions.
 */

export interface KeyValue {
  readonly key: string;
  readonly value: Buffer;
  /** Revision of the last write to this key. */
  readonly revision: number;
  /** Revision of the write that created this key. */
  readonly createRevision: number;
}

export interface StoreEvent {
  readonly type: 'put' | 'delete';
  /** The new value (put) or the last one (delete), with `revision` the revision of this event. */
  readonly current: KeyValue;
  /** The value before this event; undefined when the put created the key. */
  readonly previous: KeyValue | undefined;
}

export interface Page {
  readonly items: readonly KeyValue[];
  /** Revision of the store at which the list was read. */
  readonly revision: number;
  /** How many keys under the prefix follow the last item. */
  readonly remaining: number;
}

export interface ListOptions {
  /** At most this many items; 0 or absent = all. */
  readonly limit?: number;
  /** Only keys greater than this one. */
  readonly after?: string;
}

export interface WriteOptions {
  /** The revision the key must have now; 0 = it must not exist. Absent = whatever it has. */
  readonly expected?: number;
  /** In memory at once and acknowledged without a sync; flushed lazily (Leases, Events). */
  readonly isVolatile?: boolean;
}

/** Makes the bytes to store, in memory of their own (value.ts), once the revision of the write is known. */
export type Encode = (revision: number) => Buffer;

export interface Watch extends AsyncIterable<readonly StoreEvent[]> {
  /** Ends the iteration. Idempotent. */
  close(): void;
}

export interface Backend {
  /** Revision of the last write that readers see. */
  readonly revision: number;
  /** Oldest revision from which a watch can still start. */
  readonly compactedRevision: number;
  get(key: string): KeyValue | undefined;
  /** Values under a prefix in key order. */
  list(prefix: string, options?: ListOptions): Page;
  /** The same, all of them, as they were at a revision. Rejects with Compacted when that history is gone. */
  listAt(prefix: string, revision: number): Promise<Page>;
  /** Writes and resolves to the stored value once it is durable and visible. Throws RevisionConflict, ReadOnly. */
  put(key: string, encode: Encode, options?: WriteOptions): Promise<KeyValue>;
  /** Deletes and resolves to the deleted value with the deletion's revision. Throws RevisionConflict, KeyNotFound, ReadOnly. */
  delete(key: string, options?: WriteOptions): Promise<KeyValue>;
  /**
   * Events under a prefix with a revision greater than `after`, in order, none missing, batched.
   * Throws Compacted when that history is gone; iteration throws WatchTooSlow when the reader lags too far.
   */
  watch(prefix: string, after: number): Watch;
  /** Forgets history up to and including this revision. */
  compact(revision: number): Promise<void>;
  /** Settles when everything written so far, volatile keys included, is on disk. */
  flush(): Promise<void>;
  /** Flushes and closes. */
  close(): Promise<void>;
}

/** A compare-and-swap failed: `actual` is the key's revision now, writes in flight included (0 = absent). */
export class RevisionConflict extends Error {
  readonly key: string;
  readonly actual: number;
  constructor(key: string, actual: number) {
    super(`${key} is at revision ${actual}`);
    this.key = key;
    this.actual = actual;
  }
}

export class KeyNotFound extends Error {
  constructor(key: string) {
    super(`${key} does not exist`);
  }
}

/** The history asked for was compacted; the reader must list again. */
export class Compacted extends Error {
  readonly compactedRevision: number;
  constructor(after: number, compactedRevision: number) {
    super(`revision ${after} was compacted; the oldest is ${compactedRevision}`);
    this.compactedRevision = compactedRevision;
  }
}

/** The reader of a watch fell behind its limit and was cut off; it may resume from its last revision. */
export class WatchTooSlow extends Error {}

/** The store takes no writes now (disk full, I/O error); `cause` says why. Reads go on. */
export class ReadOnly extends Error {}
