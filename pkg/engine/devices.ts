/** Device nodes and device rules of containers. */

import type { Stats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Device, EngineError } from './engine.ts';

/** As `linux.devices` has it. */
export interface HostDevice {
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface GivenDevice extends HostDevice {
  readonly isReadOnly: boolean;
}

/** What every container may open, as Docker has it. */
const OPENABLE: readonly (readonly [type: string, major: number, minor?: number])[] = [
  ['c', 1, 3],
  ['c', 1, 5],
  ['c', 1, 7],
  ['c', 1, 8],
  ['c', 1, 9],
  ['c', 5, 0],
  ['c', 5, 1],
  ['c', 5, 2],
  ['c', 136],
  ['c', 10, 200],
];

/** Entries of /dev that a container has its own of. */
const OWN = new Set(['pts', 'ptmx', 'shm', 'mqueue', 'fd', 'console', '.lxc', '.udev']);

/** `linux.resources.devices`. */
export function deviceRules(
  isPrivileged: boolean,
  given: readonly GivenDevice[] = [],
): readonly unknown[] {
  if (isPrivileged) return [{ allow: true, access: 'rwm' }];
  // It may make any node, and then not open it.
  const makable = ['c', 'b'].map((type) => ({ allow: true, type, access: 'm' }));
  const openable = OPENABLE.map(([type, major, minor]) => ({
    allow: true,
    type,
    major,
    ...(minor === undefined ? {} : { minor }),
    access: 'rwm',
  }));
  const own = given.map(({ type, major, minor, isReadOnly }) => ({
    allow: true,
    type,
    major,
    minor,
    access: isReadOnly ? 'r' : 'rwm',
  }));
  return [{ allow: false, access: 'rwm' }, ...makable, ...openable, ...own];
}

/** Looks up devices of the host that a container is to have. Rejects when one is no device. */
export function givenDevices(devices: readonly Device[] = []): Promise<readonly GivenDevice[]> {
  return Promise.all(
    devices.map(async ({ source, destination, isReadOnly }) => {
      const info = await stat(source);
      if (!info.isCharacterDevice() && !info.isBlockDevice()) {
        throw new EngineError('StartFailed', `${source} is no device`);
      }
      return { ...deviceOf(info), path: destination, isReadOnly };
    }),
  );
}

/** All device nodes of the host's /dev, for privileged containers. */
export async function hostDevices(directory = '/dev'): Promise<readonly HostDevice[]> {
  const found: HostDevice[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (directory === '/dev' && OWN.has(entry.name)) continue;
    if (entry.isDirectory()) found.push(...(await hostDevices(path)));
    if (entry.isCharacterDevice() || entry.isBlockDevice()) found.push(await describe(path));
  }
  return found;
}

async function describe(path: string): Promise<HostDevice> {
  return { path, ...deviceOf(await lstat(path)) };
}

function deviceOf(info: Stats): Omit<HostDevice, 'path'> {
  return {
    type: info.isCharacterDevice() ? 'c' : 'b',
    major: major(info.rdev),
    minor: minor(info.rdev),
    fileMode: info.mode & 0o7777,
    uid: info.uid,
    gid: info.gid,
  };
}

/** glibc's layout of dev_t: 12 bits of the major number, 20 of the minor, in four pieces. */
function major(device: number): number {
  return Math.floor(device / 256) % 4096;
}

function minor(device: number): number {
  return (device % 256) + (Math.floor(device / 2 ** 20) % 4096) * 256;
}
