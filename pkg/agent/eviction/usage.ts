/** What each pod uses now, measured for evictions: its cgroups, its writable layers, logs and volumes on disk. */

import type { Stats } from 'node:fs';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import type { NodeContext } from '../node-context.ts';
import { containerLogs, podDir } from '../paths.ts';
import { CONTAINER_NAME, sandboxId } from '../pod/labels.ts';
import { allContainers } from '../pod/records.ts';
import { cgroupParent } from '../pod/resources.ts';
import type { ContainerUsage, PodUsage } from './rank.ts';

const CGROUPS = '/sys/fs/cgroup';
/** Unit in which the kernel tells the blocks of a file. */
const BLOCK_BYTES = 512;

interface DiskUsage {
  readonly bytes: number;
  readonly inodes: number;
}

const NOTHING: DiskUsage = { bytes: 0, inodes: 0 };

/** Measures one pod; with `hasDisk` also what it has written, which takes a look at each of its files. */
export async function podUsage(
  context: NodeContext,
  pod: Pod,
  { hasDisk }: { readonly hasDisk: boolean },
): Promise<PodUsage> {
  const cgroup = cgroupParent(context.cgroupRoot, pod);
  const disk = hasDisk ? await podDisk(context, pod) : undefined;
  const runs = runsOf(context, pod);
  const containers = await Promise.all(
    allContainers(pod).map(async ({ name }): Promise<ContainerUsage> => {
      const own = runs.filter((run) => run.name === name && run.isLive);
      const memory = await Promise.all(own.map(({ id }) => workingSet(`${cgroup}/${id}`)));
      const diskBytes = disk?.containers.get(name)?.bytes ?? 0;
      return { name, memoryBytes: memory.reduce((sum, each) => sum + each, 0), diskBytes };
    }),
  );
  return {
    pod,
    memoryBytes: await workingSet(cgroup),
    pids: await pidsOf(cgroup),
    diskBytes: disk?.total.bytes ?? 0,
    diskInodes: disk?.total.inodes ?? 0,
    containers,
  };
}

export interface PodDisk {
  readonly total: DiskUsage;
  /** Writable layers and logs, by container. */
  readonly containers: ReadonlyMap<string, DiskUsage>;
  /** emptyDirs on disk, by volume. */
  readonly volumes: ReadonlyMap<string, DiskUsage>;
}

/** What a pod has written to the disk of the node. */
export async function podDisk(context: NodeContext, pod: Pod): Promise<PodDisk> {
  const { paths } = context;
  const containers = new Map<string, DiskUsage>();
  const runs = runsOf(context, pod);
  for (const { name } of allContainers(pod)) {
    const own = runs.filter((run) => run.name === name);
    const layers = own.map(({ id }) => join(paths.dataDir, 'containers', id, 'upper'));
    containers.set(name, await sumOf([...layers, containerLogs(paths, pod, name)]));
  }
  const volumes = new Map<string, DiskUsage>();
  for (const { name, emptyDir } of pod.spec.volumes ?? []) {
    if (!emptyDir || emptyDir.medium) continue;
    volumes.set(name, await sumOf([join(podDir(paths, pod.metadata.uid), 'volumes', name)]));
  }
  const all = [...containers.values(), ...volumes.values()];
  return { total: all.reduce(add, NOTHING), containers, volumes };
}

function runsOf({ engine }: NodeContext, { metadata }: Pod) {
  const id = sandboxId(metadata.uid);
  return engine
    .listContainers()
    .filter((info) => info.sandboxId === id)
    .map((info) => ({
      id: info.id,
      name: info.labels[CONTAINER_NAME] ?? '',
      isLive: info.status === 'running' || info.status === 'paused',
    }));
}

async function sumOf(paths: readonly string[]): Promise<DiskUsage> {
  let sum = NOTHING;
  for (const path of paths) sum = add(sum, await diskUsage(path));
  return sum;
}

function add(a: DiskUsage, b: DiskUsage): DiskUsage {
  return { bytes: a.bytes + b.bytes, inodes: a.inodes + b.inodes };
}

/** What a tree takes on disk, as du counts; stays on its file system; what goes away meanwhile is not counted. */
async function diskUsage(root: string): Promise<DiskUsage> {
  const top = await lstat(root).catch(() => undefined);
  if (!top) return NOTHING;
  let sum = sizeOf(top);
  const seen = new Set<number>();
  const waiting = top.isDirectory() ? [root] : [];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const { name, stats } of await entriesOf(path)) {
      if (stats.dev !== top.dev || seen.has(stats.ino)) continue;
      // A file with several names is there once.
      if (stats.nlink > 1) seen.add(stats.ino);
      sum = add(sum, sizeOf(stats));
      if (stats.isDirectory()) waiting.push(join(path, name));
    }
  }
  return sum;
}

function sizeOf({ blocks }: Stats): DiskUsage {
  return { bytes: blocks * BLOCK_BYTES, inodes: 1 };
}

async function entriesOf(
  path: string,
): Promise<readonly { readonly name: string; readonly stats: Stats }[]> {
  const names = await readdir(path).catch(() => []);
  const entries = await Promise.all(
    names.map(async (name) => ({
      name,
      stats: await lstat(join(path, name)).catch(() => undefined),
    })),
  );
  return entries.flatMap(({ name, stats }) => (stats ? [{ name, stats }] : []));
}

/** Memory of a cgroup that cannot be given up without harm; 0 when there is no such cgroup. */
export async function workingSet(cgroup: string): Promise<number> {
  const v2 = await read(join(CGROUPS, cgroup, 'memory.current'));
  const directory = v2 === '' ? join(CGROUPS, 'memory', cgroup) : join(CGROUPS, cgroup);
  const used = v2 === '' ? await read(join(directory, 'memory.usage_in_bytes')) : v2;
  const stat = await read(join(directory, 'memory.stat'));
  const name = v2 === '' ? 'total_inactive_file' : 'inactive_file';
  const inactive = Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
  return Math.max(0, Number(used) - inactive);
}

async function pidsOf(cgroup: string): Promise<number> {
  const v2 = await read(join(CGROUPS, cgroup, 'pids.current'));
  return Number(v2 || (await read(join(CGROUPS, 'pids', cgroup, 'pids.current'))) || 0);
}

async function read(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.trim();
}
