/** What the probes measure with: waiting, processor time, memory by who has it. Read from inside a test host. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Deployment, Pod } from '../../pkg/api/generated/types.ts';
import type { Client } from '../../pkg/client/client.ts';

const TIMEOUT_MS = 300_000;
/** USER_HZ: the unit of /proc/<pid>/stat's times. Source: proc(5). */
const TICKS_PER_SECOND = 100;

export const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

export async function until<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  everyMs = 5,
): Promise<T> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (performance.now() < deadline) {
    const found = await check().catch(() => undefined);
    if (found) return found;
    await pause(everyMs);
  }
  throw new Error(`Waited too long for ${what}`);
}

/** The server and agent processes: pid of each. */
export function processes(): { readonly server: number; readonly agent: number } {
  const pidOf = (role: string) =>
    Number.parseInt(readFileSync(`/run/mini/${role}.pid`, 'utf8'), 10);
  return { server: pidOf('server'), agent: pidOf('agent') };
}

/** Proportional set size: what a process takes, memory that it shares divided by those who share it. */
export function pssMb(pid: number | string): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1]) / 1024;
}

export function cpuSeconds(pid: number): number {
  const fields = statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Where the host's processor time stands, with that of processes that are gone: cgroup v2, then v1. */
const CPU_TIMES = [
  { path: '/sys/fs/cgroup/cpu.stat', pattern: /^usage_usec (\d+)/m, perSecond: 1e6 },
  { path: '/sys/fs/cgroup/cpuacct/cpuacct.usage', pattern: /^(\d+)/, perSecond: 1e9 },
];

/** Processor seconds of all processes of this host but this one. */
export function hostCpuSeconds(): number {
  const own = process.cpuUsage();
  for (const { path, pattern, perSecond } of CPU_TIMES) {
    if (!existsSync(path)) continue;
    const spent = Number(pattern.exec(readFileSync(path, 'utf8'))?.[1]);
    return spent / perSecond - (own.user + own.system) / 1e6;
  }
  throw new Error('This host has no cgroup that counts processor time');
}

/** Fields of /proc/<pid>/stat from the third (state) on. */
function statFields(pid: number | string): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Memory in MB, by who has it: this host's processes by name, and the kernel of the whole machine. */
export function memory(): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  const add = (name: string, mb: number) => totals.set(name, (totals.get(name) ?? 0) + mb);
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    if (Number(pid) === process.pid) continue;
    try {
      add(readFileSync(`/proc/${pid}/comm`, 'utf8').trim(), pssMb(pid));
    } catch {
      // It has ended.
    }
  }
  const machine = readFileSync('/proc/meminfo', 'utf8');
  for (const name of ['Slab', 'KernelStack', 'PageTables', 'Percpu', 'Shmem'])
    add(name, Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(machine)?.[1] ?? 0) / 1024);
  return totals;
}

/** What each of `count` pods added, in total and by who has it. */
export function memoryPerPod(earlier: ReadonlyMap<string, number>, count: number) {
  const parts = [...memory()]
    .map(([name, mb]) => ({ name, kb: ((mb - (earlier.get(name) ?? 0)) * 1024) / count }))
    .sort((a, b) => b.kb - a.kb);
  return {
    mb: parts.reduce((sum, { kb }) => sum + kb, 0) / 1024,
    text: parts
      .filter(({ kb }) => Math.abs(kb) >= 5)
      .map(({ name, kb }) => `${name} ${Math.round(kb)}`)
      .join(', '),
  };
}

export const isRunning = (pod: Pod) => pod.status?.phase === 'Running';

/** Resolves once no pod is left. Asks for one at most: a list of a thousand would be part of what is measured. */
export async function noPods(client: Client): Promise<void> {
  await until(
    'the pods to go',
    async () => (await client.list('pods', { namespace: 'default', limit: 1 })).items.length === 0,
    50,
  );
}

/** Resolves once the deployment in the namespace default has so many pods ready, and all of them run. */
export async function podsRun(client: Client, name: string, count: number): Promise<void> {
  const ref = { namespace: 'default', name };
  await until(
    `${count} pods`,
    async () => (await client.get<Deployment>('deployments', ref)).status?.readyReplicas === count,
    50,
  );
  const { items } = await client.list<Pod>('pods', { namespace: 'default' });
  const running = items.filter(isRunning).length;
  if (running !== count) throw new Error(`${running} of ${count} pods run`);
}
