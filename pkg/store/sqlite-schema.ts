/**
 * Opens the database file of the store. Two tables: `log`, append-only by revision, holds every value once; `current`
 * names the revision of each key's live value. Runs in the worker thread.
 */

import { statSync } from 'node:fs';
import Database from 'better-sqlite3';

/** PRAGMA application_id: "mini". */
const APPLICATION_ID = 0x6d696e69;
/** PRAGMA user_version: raised when the tables change. */
const FORMAT = 1;
/** Pages of the write-ahead log before it is checkpointed: 16 MiB. */
const CHECKPOINT_PAGES = 4_000;
/** How long an ending predecessor may still hold the file. */
const BUSY_TIMEOUT_MS = 1_000;
const WAL_KEPT_BYTES = 16 * 1024 * 1024;

const TABLES = `
CREATE TABLE log (
  revision INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  value BLOB,
  created INTEGER NOT NULL,
  previous INTEGER NOT NULL,
  at INTEGER NOT NULL
);
CREATE TABLE current (key TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('reserved', 0), ('compacted', 0);
`;

/** Opens or creates the file, for this process alone. Throws an Error that says what is wrong and what to do. */
export function openDatabase(file: string, addon: string | undefined): Database.Database {
  let db: Database.Database | undefined;
  try {
    db = new Database(file, {
      timeout: BUSY_TIMEOUT_MS,
      ...(addon ? { nativeBinding: loadAddon(addon) } : {}),
    });
    db.pragma('locking_mode = EXCLUSIVE');
    if (Number(db.pragma('page_count', { simple: true })) === 0)
      db.pragma('auto_vacuum = INCREMENTAL');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    db.pragma(`journal_size_limit = ${WAL_KEPT_BYTES}`);
    prepare(db, file);
    return db;
  } catch (error) {
    db?.close();
    throw explain(file, error);
  }
}

function prepare(db: Database.Database, file: string): void {
  const application = Number(db.pragma('application_id', { simple: true }));
  const format = Number(db.pragma('user_version', { simple: true }));
  if (
    application === 0 &&
    format === 0 &&
    Number(db.pragma('schema_version', { simple: true })) === 0
  ) {
    db.transaction(() => {
      db.exec(TABLES);
      db.pragma(`application_id = ${APPLICATION_ID}`);
      db.pragma(`user_version = ${FORMAT}`);
    })();
    return;
  }
  if (application !== APPLICATION_ID)
    throw new Error(`${file} is an SQLite file of another program`);
  if (format > FORMAT)
    throw new Error(
      `${file} was written by a newer mini (format ${format}; this one knows ${FORMAT}): upgrade mini`,
    );
}

/** better-sqlite3 takes a loaded addon as well as a path; its typings know only the path. */
function loadAddon(path: string): string {
  const holder = { exports: {} };
  process.dlopen(holder, path);
  return holder.exports as string;
}

function explain(file: string, error: unknown): Error {
  const code = error instanceof Database.SqliteError ? error.code : '';
  if (code === 'SQLITE_BUSY')
    return new Error(`${file} is in use by another mini server`, { cause: error });
  if (code === 'SQLITE_NOTADB' || code === 'SQLITE_CORRUPT') {
    return new Error(
      `${file} is damaged; nothing was changed. Move it away and restore a backup in its place`,
      { cause: error },
    );
  }
  if (code === 'SQLITE_CANTOPEN' && statSync(file, { throwIfNoEntry: false })?.isDirectory())
    return new Error(`${file} is a directory, not a file: remove it`, { cause: error });
  if (code === 'SQLITE_CANTOPEN')
    return new Error(`Cannot open ${file}: check that its directory exists and is writable`, {
      cause: error,
    });
  return error instanceof Error ? error : new Error(String(error));
}
