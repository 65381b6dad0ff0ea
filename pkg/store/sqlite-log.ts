/** The statements of the SQLite store, prepared once. Runs in the worker thread; called by sqlite-worker.ts. */

import type Database from 'better-sqlite3';
import type { LogEntry } from './journal.ts';

/** Events younger than this stay, within the two limits below, so that watches and `mini history` can read them. */
const HISTORY_MAX_AGE_MS = 4 * 3_600_000;
const HISTORY_MAX_EVENTS = 500_000;
const HISTORY_MAX_BYTES = 256 * 1024 * 1024;
/** Revisions compacted in one transaction; appends run between two of them. */
const COMPACT_STEP = 2_000;
/** Free pages given back to the file system after each step. */
const VACUUM_PAGES = 1_000;

interface Row {
  readonly revision: number;
  readonly key: string;
  readonly value: Buffer | null;
  readonly created: number;
}

interface EventRow extends Row {
  readonly previousRevision: number | null;
  readonly previousValue: Buffer | null;
  readonly previousCreated: number | null;
}

export interface Log {
  current(): Iterable<LogEntry>;
  reserved(): number;
  compacted(): number;
  /** One transaction. Throws the SqliteError with everything rolled back. */
  append(entries: readonly LogEntry[], reservedRevision: number): void;
  read(range: { readonly prefix: string; readonly after: number; readonly upTo: number }): {
    events: LogEntry[];
    previous: LogEntry[];
  };
  compact(revision: number): Promise<void>;
  expired(nowMs: number): number;
  /** Throws unless the disk takes this many bytes. */
  probe(bytes: number): void;
  close(): void;
}

export function createLog(db: Database.Database): Log {
  const live = db.prepare<[string], { revision: number }>(
    'SELECT revision FROM current WHERE key = ?',
  );
  const insert = db.prepare(
    'INSERT OR REPLACE INTO log (revision, key, value, created, previous, at) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const point = db.prepare(
    'INSERT INTO current (key, revision) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET revision = excluded.revision',
  );
  const remove = db.prepare('DELETE FROM current WHERE key = ?');
  const readMeta = db.prepare<[string], { value: number }>('SELECT value FROM meta WHERE name = ?');
  const writeMeta = db.prepare('UPDATE meta SET value = ? WHERE name = ?');
  const meta = (name: string) => readMeta.get(name)?.value ?? 0;
  let reserved = meta('reserved');
  let last = lastRevision(db);

  const append = db.transaction((entries: readonly LogEntry[], reservedRevision: number) => {
    const at = Date.now();
    for (const { revision, key, value, createRevision, replaces } of entries) {
      const previous = replaces ?? live.get(key)?.revision ?? 0;
      insert.run(revision, key, value ?? null, createRevision, previous, at);
      if (value) point.run(key, revision);
      else remove.run(key);
    }
    if (reservedRevision > reserved) writeMeta.run(reservedRevision, 'reserved');
  });

  return {
    current: () => loadCurrent(db),
    reserved: () => Math.max(reserved, last),
    compacted: () => meta('compacted'),
    append(entries, reservedRevision) {
      append.immediate(entries, reservedRevision);
      reserved = Math.max(reserved, reservedRevision);
      for (const { revision } of entries) last = Math.max(last, revision);
    },
    read: (range) => readEvents(db, range),
    compact: (revision) => compact(db, meta('compacted'), revision),
    expired: (nowMs) => findExpired(db, nowMs - HISTORY_MAX_AGE_MS),
    probe(bytes) {
      const scratch = db.prepare(
        'INSERT INTO log (revision, key, value, created, previous, at) VALUES (-1, ?, zeroblob(?), 0, 0, 0)',
      );
      scratch.run('probe', bytes);
      db.prepare('DELETE FROM log WHERE revision = -1').run();
    },
    close() {
      // An orderly end used no revision beyond the last one: give the reserved ones back.
      writeMeta.run(last, 'reserved');
      db.pragma('wal_checkpoint(TRUNCATE)');
      db.close();
    },
  };
}

function lastRevision(db: Database.Database): number {
  return (
    db.prepare<[], { last: number | null }>('SELECT max(revision) AS last FROM log').get()?.last ??
    0
  );
}

function* loadCurrent(db: Database.Database): Generator<LogEntry> {
  const rows = db.prepare<[], Row>(
    'SELECT log.revision, log.key, log.value, log.created FROM current JOIN log ON log.revision = current.revision ORDER BY current.key',
  );
  for (const row of rows.iterate()) yield entryOf(row);
}

function readEvents(
  db: Database.Database,
  { prefix, after, upTo }: { prefix: string; after: number; upTo: number },
) {
  const rows = db.prepare<[number, number], EventRow>(
    `SELECT log.revision, log.key, log.value, log.created, p.revision AS previousRevision, p.value AS previousValue,
       p.created AS previousCreated
     FROM log LEFT JOIN log AS p ON p.revision = log.previous WHERE log.revision > ? AND log.revision <= ? ORDER BY log.revision`,
  );
  const events: LogEntry[] = [];
  const previous: LogEntry[] = [];
  for (const row of rows.iterate(after, upTo)) {
    if (!row.key.startsWith(prefix)) continue;
    events.push(entryOf(row));
    previous.push({
      key: row.key,
      revision: row.previousRevision ?? 0,
      value: row.previousValue ?? undefined,
      createRevision: row.previousCreated ?? 0,
    });
  }
  return { events, previous };
}

/** Removes what is older than `upTo` and not live: each event's predecessor, and deletions themselves. */
async function compact(db: Database.Database, from: number, upTo: number): Promise<void> {
  const replaced = db.prepare(
    'DELETE FROM log WHERE revision IN (SELECT previous FROM log WHERE revision > ? AND revision <= ? AND previous > 0)',
  );
  const deletions = db.prepare(
    'DELETE FROM log WHERE revision > ? AND revision <= ? AND value IS NULL',
  );
  const next = db.prepare<[number], { revision: number | null }>(
    'SELECT min(revision) AS revision FROM log WHERE revision > ?',
  );
  const mark = db.prepare("UPDATE meta SET value = ? WHERE name = 'compacted'");
  const step = db.transaction((after: number, through: number) => {
    replaced.run(after, through);
    deletions.run(after, through);
    mark.run(through);
  });
  for (let after = from; after < upTo; ) {
    // Revisions jump after an unclean end: skip the gap.
    const first = Math.min(next.get(after)?.revision ?? upTo, upTo);
    const through = Math.min(first + COMPACT_STEP, upTo);
    step.immediate(after, through);
    db.pragma(`incremental_vacuum(${VACUUM_PAGES})`);
    after = through;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function findExpired(db: Database.Database, oldestMs: number): number {
  const rows = db.prepare<[], { revision: number; bytes: number | null; at: number }>(
    'SELECT revision, length(value) AS bytes, at FROM log ORDER BY revision DESC',
  );
  let events = 0;
  let bytes = 0;
  for (const row of rows.iterate()) {
    events += 1;
    bytes += row.bytes ?? 0;
    if (events > HISTORY_MAX_EVENTS || bytes > HISTORY_MAX_BYTES || row.at < oldestMs)
      return row.revision;
  }
  return 0;
}

function entryOf({ revision, key, value, created }: Row): LogEntry {
  return { revision, key, value: value ?? undefined, createRevision: created };
}
