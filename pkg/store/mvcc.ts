/**
 * The store's logic above a journal: current values in memory, revisions, compare-and-swap against memory with
 * writes in flight included, pipelined group commit, history, watches, volatile keys, read-only mode.
 *
 * A write goes: decide (revision, value) -> #queue -> pipeline -> journal -> durable -> applied in the order of
 * revisions -> watchers -> the caller's promise.
 */

import type { Logger } from '../log/log.ts';
import { type Clock, systemClock } from '../wait/clock.ts';
import {
  type Backend,
  Compacted,
  type Encode,
  KeyNotFound,
  type KeyValue,
  type ListOptions,
  type Page,
  ReadOnly,
  RevisionConflict,
  type StoreEvent,
  type Watch,
  type WriteOptions,
} from './backend.ts';
import { History } from './history.ts';
import type { Journal, LogEntry, Snapshot } from './journal.ts';
import { Pipeline } from './pipeline.ts';
import { State, takenBack } from './state.ts';
import { VolatileKeys } from './volatile-keys.ts';
import { Watchers } from './watchers.ts';
import type { Pending, Write } from './write.ts';

/** Writes that may wait for the disk before further ones are refused. */
const QUEUE_MAX = 100_000;
/** Writes made visible in one turn; bounds how long it holds the event loop. */
const APPLY_MAX = 128;
const RECOVER_RETRY_MS = 5_000;
const COMPACT_INTERVAL_MS = 5 * 60_000;

export interface MvccOptions {
  readonly journal: Journal;
  readonly snapshot: Snapshot;
  readonly log: Logger;
  readonly clock?: Clock;
}

export class MvccStore implements Backend {
  readonly #journal: Journal;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #state: State;
  readonly #pending = new Map<string, Pending>();
  readonly #history: History;
  readonly #watchers = new Watchers();
  readonly #volatile: VolatileKeys;
  readonly #pipeline: Pipeline;
  /** Decided writes in revision order, not yet visible. */
  #queue: Write[] = [];
  #assigned: number;
  #compacted: number;
  #readOnly: ReadOnly | undefined;
  #isClosed = false;
  /** The rest of what may be applied comes with the next turn. */
  #isApplying = false;
  #cancelCompaction: (() => void) | undefined;
  #cancelRecovery: (() => void) | undefined;

  constructor({ journal, snapshot, log, clock = systemClock }: MvccOptions) {
    this.#journal = journal;
    this.#log = log;
    this.#clock = clock;
    this.#assigned = snapshot.revision;
    this.#state = new State(snapshot.items, snapshot.revision);
    this.#compacted = snapshot.compactedRevision;
    this.#history = new History(snapshot.revision);
    this.#pipeline = new Pipeline({
      journal,
      reserved: snapshot.revision,
      assigned: () => this.#assigned,
      onSettled: (error) => {
        if (error) this.#enterReadOnly(error);
        this.#apply();
      },
    });
    this.#volatile = new VolatileKeys(clock, () => this.#flushVolatile());
  }

  get revision(): number {
    return this.#state.revision;
  }

  get compactedRevision(): number {
    return this.#journal.keepsHistory
      ? this.#compacted
      : Math.max(this.#compacted, this.#history.floor);
  }

  get(key: string): KeyValue | undefined {
    return this.#state.get(key);
  }

  list(prefix: string, options: ListOptions = {}): Page {
    return this.#state.list(prefix, options);
  }

  async listAt(prefix: string, revision: number): Promise<Page> {
    const { items } = this.#state.list(prefix, {});
    return takenBack(items, revision, await this.#eventsSince(prefix, revision));
  }

  put(key: string, encode: Encode, options: WriteOptions = {}): Promise<KeyValue> {
    return this.#decide(key, options, (latest) => {
      const revision = this.#assigned + 1;
      return {
        revision,
        key,
        value: encode(revision),
        createRevision: latest?.createRevision ?? revision,
      };
    });
  }

  delete(key: string, options: WriteOptions = {}): Promise<KeyValue> {
    return this.#decide(key, options, (latest) => {
      if (!latest) throw new KeyNotFound(key);
      return {
        revision: this.#assigned + 1,
        key,
        value: undefined,
        createRevision: latest.createRevision,
      };
    });
  }

  watch(prefix: string, after: number): Watch {
    return this.#watchers.add(prefix, this.#eventsSince(prefix, after));
  }

  #eventsSince(prefix: string, after: number): StoreEvent[] | Promise<StoreEvent[]> {
    if (after < this.compactedRevision) throw new Compacted(after, this.compactedRevision);
    const { floor } = this.#history;
    const recent = this.#history.since(prefix, Math.max(after, floor));
    if (after >= floor) return recent;
    const older = this.#flushVolatile().then(() => this.#journal.read(prefix, after, floor));
    return older.then((events) => [...events, ...recent]);
  }

  async compact(revision: number): Promise<void> {
    const upTo = Math.min(revision, this.#state.revision);
    if (upTo <= this.#compacted) return;
    await this.#flushVolatile();
    await this.#journal.compact(upTo);
    this.#compacted = Math.max(this.#compacted, upTo);
    this.#history.forget(upTo);
  }

  async flush(): Promise<void> {
    while (this.#queue.length > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    await this.#flushVolatile();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    await this.flush().catch((error: unknown) => {
      this.#log.error('Could not flush the store before closing', { error });
    });
    this.#isClosed = true;
    this.#cancelCompaction?.();
    this.#cancelRecovery?.();
    this.#volatile.close();
    this.#watchers.close();
    await this.#journal.close();
  }

  #decide(
    key: string,
    { expected, isVolatile = false }: WriteOptions,
    make: (latest: { readonly createRevision: number } | undefined) => LogEntry,
  ): Promise<KeyValue> {
    if (this.#isClosed) return Promise.reject(new ReadOnly('the store is closed'));
    if (this.#readOnly && !isVolatile) return Promise.reject(this.#readOnly);
    if (this.#queue.length >= QUEUE_MAX)
      return Promise.reject(new ReadOnly(`${QUEUE_MAX} writes already wait for the disk`));
    const pending = this.#pending.get(key);
    const latest = pending ? (pending.isDelete ? undefined : pending) : this.#state.get(key);
    const actual = latest?.revision ?? 0;
    if (expected !== undefined && expected !== actual)
      return Promise.reject(new RevisionConflict(key, actual));
    // A volatile value may never be logged: what such a write replaces is known when it is.
    const isLogged = !isVolatile && !this.#volatile.has(key);
    let entry: LogEntry;
    try {
      entry = { ...make(latest), ...(isLogged ? { replaces: actual } : {}) };
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    return new Promise((resolve, reject) =>
      this.#enqueue({ entry, isVolatile, isDurable: false, resolve, reject }),
    );
  }

  #enqueue(write: Write): void {
    const { entry } = write;
    this.#assigned = entry.revision;
    this.#pending.set(entry.key, {
      revision: entry.revision,
      createRevision: entry.createRevision,
      isDelete: entry.value === undefined,
    });
    this.#queue.push(write);
    if (write.isVolatile) {
      this.#volatile.add(entry);
      queueMicrotask(() => this.#apply());
    }
    this.#pipeline.add(write.isVolatile ? undefined : write);
    this.#armCompaction();
  }

  /**
   * Makes every write visible that is durable, or volatile with a reserved revision, and has none before it that is
   * not: APPLY_MAX in one turn of the event loop, as each wakes its writer and watchers.
   */
  #apply(): void {
    if (this.#isApplying) return;
    const events: StoreEvent[] = [];
    for (const write of this.#queue) {
      if (events.length === APPLY_MAX || !this.#mayApply(write)) break;
      events.push(this.#applyOne(write.entry));
    }
    if (events.length === 0) return;
    const applied = this.#queue.splice(0, events.length);
    const [next] = this.#queue;
    if (next && this.#mayApply(next)) {
      this.#isApplying = true;
      setImmediate(() => {
        this.#isApplying = false;
        this.#apply();
      });
    }
    this.#watchers.publish(events);
    applied.forEach((write, index) => {
      const event = events[index];
      if (event) write.resolve(event.current);
    });
  }

  #mayApply({ isDurable, isVolatile, entry }: Write): boolean {
    return isDurable || (isVolatile && entry.revision <= this.#pipeline.reserved);
  }

  #applyOne(entry: LogEntry): StoreEvent {
    const event = this.#state.apply(entry);
    if (this.#pending.get(entry.key)?.revision === entry.revision) this.#pending.delete(entry.key);
    this.#history.push(event);
    return event;
  }

  /** Refuses every durable write in flight: each was decided on top of one that failed, or may have been. */
  #enterReadOnly(error: Error): void {
    const refusal = new ReadOnly(`the store is read-only: ${error.message}`, { cause: error });
    if (!this.#readOnly) this.#log.error('Store became read-only', { error });
    this.#readOnly = refusal;
    const refused = this.#queue.filter((write) => !write.isVolatile && !write.isDurable);
    this.#queue = this.#queue.filter((write) => write.isVolatile || write.isDurable);
    this.#pipeline.drop();
    for (const { entry, reject } of refused) {
      if (this.#pending.get(entry.key)?.revision === entry.revision)
        this.#pending.delete(entry.key);
      reject(refusal);
    }
    this.#cancelRecovery ??= this.#clock.after(RECOVER_RETRY_MS, () => this.#recover());
  }

  #recover(): void {
    this.#cancelRecovery = undefined;
    this.#journal.recover().then(
      () => {
        this.#readOnly = undefined;
        this.#log.info('Store takes writes again');
        this.#pipeline.add();
      },
      () => {
        if (!this.#isClosed)
          this.#cancelRecovery = this.#clock.after(RECOVER_RETRY_MS, () => this.#recover());
      },
    );
  }

  async #flushVolatile(): Promise<void> {
    const entries = this.#volatile.take();
    if (entries.length === 0) return;
    try {
      await this.#pipeline.write(entries);
    } catch (error) {
      this.#volatile.putBack(entries);
      throw this.#readOnly ?? error;
    }
  }

  #armCompaction(): void {
    this.#cancelCompaction ??= this.#clock.after(COMPACT_INTERVAL_MS, () => {
      this.#cancelCompaction = undefined;
      this.#journal
        .expired()
        .then((revision) => (revision > this.#compacted ? this.compact(revision) : undefined))
        .catch((error: unknown) => this.#log.warn('Could not compact the store', { error }));
    });
  }
}
