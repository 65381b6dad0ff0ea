/**
 * The files of one run's log, oldest first: those that were rotated away (`<n>.log.<time>`, perhaps gzipped) and the
 * one that is written (`<n>.log`).
 */

import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Those that were rotated away and are still there, oldest first. */
export async function rotatedFiles(path: string): Promise<readonly LogFile[]> {
  const directory = dirname(path);
  const name = basename(path);
  const names = await namesIn(directory);
  const rotated = names.filter((one) => one.startsWith(`${name}.`) && !one.endsWith('.tmp')).sort();
  const files = await Promise.all(
    rotated.map(async (one) => {
      const file = join(directory, one);
      const info = await stat(file).catch(unlessMissing);
      return info ? [{ path: file, ino: info.ino }] : [];
    }),
  );
  return files.flat();
}

export interface LogFile {
  readonly path: string;
  readonly ino: number;
}

/** The run numbers of a container that has logs, newest first. */
export async function logRuns(directory: string): Promise<readonly number[]> {
  const names = await namesIn(directory);
  const runs = names.flatMap((name) => {
    const number = /^(\d+)\.log$/.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
  return runs.sort((a, b) => b - a);
}

/** A directory that is not there, or not any more, has no files. */
async function namesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory).catch(unlessMissing)) ?? [];
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
