/** What the node measures of its pods: processor and memory from their cgroups, as /stats/summary and /metrics. */

import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import type { NodeContext } from '../node-context.ts';
import type { Pods } from '../pod/pods.ts';
import { cgroupParent } from '../pod/resources.ts';

interface StatsOptions {
  readonly context: NodeContext;
  readonly pods: Pods;
}

interface Usage {
  readonly cpuNanos?: number;
  readonly memoryBytes?: number;
  readonly workingSetBytes?: number;
}

const MOUNT = '/sys/fs/cgroup';

async function usageOf(parent: string): Promise<Usage> {
  const v2 = await read(join(MOUNT, parent, 'cpu.stat'));
  if (v2 !== undefined) {
    const usec = field(v2, 'usage_usec');
    const current = Number((await read(join(MOUNT, parent, 'memory.current'))) ?? Number.NaN);
    return usage(
      usec * 1000,
      current,
      await read(join(MOUNT, parent, 'memory.stat')),
      'inactive_file',
    );
  }
  const cpu = Number((await read(join(MOUNT, 'cpuacct', parent, 'cpuacct.usage'))) ?? Number.NaN);
  const current = Number(
    (await read(join(MOUNT, 'memory', parent, 'memory.usage_in_bytes'))) ?? Number.NaN,
  );
  return usage(
    cpu,
    current,
    await read(join(MOUNT, 'memory', parent, 'memory.stat')),
    'total_inactive_file',
  );
}

function usage(cpuNanos: number, memoryBytes: number, stat = '', inactiveField: string): Usage {
  const inactive = field(stat, inactiveField);
  const workingSetBytes = Math.max(0, memoryBytes - (Number.isFinite(inactive) ? inactive : 0));
  return {
    ...(Number.isFinite(cpuNanos) ? { cpuNanos } : {}),
    ...(Number.isFinite(memoryBytes) ? { memoryBytes, workingSetBytes } : {}),
  };
}

function field(text: string, name: string): number {
  const value = new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1];
  return value === undefined ? Number.NaN : Number(value);
}

async function read(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

/** The kubelet's stats/v1alpha1 Summary, as far as cgroups tell. */
export async function statsSummary({ context, pods }: StatsOptions): Promise<object> {
  const time = new Date(context.clock.now()).toISOString();
  const render = (found: Usage) => ({
    cpu: { time, usageCoreNanoSeconds: found.cpuNanos },
    memory: { time, usageBytes: found.memoryBytes, workingSetBytes: found.workingSetBytes },
  });
  const podStats = await Promise.all(
    pods.list().map(async (pod) => ({
      podRef: { name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
      startTime: pod.status?.startTime,
      ...render(await podUsage(context, pod)),
      containers: [],
    })),
  );
  const meminfo = (await read('/proc/meminfo')) ?? '';
  const availableKib = Number(/^MemAvailable:\s+(\d+)/m.exec(meminfo)?.[1] ?? 0);
  const used = totalmem() - availableKib * 1024;
  const node = {
    memory: { time, availableBytes: availableKib * 1024, usageBytes: used, workingSetBytes: used },
  };
  return { node, pods: podStats };
}

function podUsage({ cgroupRoot }: NodeContext, pod: Pod): Promise<Usage> {
  return usageOf(cgroupParent(cgroupRoot, pod));
}

/** Prometheus text: what the node runs and what its own process uses. */
export async function metricsText({ context, pods }: StatsOptions): Promise<string> {
  const running = context.engine
    .listContainers()
    .filter(({ status }) => status === 'running').length;
  const { rss } = process.memoryUsage();
  const cpu = process.cpuUsage();
  const rows: readonly (readonly [string, string, string, number])[] = [
    ['kubelet_running_pods', 'gauge', 'Number of pods that have a worker', pods.list().length],
    ['kubelet_running_containers', 'gauge', 'Number of containers currently running', running],
    ['process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes', rss],
    [
      'process_cpu_seconds_total',
      'counter',
      'Total user and system CPU time spent in seconds',
      (cpu.user + cpu.system) / 1e6,
    ],
  ];
  const lines = rows.flatMap(([name, type, help, value]) => [
    `# HELP ${name} ${help}.`,
    `# TYPE ${name} ${type}`,
    `${name} ${value}`,
  ]);
  return `${lines.join('\n')}\n`;
}
