/**
 * Writes a volume's files so that a reader sees all of one version or all of the next: the files lie in a directory
 * of their own, `..data` links to it, and each name links through `..data`. Layout as the kubelet's. It writes at once
 * rather than in Node's thread pool: the files are few and small and lie in memory (the run directory), and thirty
 * round trips for each pod cost more than all that they wrote.
 */

import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Payload, PayloadFile } from './payload-of.ts';

const DATA = '..data';

export interface WriteOptions {
  /** Group that owns it all and may read it (fsGroup). */
  readonly gid?: number | undefined;
  /** Of the volume's own directory; default 0o777. */
  readonly mode?: number;
}

/** Makes the directory hold just these files. Does nothing when it does already. */
export function writePayload(
  directory: string,
  payload: Payload,
  { gid, mode = 0o777 }: WriteOptions = {},
): void {
  const isNew = mkdirSync(directory, { recursive: true, mode: 0o755 }) !== undefined;
  const current = isNew ? undefined : currentVersion(directory);
  if (current !== undefined && holds(join(directory, current), payload)) return;
  if (isNew) openDirectory(directory, { gid, mode });
  const version = `..${new Date().toISOString().replaceAll(/[-:T]/g, '_').slice(0, 19)}.${randomBytes(5).readUIntBE(0, 5)}`;
  mkdirSync(join(directory, version));
  openDirectory(join(directory, version), { gid, mode: 0o755 });
  for (const [path, file] of payload) writeOne(join(directory, version), path, { file, gid });
  const link = join(directory, `${DATA}_tmp`);
  if (!isNew) rmSync(link, { force: true });
  symlinkSync(version, link);
  renameSync(link, join(directory, DATA));
  linkNames(directory, payload);
  if (!isNew) removeOthers(directory, version);
}

function currentVersion(directory: string): string | undefined {
  try {
    return readlinkSync(join(directory, DATA));
  } catch {
    return undefined; // Nothing was written yet.
  }
}

function writeOne(
  root: string,
  path: string,
  { file, gid }: { readonly file: PayloadFile; readonly gid: number | undefined },
): void {
  const target = join(root, path);
  makeParents(root, path, gid);
  writeFileSync(target, file.data);
  // With fsGroup the group may read whatever the owner may, as the kubelet does it.
  chmodSync(target, gid === undefined ? file.mode : file.mode | 0o440);
  const { uid = 0 } = file;
  if (uid !== 0 || gid !== undefined) chownSync(target, uid, gid ?? 0);
}

function makeParents(root: string, path: string, gid: number | undefined): void {
  const parents = path.split('/').slice(0, -1);
  for (const [index] of parents.entries()) {
    const parent = join(root, ...parents.slice(0, index + 1));
    if (lstatSync(parent, { throwIfNoEntry: false })) continue;
    mkdirSync(parent);
    openDirectory(parent, { gid, mode: 0o755 });
  }
}

/** As the kubelet: what is made in a directory of a group belongs to the group. */
function openDirectory(
  path: string,
  { gid, mode }: { readonly gid: number | undefined; readonly mode: number },
): void {
  if (gid !== undefined) chownSync(path, 0, gid);
  chmodSync(path, gid === undefined ? mode : mode | 0o2550);
}

/** Whether the version directory holds exactly this. */
function holds(root: string, payload: Payload): boolean {
  try {
    const present = listFiles(root, '');
    return (
      present.length === payload.size &&
      present.every((path) => payload.get(path)?.data.equals(readFileSync(join(root, path))))
    );
  } catch {
    return false; // It goes, or somebody has meddled with it: it is written anew.
  }
}

function listFiles(root: string, prefix: string): readonly string[] {
  return readdirSync(join(root, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = prefix ? `${prefix}/${entry.name}` : entry.name;
    return entry.isDirectory() ? listFiles(root, path) : [path];
  });
}

/** One link for each first path element; links whose target is gone are removed. */
function linkNames(directory: string, payload: Payload): void {
  const wanted = new Set([...payload.keys()].map((path) => path.split('/')[0] ?? path));
  for (const name of readdirSync(directory)) {
    if (!name.startsWith('..') && !wanted.has(name)) rmSync(join(directory, name), { force: true });
  }
  for (const name of wanted) {
    const link = join(directory, name);
    if (lstatSync(link, { throwIfNoEntry: false }) === undefined)
      symlinkSync(join(DATA, name), link);
  }
}

function removeOthers(directory: string, version: string): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith('..') && name !== DATA && name !== version)
      rmSync(join(directory, name), { recursive: true, force: true });
  }
}
