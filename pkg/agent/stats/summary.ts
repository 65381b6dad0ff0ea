/** GET /stats/summary: the kubelet's Summary (stats/v1alpha1) of the node, its pods and their containers. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import { containerLogs, podLogs } from '../paths.ts';
import { type CgroupUsage, countProcesses } from './cgroup-usage.ts';
import type { DiskUsage } from './disk-usage.ts';
import { networkUsage } from './network-usage.ts';
import type { Rate } from './sampler.ts';
import { type ContainerSnapshot, NODE_KEY, type PodSnapshot, startOf } from './snapshot.ts';
import type { Measured, Stats } from './stats.ts';
import { fileSystem, volumeStats } from './volume-stats.ts';

interface Look extends Measured {
  readonly stats: Stats;
  /** RFC 3339. */
  readonly time: string;
  readonly isBrief: boolean;
}

/** With isBrief cpu, memory and swap alone, which needs no walk over disks. */
export async function summaryOf(stats: Stats, isBrief: boolean): Promise<object> {
  const measured = await stats.measure();
  const time = new Date(measured.snapshot.atMs).toISOString();
  const look: Look = { ...measured, stats, time, isBrief };
  const pods: object[] = [];
  for (const pod of measured.snapshot.pods) pods.push(await podStats(look, pod));
  return { node: await nodeStats(look), pods };
}

async function nodeStats(look: Look): Promise<object> {
  const { stats, snapshot, rates, time, isBrief } = look;
  const { node } = snapshot;
  const { memory } = node;
  const brief = {
    nodeName: stats.nodeName,
    systemContainers: systemContainers(look),
    startTime: new Date(node.bootedAtMs).toISOString(),
    cpu: cpuOf(time, node.cpuNanos, rates.get(NODE_KEY)),
    memory: {
      time,
      availableBytes: memory.availableBytes,
      usageBytes: memory.usageBytes,
      workingSetBytes: memory.workingSetBytes,
      rssBytes: memory.rssBytes,
      ...machineFaults(),
    },
    swap: {
      time,
      swapAvailableBytes: memory.swapFreeBytes,
      swapUsageBytes: memory.swapTotalBytes - memory.swapFreeBytes,
    },
  };
  if (isBrief) return brief;
  const { dataDir } = stats.context.paths;
  const images = stats.context.engine.images.list();
  const imageBytes = images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const disk = await fileSystem(dataDir, time);
  return {
    ...brief,
    network: networkOf(time, 'self'),
    fs: disk,
    runtime: { imageFs: { ...disk, usedBytes: imageBytes }, containerFs: disk },
    rlimit: { time, ...processLimits() },
  };
}

/** All pods together, and this process. */
function systemContainers({ stats, snapshot, rates, time }: Look): readonly object[] {
  const startTime = new Date(snapshot.node.bootedAtMs).toISOString();
  const pods = stats.read(stats.context.cgroupRoot);
  const { user, system } = process.cpuUsage();
  const { rss } = process.memoryUsage();
  const podRate = [...snapshot.pods].reduce(
    (sum, { pod }) => sum + (rates.get(pod.metadata.uid)?.nanoCores ?? 0),
    0,
  );
  return [
    {
      name: 'kubelet',
      startTime: new Date(Date.now() - process.uptime() * 1000).toISOString(),
      cpu: { time, usageCoreNanoSeconds: (user + system) * 1000 },
      memory: { time, usageBytes: rss, workingSetBytes: rss, rssBytes: rss },
    },
    ...(pods
      ? [
          {
            name: 'pods',
            startTime,
            cpu: { time, usageNanoCores: podRate, usageCoreNanoSeconds: pods.cpuNanos },
            ...memoryOf(time, pods),
          },
        ]
      : []),
  ];
}

async function podStats(look: Look, one: PodSnapshot): Promise<object> {
  const { time, rates, isBrief } = look;
  const { pod, usage, containers } = one;
  const { name, namespace, uid } = pod.metadata;
  const measured = await Promise.all(containers.map((each) => containerStats(look, pod, each)));
  const brief = {
    podRef: { name, namespace, uid },
    startTime: new Date(one.startedAtMs).toISOString(),
    containers: measured.map(({ body }) => body),
    ...(usage ? { cpu: cpuOf(time, usage.cpuNanos, rates.get(uid)) } : {}),
    ...(usage ? memoryOf(time, usage) : {}),
    ...(usage?.memory ? { swap: swapOf(time, usage) } : {}),
  };
  if (isBrief) return brief;
  const pid = containers.find(({ info }) => info.pid !== undefined)?.info.pid;
  const volumes = await volumeStats(look.stats, pod, time);
  const used = sum([...measured.flatMap(({ disks }) => disks), ...volumes.ephemeral]);
  return {
    ...brief,
    ...(pid === undefined || pod.spec.hostNetwork ? {} : { network: networkOf(time, pid) }),
    ...(volumes.bodies.length > 0 ? { volume: volumes.bodies } : {}),
    'ephemeral-storage': await usedOf(look, look.stats.context.paths.dataDir, used),
    process_stats: { process_count: countProcesses(one.cgroup) },
  };
}

async function containerStats(
  { stats, rates, time, isBrief, ...look }: Look,
  pod: Pod,
  one: ContainerSnapshot,
): Promise<{ readonly body: object; readonly disks: readonly DiskUsage[] }> {
  const { name, info, usage } = one;
  const brief = {
    name,
    startTime: new Date(startOf(one)).toISOString(),
    ...(usage ? { cpu: cpuOf(time, usage.cpuNanos, rates.get(info.id)) } : {}),
    ...(usage ? memoryOf(time, usage) : {}),
    ...(usage?.memory ? { swap: swapOf(time, usage) } : {}),
  };
  if (isBrief) return { body: brief, disks: [] };
  const { paths } = stats.context;
  const upper = join(paths.dataDir, 'containers', info.id, 'upper');
  const logs = containerLogs(paths, pod, name);
  const disks = await Promise.all([stats.disks.of(upper), stats.disks.of(logs)]);
  const full: Look = { ...look, stats, rates, time, isBrief };
  const body = {
    ...brief,
    rootfs: await usedOf(full, paths.dataDir, disks[0]),
    logs: await usedOf(full, podLogs(paths, pod), disks[1]),
  };
  return { body, disks };
}

function sum(usages: readonly DiskUsage[]): DiskUsage {
  return {
    bytes: usages.reduce((total, { bytes }) => total + bytes, 0),
    inodes: usages.reduce((total, { inodes }) => total + inodes, 0),
  };
}

async function usedOf({ time }: Look, path: string, { bytes, inodes }: DiskUsage) {
  return { ...(await fileSystem(path, time)), usedBytes: bytes, inodesUsed: inodes };
}

function cpuOf(time: string, cpuNanos: number, rate: Rate | undefined) {
  return {
    time,
    ...(rate ? { usageNanoCores: rate.nanoCores } : {}),
    usageCoreNanoSeconds: Math.round(cpuNanos),
  };
}

function memoryOf(time: string, { memory }: CgroupUsage): object {
  if (!memory) return {};
  const { limitBytes, workingSetBytes } = memory;
  return {
    memory: {
      time,
      ...(limitBytes === undefined
        ? {}
        : { availableBytes: Math.max(limitBytes - workingSetBytes, 0) }),
      usageBytes: memory.usageBytes,
      workingSetBytes,
      rssBytes: memory.rssBytes,
      pageFaults: memory.pageFaults,
      majorPageFaults: memory.majorPageFaults,
    },
  };
}

function swapOf(time: string, { memory }: CgroupUsage): object {
  const { swapBytes = 0, swapLimitBytes } = memory ?? {};
  return {
    time,
    ...(swapLimitBytes === undefined
      ? {}
      : { swapAvailableBytes: Math.max(swapLimitBytes - swapBytes, 0) }),
    swapUsageBytes: swapBytes,
  };
}

function networkOf(time: string, pid: number | 'self'): object {
  const interfaces = networkUsage(pid).map(({ name, rxBytes, rxErrors, txBytes, txErrors }) => ({
    name,
    rxBytes,
    rxErrors,
    txBytes,
    txErrors,
  }));
  const main = interfaces.find(({ name }) => name === 'eth0') ?? interfaces[0];
  return { time, ...main, interfaces };
}

/** The machine's page faults since its start. */
function machineFaults(): object {
  const text = readFileSync('/proc/vmstat', 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  return { pageFaults: of('pgfault'), majorPageFaults: of('pgmajfault') };
}

function processLimits(): object {
  const maxpid = Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8'));
  const curproc = Number(/\/(\d+)/.exec(readFileSync('/proc/loadavg', 'utf8'))?.[1] ?? 0);
  return { maxpid, curproc };
}
