/** What the node measures to see whether it runs short: memory, disks, process ids. */

import { readFile, statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { Signal } from '../node/kubelet-args.ts';

export interface Observation {
  /** Bytes, inodes or process ids that are free. */
  readonly available: number;
  readonly capacity: number;
  /** Of memory: page cache that counts as free, in bytes; absent = not known. */
  readonly reclaimable?: number;
}

/** By signal; what could not be measured is missing. */
export type Observations = ReadonlyMap<Signal, Observation>;

const CGROUPS = '/sys/fs/cgroup';

/** Measures everything now. */
export async function observe(dataDir: string): Promise<Observations> {
  const [memory, pids, nodefs, imagefs, containerfs] = await Promise.all([
    observeMemory(),
    observePids(),
    observeDisk('nodefs', dataDir),
    observeDisk('imagefs', join(dataDir, 'images')),
    observeDisk('containerfs', join(dataDir, 'containers')),
  ]);
  return new Map([...memory, ...pids, ...nodefs, ...imagefs, ...containerfs]);
}

type Found = (readonly [Signal, Observation])[];

async function observeDisk(
  name: 'nodefs' | 'imagefs' | 'containerfs',
  path: string,
): Promise<Found> {
  const stats = await statfs(path).catch(() => undefined);
  if (stats === undefined) return [];
  const space = { available: stats.bavail * stats.bsize, capacity: stats.blocks * stats.bsize };
  // Some file systems (btrfs) have no fixed number of inodes and tell 0.
  const inodes: Found =
    stats.files > 0
      ? [[`${name}.inodesFree`, { available: stats.ffree, capacity: stats.files }]]
      : [];
  return [[`${name}.available`, space], ...inodes];
}

async function observePids(): Promise<Found> {
  const capacity = await maxPids();
  const tasks = Number(/\/(\d+)/.exec(await read('/proc/loadavg'))?.[1] ?? Number.NaN);
  return Number.isFinite(tasks) && Number.isFinite(capacity)
    ? [['pid.available', { available: Math.max(0, capacity - tasks), capacity }]]
    : [];
}

/** How many process ids the kernel gives out at most. */
export async function maxPids(): Promise<number> {
  const [pids, threads] = await Promise.all([
    read('/proc/sys/kernel/pid_max'),
    read('/proc/sys/kernel/threads-max'),
  ]);
  return Math.min(
    Number(pids || Number.POSITIVE_INFINITY),
    Number(threads || Number.POSITIVE_INFINITY),
  );
}

async function observeMemory(): Promise<Found> {
  const [capacity, used] = await Promise.all([memoryCapacity(), memoryInUse()]);
  if (used === undefined) return [];
  const { bytes, reclaimable } = used;
  const available = Math.max(0, capacity - bytes);
  return [['memory.available', { available, capacity, reclaimable }]];
}

/** The host's memory, or less when mini itself runs in a container with a limit. */
export async function memoryCapacity(): Promise<number> {
  const limit = await Promise.all([
    read(join(CGROUPS, 'memory.max')),
    read(join(CGROUPS, 'memory/memory.limit_in_bytes')),
  ]);
  const numbers = limit.filter((text) => /^\d+$/.test(text)).map(Number);
  return Math.min(totalmem(), ...numbers);
}

interface MemoryUse {
  readonly bytes: number;
  readonly reclaimable: number;
}

function useOf(all: number, reclaimable = 0): MemoryUse {
  return { bytes: all - reclaimable, reclaimable };
}

/** Memory that cannot be given up without harm: all but file pages that were not used lately, as the kubelet counts. */
async function memoryInUse(): Promise<MemoryUse | undefined> {
  const v1 = await read(join(CGROUPS, 'memory/memory.usage_in_bytes'));
  if (v1 !== '') {
    const stat = await read(join(CGROUPS, 'memory/memory.stat'));
    return useOf(Number(v1), field(stat, 'total_inactive_file'));
  }
  const stat = await read(join(CGROUPS, 'memory.stat'));
  const current = await read(join(CGROUPS, 'memory.current'));
  if (current !== '') return useOf(Number(current), field(stat, 'inactive_file'));
  // The root of cgroup v2 has no such file.
  const meminfo = await read('/proc/meminfo');
  const free = Number(/^MemFree:\s+(\d+)/m.exec(meminfo)?.[1] ?? Number.NaN);
  const inactive = Number(/^Inactive\(file\):\s+(\d+)/m.exec(meminfo)?.[1] ?? 0);
  return Number.isFinite(free) ? useOf(totalmem() - free * 1024, inactive * 1024) : undefined;
}

function field(text: string, name: string): number | undefined {
  const value = new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

async function read(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.trim();
}
