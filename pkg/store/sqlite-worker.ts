/**
 * The worker thread of the SQLite store: all that has arrived becomes one transaction and one sync. Answers in order.
 * After a failed transaction every batch is refused until the event loop asks to recover.
 */

import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from 'node:worker_threads';
import type Database from 'better-sqlite3';
import { packBatch, unpackBatch } from './batch.ts';
import type { LogEntry } from './journal.ts';
import { createLog, type Log } from './sqlite-log.ts';
import type { Answer, Opening, Request, WorkerData } from './sqlite-protocol.ts';
import { openDatabase } from './sqlite-schema.ts';

/** Bytes of values in one message while the event loop loads the current state. */
const LOAD_CHUNK_BYTES = 4 * 1024 * 1024;
/** Requests taken in one turn, their appends in one transaction; bounds how long that takes. */
const REQUESTS_MAX = 16;
/** The write-ahead log is folded into the file and truncated after this long without a write. */
const IDLE_CHECKPOINT_MS = 10_000;
/** Written and removed to see whether the disk takes data again. */
const PROBE_BYTES = 256 * 1024;

type Append = Extract<Request, { kind: 'append' }>;

function main(port: MessagePort): void {
  const { file, addon } = workerData as WorkerData;
  const say = (message: Answer | Opening, transfer: readonly ArrayBuffer[] = []) =>
    port.postMessage(message, [...transfer]);
  let db: Database.Database;
  let log: Log;
  try {
    db = openDatabase(file, addon);
    log = createLog(db);
    load(log, say);
  } catch (error) {
    say({ kind: 'failed', error: text(error) });
    port.close();
    return;
  }
  serve({ port, db, log, say });
}

function load(log: Log, say: (message: Opening, transfer?: readonly ArrayBuffer[]) => void): void {
  let chunk: LogEntry[] = [];
  let bytes = 0;
  const send = () => {
    const batch = packBatch(chunk);
    say({ kind: 'load', batch }, [batch]);
    chunk = [];
    bytes = 0;
  };
  for (const entry of log.current()) {
    chunk.push(entry);
    bytes += entry.value?.length ?? 0;
    if (bytes > LOAD_CHUNK_BYTES) send();
  }
  send();
  say({ kind: 'opened', revision: log.reserved(), compactedRevision: log.compacted() });
}

interface Worker {
  readonly port: MessagePort;
  readonly db: Database.Database;
  readonly log: Log;
  say(message: Answer, transfer?: readonly ArrayBuffer[]): void;
}

function serve({ port, db, log, say }: Worker): void {
  let failure: string | undefined;
  let idle: NodeJS.Timeout | undefined;

  const append = (batches: readonly Append[]) => {
    try {
      if (failure === undefined) {
        log.append(
          batches.flatMap(({ batch }) => unpackBatch(batch)),
          Math.max(...batches.map(({ reservedRevision }) => reservedRevision)),
        );
      }
    } catch (error) {
      failure = text(error);
    }
    for (const { seq } of batches)
      say({ kind: 'answer', seq, ...(failure === undefined ? {} : { error: failure }) });
    clearTimeout(idle);
    idle = setTimeout(() => checkpoint(db), IDLE_CHECKPOINT_MS);
  };

  const run = async (request: Exclude<Request, Append>): Promise<void> => {
    const { seq } = request;
    try {
      switch (request.kind) {
        case 'read': {
          const { events, previous } = log.read(request);
          const packed = [packBatch(events), packBatch(previous)] as const;
          say({ kind: 'answer', seq, events: packed[0], previous: packed[1] }, packed);
          return;
        }
        case 'compact':
          await log.compact(request.revision);
          break;
        case 'expired':
          say({ kind: 'answer', seq, revision: log.expired(Date.now()) });
          return;
        case 'recover':
          log.probe(PROBE_BYTES);
          failure = undefined;
          break;
        case 'close':
          clearTimeout(idle);
          log.close();
          break;
      }
      say({ kind: 'answer', seq });
      if (request.kind === 'close') port.close();
    } catch (error) {
      say({ kind: 'answer', seq, error: text(error) });
    }
  };

  port.on('message', (first: Request) => {
    let batches: Append[] = [];
    const commit = () => {
      if (batches.length > 0) append(batches);
      batches = [];
    };
    for (const request of drain(port, first)) {
      if (request.kind === 'append') {
        batches.push(request);
      } else {
        commit();
        void run(request);
      }
    }
    commit();
  });
}

/** All requests that have arrived, starting with this one; at most REQUESTS_MAX, so that a transaction ends. */
function* drain(port: MessagePort, first: Request): Generator<Request> {
  let request: Request | undefined = first;
  for (let count = 1; request; count++) {
    yield request;
    request = count < REQUESTS_MAX ? receiveMessageOnPort(port)?.message : undefined;
  }
}

function checkpoint(db: Database.Database): void {
  try {
    db.pragma('wal_checkpoint(TRUNCATE)');
  } catch {
    // A full disk: the log stays as it is and the next write reports it.
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

if (parentPort) main(parentPort);
