/** What the node and everything on it has used up to now: the source of all the forms in which it is told. */

import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { Pod } from '../../api/generated/types.ts';
import type { ContainerInfo } from '../../engine/engine.ts';
import type { NodeContext } from '../node-context.ts';
import { CONTAINER_NAME, POD_UID } from '../pod/labels.ts';
import type { Pods } from '../pod/pods.ts';
import { cgroupParent } from '../pod/resources.ts';
import type { CgroupReader, CgroupUsage } from './cgroup-usage.ts';
import type { Subject } from './sampler.ts';

export interface ContainerSnapshot {
  readonly name: string;
  readonly info: ContainerInfo;
  readonly cgroup: string;
  readonly usage: CgroupUsage | undefined;
}

export interface PodSnapshot {
  readonly pod: Pod;
  readonly cgroup: string;
  readonly startedAtMs: number;
  readonly usage: CgroupUsage | undefined;
  /** Those that run, in the order of their names. */
  readonly containers: readonly ContainerSnapshot[];
}

interface NodeSnapshot {
  readonly cpuNanos: number;
  readonly bootedAtMs: number;
  readonly memory: NodeMemory;
}

interface NodeMemory {
  readonly capacityBytes: number;
  readonly usageBytes: number;
  readonly workingSetBytes: number;
  readonly availableBytes: number;
  readonly rssBytes: number;
  readonly swapTotalBytes: number;
  readonly swapFreeBytes: number;
}

export interface Snapshot {
  readonly atMs: number;
  readonly node: NodeSnapshot;
  readonly pods: readonly PodSnapshot[];
}

export interface SnapshotParts {
  readonly context: NodeContext;
  readonly pods: Pods;
  readonly read: CgroupReader;
}

/** Pods read in one turn of the event loop; each is a dozen small files. */
const PODS_A_TURN = 25;

/** Pods that have a running container; the others use nothing. */
export async function takeSnapshot({ context, pods, read }: SnapshotParts): Promise<Snapshot> {
  const running = runningByPod(context.engine.listContainers());
  const found: PodSnapshot[] = [];
  for (const pod of pods.list()) {
    const containers = running.get(pod.metadata.uid);
    if (!containers) continue;
    found.push(podSnapshot(pod, cgroupParent(context.cgroupRoot, pod), { containers, read }));
    if (found.length % PODS_A_TURN === 0) await new Promise((next) => setImmediate(next));
  }
  return { atMs: context.clock.now(), node: nodeSnapshot(read, context.clock.now()), pods: found };
}

function runningByPod(
  containers: readonly ContainerInfo[],
): ReadonlyMap<string, readonly ContainerInfo[]> {
  const byPod = new Map<string, ContainerInfo[]>();
  for (const info of containers) {
    if (info.status !== 'running' && info.status !== 'paused') continue;
    const uid = info.labels[POD_UID] ?? '';
    const list = byPod.get(uid) ?? [];
    list.push(info);
    byPod.set(uid, list);
  }
  return byPod;
}

function podSnapshot(
  pod: Pod,
  cgroup: string,
  parts: { readonly containers: readonly ContainerInfo[]; readonly read: CgroupReader },
): PodSnapshot {
  const containers = parts.containers.map((info) => {
    const path = `${cgroup}/${info.id}`;
    return {
      name: info.labels[CONTAINER_NAME] ?? '',
      info,
      cgroup: path,
      usage: parts.read(path),
    };
  });
  return {
    pod,
    cgroup,
    startedAtMs: Date.parse(pod.status?.startTime ?? pod.metadata.creationTimestamp ?? ''),
    usage: parts.read(cgroup),
    containers: containers.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

function nodeSnapshot(read: CgroupReader, nowMs: number): NodeSnapshot {
  return {
    cpuNanos: read('/')?.cpuNanos ?? machineCpuNanos(),
    bootedAtMs: nowMs - uptime() * 1000,
    memory: nodeMemory(),
  };
}

/** Of /proc/stat, in ticks of 10 ms: user, nice, system, (idle, iowait), irq, softirq. */
function machineCpuNanos(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] =
    /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]?.split(' ').map(Number) ?? [];
  return (user + nice + system + irq + softirq) * 1e7;
}

/** The working set is what is in use but for file pages that the kernel would drop first, as the kubelet counts it. */
function nodeMemory(): NodeMemory {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) * 1024;
  const capacityBytes = bytes('MemTotal');
  const usageBytes = capacityBytes - bytes('MemFree');
  const workingSetBytes = Math.max(usageBytes - bytes('Inactive\\(file\\)'), 0);
  return {
    capacityBytes,
    usageBytes,
    workingSetBytes,
    availableBytes: capacityBytes - workingSetBytes,
    rssBytes: bytes('AnonPages'),
    swapTotalBytes: bytes('SwapTotal'),
    swapFreeBytes: bytes('SwapFree'),
  };
}

/** The key of the node among a snapshot's subjects. */
export const NODE_KEY = '';

/** All that a rate is wanted of: the node, each pod by its uid, each container by its id. */
export function subjectsOf({ atMs, node, pods }: Snapshot): readonly Subject[] {
  const subjects: Subject[] = [
    { key: NODE_KEY, startedAtMs: node.bootedAtMs, sample: { atMs, cpuNanos: node.cpuNanos } },
  ];
  for (const { pod, usage, startedAtMs, containers } of pods) {
    const add = (key: string, sinceMs: number, used: CgroupUsage | undefined) => {
      if (!used) return;
      const sample = { atMs, cpuNanos: used.cpuNanos };
      subjects.push({ key, startedAtMs: sinceMs, sample });
    };
    add(pod.metadata.uid, startedAtMs, usage);
    for (const one of containers) add(one.info.id, startOf(one), one.usage);
  }
  return subjects;
}

export function startOf({ info }: ContainerSnapshot): number {
  return Date.parse(info.startedAt ?? info.createdAt);
}
