/** Where a store's writes become durable: what the SQLite and the in-memory backend differ in. Called by mvcc.ts. */

import type { KeyValue, StoreEvent } from './backend.ts';

export interface LogEntry {
  readonly revision: number;
  readonly key: string;
  /** Absent = the key was deleted. */
  readonly value: Buffer | undefined;
  readonly createRevision: number;
  /** The revision of the key's logged value that this one replaces, 0 = none; absent = the journal looks it up. */
  readonly replaces?: number;
}

/** What a store starts from. */
export interface Snapshot {
  readonly items: readonly KeyValue[];
  /** No write before this opening had a greater revision. */
  readonly revision: number;
  readonly compactedRevision: number;
}

export interface Journal {
  /** Whether read() can serve events that have left memory. */
  readonly keepsHistory: boolean;
  /**
   * Queues a batch that becomes durable as one transaction, together with the promise that no revision up to
   * `reservedRevision` is used again. `done` is called in the order of batches. After an error every batch fails
   * until recover() resolves.
   */
  append(
    entries: readonly LogEntry[],
    reservedRevision: number,
    done: (error: Error | undefined) => void,
  ): void;
  /** Resolves once writes work again; rejects while they still fail. */
  recover(): Promise<void>;
  /** Events under a prefix with after < revision <= upTo. */
  read(prefix: string, after: number, upTo: number): Promise<StoreEvent[]>;
  /** Forgets history up to this revision. */
  compact(revision: number): Promise<void>;
  /** The newest revision that age and size limits no longer keep; 0 = none. */
  expired(): Promise<number>;
  close(): Promise<void>;
}
