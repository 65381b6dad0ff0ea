/**
 * Reads a container's log, rotated files included, and follows it: by the file system's notifications, not by
 * polling, until the container has ended and everything is read.
 */

import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { LineSplitter } from './line-splitter.ts';
import { rotatedFiles } from './log-files.ts';
import { LogPrinter } from './log-printer.ts';
import type { LogQuery } from './log-query.ts';
import { lastLines } from './tail-lines.ts';
import { tailStart } from './tail-start.ts';

export interface LogSource {
  /** The file that is written now. */
  readonly path: string;
  /** Whether the container still runs. */
  isRunning(): boolean;
  /** Calls back when that may have changed; returns the way to stop. */
  onChange(listener: () => void): () => void;
}

const CHUNK_BYTES = 64 * 1024;

/** The log as text chunks, until its end, or when following until the container's end or the signal. */
export async function* readLog(
  source: LogSource,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const printer = new LogPrinter(query);
  for await (const lines of logLines(source, query, signal)) {
    const text = printer.print(lines);
    if (text.length > 0) yield text;
    if (printer.isFull || signal.aborted) return;
  }
}

type Lines = AsyncGenerator<readonly Buffer[]>;

async function* logLines(source: LogSource, query: LogQuery, signal: AbortSignal): Lines {
  // Before anything is read, so that no change is missed.
  const wakeup = query.isFollowing ? new Wakeup(source) : undefined;
  const at: Position = {
    file: await openIfThere(source.path),
    offset: 0,
    splitter: new LineSplitter(),
  };
  try {
    yield* oldLines(await rotated(source.path, at.file), { query, file: at.file });
    at.offset = at.file ? await startOf(at.file, query) : 0;
    if (wakeup) yield* followed(source, { at, wakeup }, signal);
    else yield* linesFrom(at);
  } finally {
    wakeup?.close();
    await at.file?.close();
  }
}

/** How far the log has been read. */
interface Position {
  file: FileHandle | undefined;
  offset: number;
  splitter: LineSplitter;
}

async function* followed(
  source: LogSource,
  { at, wakeup }: { readonly at: Position; readonly wakeup: Wakeup },
  signal: AbortSignal,
): Lines {
  while (!signal.aborted) {
    // Asked before reading: what the container wrote before its end is then read for certain.
    const wasRunning = source.isRunning();
    yield* linesFrom(at);
    const next = await reopened(source.path, at.file);
    if (!next && !wasRunning) return;
    if (!next) await wakeup.wait(signal);
    else {
      // What was written before comes first: to the old file, and to those that came and went since.
      yield* linesFrom(at);
      for (const path of await between(source.path, at.file, next)) yield* wholeFile(path);
      await at.file?.close();
      at.file = next;
      at.offset = 0;
      at.splitter = new LineSplitter();
    }
  }
}

/** The complete lines from a position to the end of the file as it is now; moves the position on. */
async function* linesFrom(at: Position): Lines {
  while (at.file) {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    const { bytesRead } = await at.file.read(buffer, 0, CHUNK_BYTES, at.offset);
    if (bytesRead === 0) return;
    at.offset += bytesRead;
    yield at.splitter.push(buffer.subarray(0, bytesRead));
  }
}

interface Newest {
  readonly query: LogQuery;
  /** The file that is written now. */
  readonly file: FileHandle | undefined;
}

/** Lines of rotated files, as far as the query reaches back into them. */
async function* oldLines(old: readonly string[], { query, file }: Newest): Lines {
  if (query.tailLines === undefined) {
    for (const path of old) yield* wholeFile(path);
    return;
  }
  const missing = query.tailLines - (file ? await linesIn(file, query) : 0);
  if (missing <= 0) return;
  const ends = (line: Buffer) => isFull(line, query);
  yield* lastLines({ files: old, count: missing, read: wholeFile, ends });
}

/** Rotated files without the one that was opened as the current one and rotated away just then. */
async function rotated(path: string, file: FileHandle | undefined): Promise<readonly string[]> {
  const inode = (await file?.stat())?.ino;
  return (await rotatedFiles(path)).flatMap(({ path: one, ino }) => (ino === inode ? [] : [one]));
}

/** Files that were written after `old` and before `next`, and rotated away while the reader was busy. */
async function between(
  path: string,
  old: FileHandle | undefined,
  next: FileHandle,
): Promise<readonly string[]> {
  if (!old) return []; // What was there at the start has been read.
  const files = await rotatedFiles(path);
  const [before, after] = await Promise.all([old.stat(), next.stat()]);
  const start = files.findIndex(({ ino }) => ino === before.ino);
  const end = files.findIndex(({ ino }) => ino === after.ino);
  return files.slice(start + 1, end < 0 ? files.length : end).map(({ path: one }) => one);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (error) {
    // The container has not written yet, or its log went with its pod.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function linesIn(file: FileHandle, query: LogQuery): Promise<number> {
  const options = { count: query.tailLines ?? 0, isWanted: wants(query) };
  return (await tailStart(file, options)).lines;
}

function isFull(line: Buffer, query: LogQuery): boolean {
  const text = line.toString('latin1', 0, 64).split(' ');
  return text[2] === 'F' && (text[1] === 'stdout' || text[1] === 'stderr') && wants(query)(text[1]);
}

function wants({ stream }: LogQuery): (one: 'stdout' | 'stderr') => boolean {
  return (one) => stream === 'all' || stream === one;
}

async function startOf(file: FileHandle, query: LogQuery): Promise<number> {
  if (query.tailLines === undefined) return 0;
  return (await tailStart(file, { count: query.tailLines, isWanted: wants(query) })).offset;
}

/** Nothing of a file that has just been removed, as the oldest are. */
async function* wholeFile(path: string): Lines {
  const raw = (await openIfThere(path))?.createReadStream();
  if (!raw) return;
  const splitter = new LineSplitter();
  if (!path.endsWith('.gz')) {
    for await (const chunk of raw) yield splitter.push(chunk);
    return;
  }
  const plain = createGunzip();
  // An error of either ends both, and is thrown by the loop.
  pipeline(raw, plain, () => undefined);
  for await (const chunk of plain) yield splitter.push(chunk);
}

/** The file that took this one's place after a rotation, if there is one. */
async function reopened(
  path: string,
  file: FileHandle | undefined,
): Promise<FileHandle | undefined> {
  const next = await openIfThere(path);
  if (!next) return undefined;
  const [old, now] = await Promise.all([file?.stat(), next.stat()]);
  if (old?.ino !== now.ino) return next;
  await next.close();
  return undefined;
}

/** Waits for the directory of a log to change or for the container to end. Nothing between two waits is missed. */
class Wakeup {
  readonly #watcher: FSWatcher | undefined;
  readonly #unsubscribe: () => void;
  #isPending = false;
  #wake: (() => void) | undefined;

  constructor({ path, onChange }: LogSource) {
    const name = basename(path);
    this.#watcher = watchDirectory(dirname(path), (changed) => {
      if (changed === null || changed.startsWith(name)) this.#ring();
    });
    this.#unsubscribe = onChange(() => this.#ring());
  }

  async wait(signal: AbortSignal): Promise<void> {
    if (!this.#isPending) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    this.#isPending = false;
    this.#wake = undefined;
  }

  close(): void {
    this.#watcher?.close();
    this.#unsubscribe();
  }

  #ring(): void {
    this.#isPending = true;
    this.#wake?.();
  }
}

function watchDirectory(
  path: string,
  listener: (name: string | null) => void,
): FSWatcher | undefined {
  try {
    const watcher = watch(path, (_event, name) => listener(name));
    watcher.on('error', () => listener(null));
    return watcher;
  } catch {
    return undefined; // The directory went with its pod: there is nothing to follow.
  }
}
