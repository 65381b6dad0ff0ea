/**
 * Writes a volume's files so that a reader sees all of one version or all of the next: the files lie in a directory
 * of their own, `..data` links to it, and each name links through `..data`. Layout as the kubelet's.
 */

import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Payload, PayloadFile } from './payload-of.ts';

const DATA = '..data';

export interface WriteOptions {
  /** Group that owns the files and may read them (fsGroup). */
  readonly gid?: number | undefined;
}

/** Makes the directory hold just these files. Does nothing when it does already. */
export async function writePayload(
  directory: string,
  payload: Payload,
  { gid }: WriteOptions = {},
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const current = await readlink(join(directory, DATA)).catch(() => undefined);
  if (current !== undefined && (await holds(join(directory, current), payload))) return;
  const version = `..${new Date().toISOString().replaceAll(/[-:T]/g, '_').slice(0, 19)}.${randomBytes(5).readUIntBE(0, 5)}`;
  await mkdir(join(directory, version), { mode: 0o755 });
  await chmod(join(directory, version), 0o755);
  for (const [path, file] of payload) await writeOne(join(directory, version), path, { file, gid });
  await symlink(version, join(directory, `${DATA}_tmp`)).catch(async () => {
    await rm(join(directory, `${DATA}_tmp`), { force: true });
    await symlink(version, join(directory, `${DATA}_tmp`));
  });
  await rename(join(directory, `${DATA}_tmp`), join(directory, DATA));
  await linkNames(directory, payload);
  await removeOthers(directory, version);
}

async function writeOne(
  root: string,
  path: string,
  { file, gid }: { readonly file: PayloadFile; readonly gid: number | undefined },
): Promise<void> {
  const target = join(root, path);
  await mkdir(dirname(target), { recursive: true, mode: 0o755 });
  await writeFile(target, file.data);
  // With fsGroup the group may read whatever the owner may, as the kubelet does it.
  await chmod(target, gid === undefined ? file.mode : file.mode | 0o440);
  if (gid !== undefined) await chown(target, 0, gid);
}

/** Whether the version directory holds exactly this. */
async function holds(root: string, payload: Payload): Promise<boolean> {
  const present = await listFiles(root, '');
  if (present.length !== payload.size) return false;
  for (const path of present) {
    const wanted = payload.get(path);
    if (!wanted) return false;
    const data = await readFile(join(root, path)).catch(() => undefined);
    if (!data?.equals(wanted.data)) return false;
  }
  return true;
}

async function listFiles(root: string, prefix: string): Promise<readonly string[]> {
  const entries = await readdir(join(root, prefix), { withFileTypes: true }).catch(() => []);
  const files: string[] = [];
  for (const entry of entries) {
    const path = prefix ? `${prefix}/${entry.name}` : entry.name;
    if (entry.isDirectory()) files.push(...(await listFiles(root, path)));
    else files.push(path);
  }
  return files;
}

/** One link for each first path element; links whose target is gone are removed. */
async function linkNames(directory: string, payload: Payload): Promise<void> {
  const wanted = new Set([...payload.keys()].map((path) => path.split('/')[0] ?? path));
  for (const name of await readdir(directory)) {
    if (!name.startsWith('..') && !wanted.has(name))
      await rm(join(directory, name), { force: true });
  }
  for (const name of wanted) {
    const isThere = await lstat(join(directory, name)).then(
      () => true,
      () => false,
    );
    if (!isThere) await symlink(join(DATA, name), join(directory, name));
  }
}

async function removeOthers(directory: string, version: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith('..') && name !== DATA && name !== version) {
      await rm(join(directory, name), { recursive: true, force: true });
    }
  }
}
