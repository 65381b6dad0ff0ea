/**
 * What one volume of mini's own provisioner is made of: a directory with a project quota where the file system keeps
 * them, else one on which a sparse file with an ext4 is mounted; a block volume is a sparse file with a loop device.
 * Each step may be done again.
 */

import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { VolumeHost } from '../../engine/engine.ts';
import { failedWith } from './errno.ts';

/** Any user may use a volume until its pod's fsGroup says otherwise. */
const OPEN_MODE = 0o777;
const IMAGES = '.images';
/** Disks consist of whole pages, so that no part of the last one is missing. */
const PAGE_BYTES = 4096;

/** What the node notes of a volume once it has made it: where its data is, and how much there is room for. */
export interface Made {
  readonly kind: 'directory' | 'image' | 'disk';
  readonly bytes: number;
}

export interface Backing {
  /** Where its files are; of a block volume its file. */
  readonly path: string;
  readonly isBlock: boolean;
  /** Of the sparse file, if it is one. */
  readonly image: string;
}

/** Throws when the path is not one directly below `directory`. */
export function backingOf(directory: string, path: string, isBlock: boolean): Backing {
  const name = basename(path);
  if (dirname(path) !== directory || name.startsWith('.')) {
    throw new Error(
      `the volume lies in ${dirname(path)} and this node has its volumes in ${directory}: was --data-dir changed?`,
    );
  }
  return { path, isBlock, image: join(directory, IMAGES, `${name}.ext4`) };
}

/** Makes it, or mounts it again; resolves to its directory or device, and to what it is made of. */
export async function mountBacking(
  host: VolumeHost,
  backing: Backing,
  bytes: number,
): Promise<{ readonly path: string; readonly kind: Made['kind'] }> {
  const { path, isBlock } = backing;
  if (!isBlock) return { path, kind: await mountDirectory(host, backing, bytes) };
  await mkdir(dirname(path), { recursive: true });
  await host.makeDisk(path, pages(bytes));
  return { path: await host.attachDisk(path), kind: 'disk' };
}

/** Rejects when what was made is gone or was cut off: an empty volume in its place would hide that data is lost. */
export async function checkBacking({ path, image }: Backing, made: Made): Promise<void> {
  const file = made.kind === 'image' ? image : path;
  const advice = 'put it back, or delete the claim to have a new and empty volume';
  const found = await statOf(file);
  if (!found) throw new Error(`the data of this volume is gone: ${file} does not exist: ${advice}`);
  const isRight = made.kind === 'directory' ? found.isDirectory() : found.isFile();
  if (!isRight) throw new Error(`${file} is not the ${made.kind} that this node made: ${advice}`);
  if (made.kind === 'directory' || found.size >= made.bytes) return;
  const sizes = `it has ${found.size} bytes of ${made.bytes}`;
  throw new Error(`data of this volume is gone: ${file} was cut off, ${sizes}: ${advice}`);
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

async function mountDirectory(
  host: VolumeHost,
  { path, image }: Backing,
  bytes: number,
): Promise<'directory' | 'image'> {
  const isNew = !(await exists(path));
  if (isNew) await mkdir(path, { recursive: true, mode: OPEN_MODE });
  if (!(await exists(image))) {
    if (await limit(host, path, bytes)) {
      if (isNew) await chmod(path, OPEN_MODE);
      return 'directory';
    }
    // As when it was limited by a quota before: an image would hide what is there.
    if (!isNew && (await readdir(path)).length > 0) {
      const why = 'but its file system keeps no project quotas: mount it with prjquota';
      throw new Error(`${path} holds data, ${why}`);
    }
    await mkdir(dirname(image), { recursive: true, mode: 0o700 });
    await makeImage(host, image, bytes);
  }
  await host.mountImage(image, path);
  await rmdir(join(path, 'lost+found')).catch(() => undefined); // Gone already, or holds something.
  // An ext4 begins with a root that only root may write to.
  if ((await readdir(path)).length === 0) await chmod(path, OPEN_MODE);
  return 'image';
}

/** Whether the file system keeps project quotas. */
async function limit(host: VolumeHost, path: string, bytes: number): Promise<boolean> {
  try {
    await host.setQuota(path, bytes);
    return true;
  } catch (error) {
    if (failedWith(error, 'EOPNOTSUPP')) return false;
    throw error;
  }
}

async function makeImage(host: VolumeHost, image: string, bytes: number): Promise<void> {
  try {
    await host.makeImage(image, bytes);
  } catch (error) {
    if (!failedWith(error, 'ENOENT')) throw error;
    throw new Error(
      'this node cannot limit the size of volumes: install e2fsprogs (mkfs.ext4), or mount the file system of the data directory with project quotas (prjquota)',
      { cause: error },
    );
  }
}

/** False when the kernel lets it grow only while it is not mounted; the file has grown, the next mount does the rest. */
export async function growBacking(
  host: VolumeHost,
  { path, image, isBlock }: Backing,
  bytes: number,
): Promise<boolean> {
  if (isBlock) {
    if (await exists(path)) await host.makeDisk(path, pages(bytes));
    return true;
  }
  if (!(await exists(image))) {
    if (await exists(path)) await host.setQuota(path, bytes);
    return true;
  }
  try {
    await host.growImage(image, path, bytes);
    return true;
  } catch (error) {
    if (failedWith(error, 'EPERM')) return false;
    throw error;
  }
}

/** Takes the mount, or the device, of what lies at this path away. */
export async function unmountBacking(host: VolumeHost, path: string): Promise<void> {
  const info = await lstat(path).catch(() => undefined);
  if (info?.isFile()) await host.detachDisk(path);
  else await host.unmount(path);
}

export async function removeBacking(host: VolumeHost, { path, image }: Backing): Promise<void> {
  await unmountBacking(host, path);
  // The second is what an agent that was killed had begun.
  for (const file of [image, `${image}.part`]) await rm(file, { force: true });
  await host.removeTree(path);
}

async function exists(path: string): Promise<boolean> {
  return (await statOf(path)) !== undefined;
}

/** Undefined when there is none. A disk that fails must not look as if there was nothing on it. */
async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (failedWith(error, 'ENOENT') || failedWith(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}
