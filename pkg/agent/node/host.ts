/** What the node tells of its host: sizes, identity, kernel. Read once at start; missing files degrade to a default. */

import { readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, release, totalmem } from 'node:os';

export interface HostInfo {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
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
  const [machineId, productUuid, bootId, osRelease, disk] = await Promise.all([
    read('/etc/machine-id'),
    read('/sys/class/dmi/id/product_uuid'),
    read('/proc/sys/kernel/random/boot_id'),
    read('/etc/os-release'),
    statfs(dataDir).catch(() => undefined),
  ]);
  return {
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    storageBytes: disk ? disk.blocks * disk.bsize : 0,
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

/** Below these shares of what is free, the node reports pressure; the kubelet's defaults. */
const MIN_FREE_DISK = 0.1;
const MIN_FREE_MEMORY_BYTES = 100 * 1024 * 1024;
const MAX_PIDS_SHARE = 0.95;

export interface Pressure {
  readonly disk: boolean;
  readonly memory: boolean;
  readonly pids: boolean;
}

export async function readPressure(dataDir: string): Promise<Pressure> {
  const [disk, meminfo, loadavg, pidMax] = await Promise.all([
    statfs(dataDir).catch(() => undefined),
    read('/proc/meminfo'),
    read('/proc/loadavg'),
    read('/proc/sys/kernel/pid_max'),
  ]);
  const availableKib = Number(
    /^MemAvailable:\s+(\d+)/m.exec(meminfo)?.[1] ?? Number.POSITIVE_INFINITY,
  );
  const tasks = Number(/\/(\d+)/.exec(loadavg)?.[1] ?? 0);
  return {
    disk: disk !== undefined && disk.bavail < disk.blocks * MIN_FREE_DISK,
    memory: availableKib * 1024 < MIN_FREE_MEMORY_BYTES,
    pids: tasks > Number(pidMax || Number.POSITIVE_INFINITY) * MAX_PIDS_SHARE,
  };
}
