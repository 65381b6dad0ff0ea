/** What the volumes of a pod hold and how much they could, as the kubelet tells it: in its Summary and as metrics. */

import { readFile, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod, Volume } from '../../api/generated/types.ts';
import { claimNameOf } from '../../api/volume-binding.ts';
import { podDir, podRunDir } from '../paths.ts';
import { isHugePages } from '../pod/huge-pages.ts';
import type { MountedClaim } from '../volumes/claims.ts';
import type { DiskUsage } from './disk-usage.ts';
import type { Family } from './exposition.ts';
import type { Stats } from './stats.ts';

/** Of /sys/dev/block, whatever the device itself has. */
const SECTOR_BYTES = 512;

/** The kubelet's FsStats. */
interface FsStats {
  readonly time: string;
  readonly availableBytes: number;
  readonly capacityBytes: number;
  readonly usedBytes: number;
  readonly inodesFree: number;
  readonly inodes: number;
  readonly inodesUsed: number;
}

interface VolumeBody extends Partial<FsStats> {
  readonly name: string;
}

interface ClaimBody extends FsStats {
  readonly name: string;
  readonly pvcRef: { readonly name: string; readonly namespace: string };
}

interface VolumeStats {
  readonly bodies: readonly VolumeBody[];
  /** What lies in emptyDirs on disk. */
  readonly ephemeral: readonly DiskUsage[];
}

/** All volumes of a pod that are measured: neither those of the host nor images. */
export async function volumeStats(stats: Stats, pod: Pod, time: string): Promise<VolumeStats> {
  const bodies: VolumeBody[] = [];
  const ephemeral: DiskUsage[] = [];
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.hostPath || volume.image || claimNameOf(pod, volume) !== undefined) continue;
    const path = pathOf(stats, pod, volume);
    const usage = await stats.disks.of(path);
    if (usage.inodes === 0) continue;
    if (isOnDisk(volume)) ephemeral.push(usage);
    const { bytes: usedBytes, inodes: inodesUsed } = usage;
    bodies.push({ ...(await fileSystem(path, time)), usedBytes, inodesUsed, name: volume.name });
  }
  return { bodies: [...bodies, ...(await claimStats(stats, pod, time))], ephemeral };
}

function pathOf({ context: { paths } }: Stats, { metadata }: Pod, volume: Volume): string {
  const root = isOnDisk(volume) ? podDir(paths, metadata.uid) : podRunDir(paths, metadata.uid);
  return join(root, 'volumes', volume.name);
}

function isOnDisk({ emptyDir }: Volume): boolean {
  return emptyDir !== undefined && emptyDir.medium !== 'Memory' && !isHugePages(emptyDir.medium);
}

async function claimStats(stats: Stats, pod: Pod, time: string): Promise<readonly ClaimBody[]> {
  const mounted = stats.context.volumes.claims(pod.metadata.uid);
  const bodies: ClaimBody[] = [];
  for (const volume of pod.spec.volumes ?? []) {
    const claim = mounted.get(volume.name);
    const name = claimNameOf(pod, volume);
    const measured = claim && (await measure(claim, time));
    if (!measured || name === undefined) continue;
    const pvcRef = { name, namespace: pod.metadata.namespace ?? '' };
    bodies.push({ ...measured, name: volume.name, pvcRef });
  }
  return bodies;
}

/** Undefined when there is nothing to tell. Of a device no more than its size is known. */
async function measure({ path, kind }: MountedClaim, time: string): Promise<FsStats | undefined> {
  if (kind === 'host') return undefined;
  if (kind === 'directory') return fileSystemAt(path, time);
  const capacityBytes = await deviceBytes(path).catch(() => undefined);
  if (capacityBytes === undefined) return undefined;
  const nothing = { availableBytes: 0, usedBytes: 0, inodesFree: 0, inodes: 0, inodesUsed: 0 };
  return { time, capacityBytes, ...nothing };
}

async function deviceBytes(path: string): Promise<number> {
  const { rdev } = await stat(path);
  // As glibc's makedev(3) lays it out, below 32 bits.
  const major = (rdev >>> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  return Number(await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * SECTOR_BYTES;
}

/** The file system that holds a path. The time alone when it cannot be asked. */
export async function fileSystem(path: string, time: string): Promise<Partial<FsStats>> {
  return (await fileSystemAt(path, time)) ?? { time };
}

async function fileSystemAt(path: string, time: string): Promise<FsStats | undefined> {
  const found = await statfs(path).catch(() => undefined);
  if (!found) return undefined;
  return {
    time,
    availableBytes: found.bavail * found.bsize,
    capacityBytes: found.blocks * found.bsize,
    usedBytes: (found.blocks - found.bfree) * found.bsize,
    inodesFree: found.ffree,
    inodes: found.files,
    inodesUsed: found.files - found.ffree,
  };
}

const METRICS = [
  ['capacity_bytes', 'Capacity in bytes of the volume', 'capacityBytes'],
  ['available_bytes', 'Number of available bytes in the volume', 'availableBytes'],
  ['used_bytes', 'Number of used bytes in the volume', 'usedBytes'],
  ['inodes', 'Maximum number of inodes in the volume', 'inodes'],
  ['inodes_free', 'Number of free inodes in the volume', 'inodesFree'],
  ['inodes_used', 'Number of used inodes in the volume', 'inodesUsed'],
] as const;

/** The claims that pods of this node have mounted, each once. */
export async function claimFamilies(stats: Stats): Promise<readonly Family[]> {
  const byClaim = new Map<string, ClaimBody>();
  for (const pod of stats.pods.list()) {
    for (const body of await claimStats(stats, pod, ''))
      byClaim.set(`${body.pvcRef.namespace}/${body.pvcRef.name}`, body);
  }
  return METRICS.map(([name, help, field]) => ({
    name: `kubelet_volume_stats_${name}`,
    help: `[ALPHA] ${help}`,
    type: 'gauge',
    samples: [...byClaim.values()].map(({ pvcRef, ...body }) => ({
      labels: { namespace: pvcRef.namespace, persistentvolumeclaim: pvcRef.name },
      value: body[field],
    })),
  }));
}
