/** hostPath volumes: checks the path's type, and makes it where the type says so. */

import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { HostPathVolumeSource } from '../../api/generated/types.ts';

interface PathType {
  readonly noun: string;
  is(stats: Stats): boolean;
  make?(path: string): Promise<void>;
}

const DIRECTORY: PathType = { noun: 'a directory', is: (stats) => stats.isDirectory() };
const FILE: PathType = { noun: 'a file', is: (stats) => stats.isFile() };

const TYPES: Readonly<Record<string, PathType>> = {
  Directory: DIRECTORY,
  File: FILE,
  Socket: { noun: 'a socket file', is: (stats) => stats.isSocket() },
  CharDevice: { noun: 'a character device', is: (stats) => stats.isCharacterDevice() },
  BlockDevice: { noun: 'a block device', is: (stats) => stats.isBlockDevice() },
  DirectoryOrCreate: { ...DIRECTORY, make: makeDirectory },
  FileOrCreate: { ...FILE, make: makeFile },
};

/** The host's path. Rejects when it is not what the volume's type says. */
export async function hostPath({ path, type }: HostPathVolumeSource): Promise<string> {
  const row = type ? TYPES[type] : undefined;
  if (type && !row) throw new Error(`unknown hostPath type: ${type}`);
  const stats = await stat(path).catch(() => undefined);
  if (!stats && row?.make) await row.make(path);
  else if (!stats && !row) await makeDirectory(path);
  else if (row && !(stats && row.is(stats))) {
    throw new Error(`hostPath type check failed: ${path} is not ${row.noun}`);
  }
  return path;
}

async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o755 });
}

async function makeFile(path: string): Promise<void> {
  await stat(dirname(path));
  const file = await open(path, 'a', 0o644);
  await file.close();
}
