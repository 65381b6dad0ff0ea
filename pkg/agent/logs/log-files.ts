/**
 * The files of one run's log, oldest first: those that were rotated away (`<n>.log.<time>`, perhaps gzipped) and the
 * one that is written (`<n>.log`).
 */

import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export async function logFiles(path: string): Promise<readonly string[]> {
  const directory = dirname(path);
  const name = basename(path);
  const names: readonly string[] = await readdir(directory).catch(() => []);
  const rotated = names.filter((one) => one.startsWith(`${name}.`) && !one.endsWith('.tmp')).sort();
  const current = names.includes(name) ? [name] : [];
  return [...rotated, ...current].map((one) => join(directory, one));
}

/** The run numbers of a container that has logs, newest first. */
export async function logRuns(directory: string): Promise<readonly number[]> {
  const names: readonly string[] = await readdir(directory).catch(() => []);
  const runs = names.flatMap((name) => {
    const number = /^(\d+)\.log$/.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
  return runs.sort((a, b) => b - a);
}
