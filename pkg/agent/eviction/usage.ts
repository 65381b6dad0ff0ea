/** What each pod uses now, measured for evictions: its cgroups, its writable layers, logs and volumes on disk. */

import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import type { NodeContext } from '../node-context.ts';
import { containerLogs, podDir } from '../paths.ts';
import { CONTAINER_NAME, sandboxId } from '../pod/labels.ts';
import { allContainers } from '../pod/records.ts';
import { cgroupParent } from '../pod/resources.ts';
import { cgroupReader } from '../stats/cgroup-usage.ts';
import { type DiskUsage, measureDisk } from '../stats/disk-usage.ts';
import type { ContainerUsage, PodUsage } from './rank.ts';

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
    pids: cgroupReader()(cgroup)?.tasks ?? 0,
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
  return engine.listContainers(sandboxId(metadata.uid)).map((info) => ({
    id: info.id,
    name: info.labels[CONTAINER_NAME] ?? '',
    isLive: info.status === 'running' || info.status === 'paused',
  }));
}

async function sumOf(paths: readonly string[]): Promise<DiskUsage> {
  let sum = NOTHING;
  for (const path of paths) sum = add(sum, await measureDisk(path));
  return sum;
}

function add(a: DiskUsage, b: DiskUsage): DiskUsage {
  return { bytes: a.bytes + b.bytes, inodes: a.inodes + b.inodes };
}

/** Memory of a cgroup that cannot be given up without harm; 0 when there is no such cgroup. */
export async function workingSet(cgroup: string): Promise<number> {
  return cgroupReader()(cgroup)?.memory?.workingSetBytes ?? 0;
}
