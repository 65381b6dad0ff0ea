/**
 * The durable store: MvccStore above SQLite (WAL, synchronous=FULL) in a worker thread. The event loop never waits
 * for a disk; a write is acknowledged only once it is synced.
 */

import { Worker } from 'node:worker_threads';
import type { Logger } from '../log/log.ts';
import type { Clock } from '../wait/clock.ts';
import type { Backend, KeyValue, StoreEvent } from './backend.ts';
import { packBatch, unpackBatch } from './batch.ts';
import type { Journal, LogEntry, Snapshot } from './journal.ts';
import { MvccStore } from './mvcc.ts';
import type { Answer, Opening, Request, WorkerData } from './sqlite-protocol.ts';

export interface SqliteOptions {
  /** Path of the database file; its directory exists. */
  readonly file: string;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Where the bundle keeps the worker's script and the native addon; absent = run from source. */
  readonly bundle?: { readonly workerScript: string; readonly addon: string };
}

/** Opens or creates the store. Rejects with an Error that says what is wrong with the file and what to do. */
export async function openSqlite({ file, log, clock, bundle }: SqliteOptions): Promise<Backend> {
  const workerData: WorkerData = { file, ...(bundle ? { addon: bundle.addon } : {}) };
  const script = bundle?.workerScript ?? new URL('./sqlite-worker.ts', import.meta.url);
  const worker = new Worker(script, { workerData, name: 'store' });
  try {
    const snapshot = await opened(worker);
    return new MvccStore({
      journal: new WorkerJournal(worker),
      snapshot,
      log,
      ...(clock ? { clock } : {}),
    });
  } catch (error) {
    await worker.terminate();
    throw error;
  }
}

function opened(worker: Worker): Promise<Snapshot> {
  const items: KeyValue[] = [];
  return new Promise((resolve, reject) => {
    const onMessage = (message: Opening) => {
      if (message.kind === 'load') {
        for (const entry of unpackBatch(message.batch, { isCopied: true }))
          items.push(keyValueOf(entry));
        return;
      }
      worker.off('message', onMessage).off('error', reject);
      if (message.kind === 'failed') reject(new Error(message.error));
      else
        resolve({
          items,
          revision: message.revision,
          compactedRevision: message.compactedRevision,
        });
    };
    worker.on('message', onMessage).on('error', reject);
  });
}

class WorkerJournal implements Journal {
  readonly keepsHistory = true;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #seq = 0;
  #death: string | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (answer: Answer) => {
      const settle = this.#waiting.get(answer.seq);
      this.#waiting.delete(answer.seq);
      settle?.(answer);
    });
    worker.on('error', (error) => this.#die(`the store's thread failed: ${String(error)}`));
    worker.on('exit', () => this.#die("the store's thread ended"));
  }

  append(
    entries: readonly LogEntry[],
    reservedRevision: number,
    done: (error: Error | undefined) => void,
  ): void {
    const batch = packBatch(entries);
    this.#ask({ kind: 'append', seq: 0, batch, reservedRevision }, [batch], (answer) =>
      done(answer.error === undefined ? undefined : new Error(answer.error)),
    );
  }

  async recover(): Promise<void> {
    await this.#call({ kind: 'recover', seq: 0 });
  }

  async read(prefix: string, after: number, upTo: number): Promise<StoreEvent[]> {
    const answer = await this.#call({ kind: 'read', seq: 0, prefix, after, upTo });
    const events = unpackBatch(answer.events ?? new ArrayBuffer(0), { isCopied: true });
    const previous = unpackBatch(answer.previous ?? new ArrayBuffer(0), { isCopied: true });
    return events.map((entry, i) => eventOf(entry, previous[i]));
  }

  async compact(revision: number): Promise<void> {
    await this.#call({ kind: 'compact', seq: 0, revision });
  }

  async expired(): Promise<number> {
    return (await this.#call({ kind: 'expired', seq: 0 })).revision ?? 0;
  }

  async close(): Promise<void> {
    if (this.#death !== undefined) return;
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    await this.#call({ kind: 'close', seq: 0 });
    await exited;
  }

  #call(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#ask(request, [], (answer) =>
        answer.error === undefined ? resolve(answer) : reject(new Error(answer.error)),
      );
    });
  }

  #ask(request: Request, transfer: readonly ArrayBuffer[], settle: (answer: Answer) => void): void {
    this.#seq += 1;
    const seq = this.#seq;
    if (this.#death !== undefined) {
      const error = this.#death;
      setImmediate(() => settle({ kind: 'answer', seq, error }));
      return;
    }
    this.#waiting.set(seq, settle);
    this.#worker.postMessage({ ...request, seq }, [...transfer]);
  }

  #die(error: string): void {
    this.#death ??= error;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const [seq, settle] of waiting) settle({ kind: 'answer', seq, error: this.#death });
  }
}

function keyValueOf({ key, revision, createRevision, value }: LogEntry): KeyValue {
  return { key, revision, createRevision, value: value ?? Buffer.alloc(0) };
}

function eventOf(entry: LogEntry, before: LogEntry | undefined): StoreEvent {
  const previous = before && before.revision > 0 ? keyValueOf(before) : undefined;
  if (entry.value) return { type: 'put', current: keyValueOf(entry), previous };
  return {
    type: 'delete',
    current: { ...keyValueOf(entry), value: previous?.value ?? Buffer.alloc(0) },
    previous,
  };
}
