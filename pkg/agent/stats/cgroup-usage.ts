/**
 * What a cgroup has used, on every layout: v2, v1, and hybrid hosts, whose controllers are on either. Reads are synchronous:
 * these files are made by the kernel when they are read, and a thread's turn costs more than the read.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CgroupUsage {
  readonly cpuNanos: number;
  readonly cpuUserNanos?: number;
  readonly cpuSystemNanos?: number;
  /** Of a cpu limit: periods that have passed, that were cut short, and how long tasks waited. */
  readonly cpuPeriods?: number;
  readonly cpuThrottledPeriods?: number;
  readonly cpuThrottledNanos?: number;
  readonly memory?: MemoryUsage;
  /** Tasks, threads included. */
  readonly tasks?: number;
  readonly tasksLimit?: number;
}

interface MemoryUsage {
  readonly usageBytes: number;
  /** usageBytes without file pages that the kernel would drop first. */
  readonly workingSetBytes: number;
  readonly rssBytes: number;
  readonly cacheBytes: number;
  readonly mappedBytes: number;
  readonly swapBytes: number;
  readonly maxUsageBytes?: number;
  /** Absent = unlimited. */
  readonly limitBytes?: number;
  readonly swapLimitBytes?: number;
  readonly failures?: number;
  readonly pageFaults: number;
  readonly majorPageFaults: number;
}

const MOUNT = '/sys/fs/cgroup';
/** The v1 kernel writes "no limit" as the greatest multiple of its page size; no machine has an exbibyte. */
const UNLIMITED_BYTES = 2 ** 60;
/** USER_HZ, in which v1 tells user and system time; 100 on every architecture that mini runs on. */
const NANOS_PER_TICK = 1e7;

export type CgroupReader = (cgroup: string) => CgroupUsage | undefined;

/** The reader for the host's layout. It gives undefined for a cgroup that is not there. */
export function cgroupReader(mount = MOUNT): CgroupReader {
  const isUnified = existsSync(join(mount, 'cgroup.controllers'));
  return isUnified
    ? (cgroup) => readUnified(join(mount, cgroup))
    : (cgroup) => readLegacy(mount, cgroup);
}

function readUnified(path: string): CgroupUsage | undefined {
  const cpu = fields(join(path, 'cpu.stat'));
  const usage = cpu?.get('usage_usec');
  if (!cpu || usage === undefined) return undefined;
  const micros = (name: string) => (cpu.get(name) ?? 0) * 1000;
  return {
    cpuNanos: usage * 1000,
    cpuUserNanos: micros('user_usec'),
    cpuSystemNanos: micros('system_usec'),
    cpuPeriods: cpu.get('nr_periods') ?? 0,
    cpuThrottledPeriods: cpu.get('nr_throttled') ?? 0,
    cpuThrottledNanos: micros('throttled_usec'),
    ...given('memory', unifiedMemory(path)),
    ...given('tasks', number(join(path, 'pids.current'))),
    ...given('tasksLimit', number(join(path, 'pids.max'))),
  };
}

function unifiedMemory(path: string): MemoryUsage | undefined {
  const usageBytes = number(join(path, 'memory.current'));
  const stat = fields(join(path, 'memory.stat'));
  if (usageBytes === undefined || !stat) return undefined;
  const of = (name: string) => stat.get(name) ?? 0;
  return {
    usageBytes,
    workingSetBytes: Math.max(usageBytes - of('inactive_file'), 0),
    rssBytes: of('anon'),
    cacheBytes: of('file'),
    mappedBytes: of('file_mapped'),
    swapBytes: number(join(path, 'memory.swap.current')) ?? 0,
    ...given('maxUsageBytes', number(join(path, 'memory.peak'))),
    ...given('limitBytes', number(join(path, 'memory.max'))),
    ...given('swapLimitBytes', number(join(path, 'memory.swap.max'))),
    ...given('failures', fields(join(path, 'memory.events'))?.get('max')),
    pageFaults: of('pgfault'),
    majorPageFaults: of('pgmajfault'),
  };
}

function readLegacy(mount: string, cgroup: string): CgroupUsage | undefined {
  const unified = join(mount, 'unified', cgroup);
  const cpuNanos = number(join(mount, 'cpuacct', cgroup, 'cpuacct.usage'));
  if (cpuNanos === undefined) return readUnified(unified);
  const times = fields(join(mount, 'cpuacct', cgroup, 'cpuacct.stat'));
  const throttling = fields(join(mount, 'cpu', cgroup, 'cpu.stat'));
  return {
    cpuNanos,
    cpuUserNanos: (times?.get('user') ?? 0) * NANOS_PER_TICK,
    cpuSystemNanos: (times?.get('system') ?? 0) * NANOS_PER_TICK,
    cpuPeriods: throttling?.get('nr_periods') ?? 0,
    cpuThrottledPeriods: throttling?.get('nr_throttled') ?? 0,
    cpuThrottledNanos: throttling?.get('throttled_time') ?? 0,
    ...given('memory', legacyMemory(join(mount, 'memory', cgroup)) ?? unifiedMemory(unified)),
    ...given('tasks', number(join(mount, 'pids', cgroup, 'pids.current'))),
    ...given('tasksLimit', number(join(mount, 'pids', cgroup, 'pids.max'))),
  };
}

function legacyMemory(path: string): MemoryUsage | undefined {
  const usageBytes = number(join(path, 'memory.usage_in_bytes'));
  const stat = fields(join(path, 'memory.stat'));
  if (usageBytes === undefined || !stat) return undefined;
  const of = (name: string) => stat.get(`total_${name}`) ?? 0;
  const limitBytes = limited(join(path, 'memory.limit_in_bytes'));
  const both = limited(join(path, 'memory.memsw.limit_in_bytes'));
  return {
    usageBytes,
    workingSetBytes: Math.max(usageBytes - of('inactive_file'), 0),
    rssBytes: of('rss'),
    cacheBytes: of('cache'),
    mappedBytes: of('mapped_file'),
    swapBytes: of('swap'),
    ...given('maxUsageBytes', number(join(path, 'memory.max_usage_in_bytes'))),
    ...given('limitBytes', limitBytes),
    ...(both === undefined || limitBytes === undefined
      ? {}
      : { swapLimitBytes: Math.max(both - limitBytes, 0) }),
    ...given('failures', number(join(path, 'memory.failcnt'))),
    pageFaults: of('pgfault'),
    majorPageFaults: of('pgmajfault'),
  };
}

/** How many processes are in a cgroup and the cgroups one below it (a pod's containers). */
export function countProcesses(cgroup: string, mount = MOUNT): number {
  const root = existsSync(join(mount, 'cgroup.controllers')) ? mount : join(mount, 'memory');
  const path = join(root, cgroup);
  const below = ignoring(() =>
    readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory()),
  );
  const paths = [path, ...(below ?? []).map(({ name }) => join(path, name))];
  return paths.reduce((sum, each) => sum + lines(join(each, 'cgroup.procs')), 0);
}

function lines(path: string): number {
  return read(path)?.split('\n').filter(Boolean).length ?? 0;
}

/** Lines of `name value`. */
function fields(path: string): ReadonlyMap<string, number> | undefined {
  const text = read(path);
  if (text === undefined) return undefined;
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space > 0) found.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return found;
}

/** Undefined for "max", too. */
function number(path: string): number | undefined {
  const text = read(path)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function limited(path: string): number | undefined {
  const bytes = number(path);
  return bytes !== undefined && bytes < UNLIMITED_BYTES ? bytes : undefined;
}

function read(path: string): string | undefined {
  return ignoring(() => readFileSync(path, 'utf8'));
}

/** A cgroup may vanish at any moment. */
function ignoring<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function given<K extends string, V>(name: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [P in K]?: V };
}
