/** What the node tells of its host: sizes, identity, kernel. Read once at start; missing files degrade to a default. */

import { readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, release } from 'node:os';
import { maxPids, memoryCapacity } from '../eviction/signals.ts';

export interface HostInfo {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  /** Process ids that the kernel gives out at most. */
  readonly pids: number;
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  /** As Go names it: amd64, arm64. */
  readonly architecture: string;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
};

export async function readHost(dataDir: string): Promise<HostInfo> {
  const [machineId, productUuid, bootId, osRelease, disk, memory, pids] = await Promise.all([
    read('/etc/machine-id'),
    read('/sys/class/dmi/id/product_uuid'),
    read('/proc/sys/kernel/random/boot_id'),
    read('/etc/os-release'),
    statfs(dataDir).catch(() => undefined),
    memoryCapacity(),
    maxPids(),
  ]);
  return {
    cpus: availableParallelism(),
    memoryBytes: memory,
    storageBytes: disk ? disk.blocks * disk.bsize : 0,
    pids,
    machineId,
    systemUuid: productUuid || machineId,
    bootId,
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? 'Linux',
    architecture: ARCHITECTURES[arch()] ?? arch(),
  };
}

async function read(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.trim();
}
