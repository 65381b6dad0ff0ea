/** What the node tells of its host: sizes, identity, kernel. Read once at start; missing files degrade to a default. */

import { readdir, readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, release } from 'node:os';
import { maxPids, memoryCapacity } from '../eviction/signals.ts';
import { binarySize, type HugePages } from '../pod/huge-pages.ts';

export interface HostInfo {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  /** Process ids that the kernel gives out at most. */
  readonly pids: number;
  /** What the kernel keeps of huge pages. */
  readonly hugePages?: HugePages;
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
  const [machineId, productUuid, bootId, osRelease, disk, memory, pids, hugePages] =
    await Promise.all([
      read('/etc/machine-id'),
      read('/sys/class/dmi/id/product_uuid'),
      read('/proc/sys/kernel/random/boot_id'),
      read('/etc/os-release'),
      statfs(dataDir).catch(() => undefined),
      memoryCapacity(),
      maxPids(),
      readHugePages(),
    ]);
  return {
    cpus: availableParallelism(),
    memoryBytes: memory,
    storageBytes: disk ? disk.blocks * disk.bsize : 0,
    pids,
    hugePages,
    machineId,
    systemUuid: productUuid || machineId,
    bootId,
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? 'Linux',
    architecture: ARCHITECTURES[arch()] ?? arch(),
  };
}

const HUGE_PAGES = '/sys/kernel/mm/hugepages';

/** Directories `hugepages-<size>kB`; none in a kernel without. */
async function readHugePages(): Promise<HugePages> {
  const sizes = await readdir(HUGE_PAGES).catch(() => []);
  const known = sizes.map(async (name) => {
    const pageBytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0) * 1024;
    const count = Number(await read(`${HUGE_PAGES}/${name}/nr_hugepages`));
    return [binarySize(pageBytes), count * pageBytes] as const;
  });
  return Object.fromEntries(await Promise.all(known));
}

async function read(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.trim();
}
