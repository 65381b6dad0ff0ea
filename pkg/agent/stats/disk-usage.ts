/** Bytes and inodes below a directory, on its file system alone, as `du` counts them; kept for a while. */

import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../wait/clock.ts';

export interface DiskUsage {
  readonly bytes: number;
  readonly inodes: number;
}

/** Walking a tree costs more than anything else here; cAdvisor, too, looks once a minute at most. */
const KEPT_MS = 60_000;
/** Of stat(2). */
const BLOCK_BYTES = 512;
/** Paths that are kept; more than a full node has. */
const PATHS_MAX = 20_000;

interface Kept {
  readonly atMs: number;
  readonly usage: Promise<DiskUsage>;
}

export class DiskUsages {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A path that is not there uses nothing. */
  of(path: string): Promise<DiskUsage> {
    const nowMs = this.#clock.monotonic();
    const known = this.#kept.get(path);
    if (known && Math.abs(nowMs - known.atMs) < KEPT_MS) return known.usage;
    if (this.#kept.size >= PATHS_MAX) this.#kept.clear();
    const usage = measureDisk(path);
    this.#kept.set(path, { atMs: nowMs, usage });
    return usage;
  }
}

/** Looks now. */
export async function measureDisk(root: string): Promise<DiskUsage> {
  const top = await ignoring(lstat(root));
  if (!top) return { bytes: 0, inodes: 0 };
  let bytes = top.blocks * BLOCK_BYTES;
  let inodes = 1;
  /** Inodes with several names count once. */
  const linked = new Set<number>();
  const count = (found: Stats) => {
    if (found.dev !== top.dev || linked.has(found.ino)) return;
    if (found.nlink > 1 && !found.isDirectory()) linked.add(found.ino);
    bytes += found.blocks * BLOCK_BYTES;
    inodes += 1;
  };
  const directories = top.isDirectory() ? [root] : [];
  for (let path = directories.pop(); path !== undefined; path = directories.pop()) {
    const entries: readonly Dirent[] =
      (await ignoring(readdir(path, { withFileTypes: true }))) ?? [];
    for (const entry of entries) {
      const child = join(path, entry.name);
      const found = await ignoring(lstat(child));
      if (!found) continue;
      count(found);
      if (found.isDirectory() && found.dev === top.dev) directories.push(child);
    }
  }
  return { bytes, inodes };
}

/** What is measured may vanish meanwhile. */
function ignoring<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch(() => undefined);
}
