/** GET /metrics/cadvisor: the main container_* series with the kubelet's labels, and machine_*. */

import { availableParallelism, totalmem } from 'node:os';
import type { CgroupUsage } from './cgroup-usage.ts';
import { expose, type Family, type LabelValues, type PointSample } from './exposition.ts';
import { type InterfaceUsage, networkUsage } from './network-usage.ts';
import { type PodSnapshot, startOf } from './snapshot.ts';
import type { Stats } from './stats.ts';

/** A cgroup: the node's root, a pod's, or a container's. */
interface Series {
  readonly labels: LabelValues;
  readonly usage: CgroupUsage | undefined;
  readonly startedAtMs: number;
}

type Row = readonly [
  name: string,
  help: string,
  type: 'counter' | 'gauge',
  measure: (usage: CgroupUsage) => number | undefined,
  more?: LabelValues,
];

const seconds = (nanos: number | undefined) => (nanos === undefined ? undefined : nanos / 1e9);

const ROWS: readonly Row[] = [
  [
    'container_cpu_usage_seconds_total',
    'Cumulative cpu time consumed in seconds.',
    'counter',
    ({ cpuNanos }) => cpuNanos / 1e9,
    { cpu: 'total' },
  ],
  [
    'container_cpu_user_seconds_total',
    'Cumulative user cpu time consumed in seconds.',
    'counter',
    ({ cpuUserNanos }) => seconds(cpuUserNanos),
  ],
  [
    'container_cpu_system_seconds_total',
    'Cumulative system cpu time consumed in seconds.',
    'counter',
    ({ cpuSystemNanos }) => seconds(cpuSystemNanos),
  ],
  [
    'container_cpu_cfs_periods_total',
    'Number of elapsed enforcement period intervals.',
    'counter',
    ({ cpuPeriods }) => cpuPeriods || undefined,
  ],
  [
    'container_cpu_cfs_throttled_periods_total',
    'Number of throttled period intervals.',
    'counter',
    ({ cpuPeriods, cpuThrottledPeriods }) => (cpuPeriods ? cpuThrottledPeriods : undefined),
  ],
  [
    'container_cpu_cfs_throttled_seconds_total',
    'Total time duration the container has been throttled.',
    'counter',
    ({ cpuPeriods, cpuThrottledNanos }) => (cpuPeriods ? seconds(cpuThrottledNanos) : undefined),
  ],
  [
    'container_memory_usage_bytes',
    'Current memory usage in bytes, including all memory regardless of when it was accessed',
    'gauge',
    ({ memory }) => memory?.usageBytes,
  ],
  [
    'container_memory_working_set_bytes',
    'Current working set in bytes.',
    'gauge',
    ({ memory }) => memory?.workingSetBytes,
  ],
  ['container_memory_rss', 'Size of RSS in bytes.', 'gauge', ({ memory }) => memory?.rssBytes],
  [
    'container_memory_cache',
    'Number of bytes of page cache memory.',
    'gauge',
    ({ memory }) => memory?.cacheBytes,
  ],
  [
    'container_memory_mapped_file',
    'Size of memory mapped files in bytes.',
    'gauge',
    ({ memory }) => memory?.mappedBytes,
  ],
  [
    'container_memory_swap',
    'Container swap usage in bytes.',
    'gauge',
    ({ memory }) => memory?.swapBytes,
  ],
  [
    'container_memory_max_usage_bytes',
    'Maximum memory usage recorded in bytes',
    'gauge',
    ({ memory }) => memory?.maxUsageBytes,
  ],
  [
    'container_memory_failcnt',
    'Number of memory usage hits limits',
    'counter',
    ({ memory }) => memory?.failures,
  ],
  [
    'container_spec_memory_limit_bytes',
    'Memory limit for the container.',
    'gauge',
    ({ memory }) => memory && (memory.limitBytes ?? 0),
  ],
  [
    'container_threads',
    'Number of threads running inside the container',
    'gauge',
    ({ tasks }) => tasks,
  ],
  [
    'container_threads_max',
    'Maximum number of threads allowed inside the container, infinity if value is zero',
    'gauge',
    ({ tasks, tasksLimit }) => (tasks === undefined ? undefined : (tasksLimit ?? 0)),
  ],
];

const NETWORK_ROWS = [
  ['receive_bytes', 'bytes received', 'rxBytes'],
  ['receive_errors', 'errors encountered while receiving', 'rxErrors'],
  ['receive_packets', 'packets received', 'rxPackets'],
  ['receive_packets_dropped', 'packets dropped while receiving', 'rxDropped'],
  ['transmit_bytes', 'bytes transmitted', 'txBytes'],
  ['transmit_errors', 'errors encountered while transmitting', 'txErrors'],
  ['transmit_packets', 'packets transmitted', 'txPackets'],
  ['transmit_packets_dropped', 'packets dropped while transmitting', 'txDropped'],
] as const satisfies readonly (readonly [string, string, keyof InterfaceUsage])[];

export async function cadvisorMetrics(stats: Stats): Promise<string> {
  const { atMs, node, pods } = await stats.snapshot();
  const root: Series = {
    labels: labelsOf({ id: '/' }),
    usage: stats.read('/'),
    startedAtMs: node.bootedAtMs,
  };
  const series = [root, ...pods.flatMap(seriesOf)];
  return expose([
    plain('machine_cpu_cores', 'Number of logical CPU cores.', availableParallelism()),
    plain('machine_memory_bytes', 'Amount of memory installed on the machine.', totalmem()),
    plain(
      'machine_swap_bytes',
      'Amount of swap memory available on the machine.',
      node.memory.swapTotalBytes,
    ),
    ...ROWS.map((row) => familyOf(row, series, atMs)),
    failures(series, atMs),
    {
      name: 'container_start_time_seconds',
      help: 'Start time of the container since unix epoch in seconds.',
      type: 'gauge',
      samples: series.map(({ labels, startedAtMs }) => ({
        labels,
        value: startedAtMs / 1000,
        atMs,
      })),
    },
    {
      name: 'container_last_seen',
      help: 'Last time a container was seen by the exporter',
      type: 'gauge',
      samples: series.map(({ labels }) => ({ labels, value: Math.floor(atMs / 1000), atMs })),
    },
    ...networkFamilies(pods, atMs),
  ]);
}

function plain(name: string, help: string, value: number): Family {
  return { name, help, type: 'gauge', samples: [{ value }] };
}

/** All labels are always there, empty where they mean nothing, as cAdvisor has them. */
function labelsOf(given: LabelValues): LabelValues {
  return { container: '', id: '', image: '', name: '', namespace: '', pod: '', ...given };
}

function seriesOf({ pod, cgroup, usage, startedAtMs, containers }: PodSnapshot): readonly Series[] {
  const own = { namespace: pod.metadata.namespace ?? '', pod: pod.metadata.name };
  return [
    { labels: labelsOf({ ...own, id: cgroup }), usage, startedAtMs },
    ...containers.map((each) => ({
      labels: labelsOf({
        ...own,
        container: each.name,
        id: each.cgroup,
        image: each.info.image,
        name: each.info.id,
      }),
      usage: each.usage,
      startedAtMs: startOf(each),
    })),
  ];
}

function familyOf(
  [name, help, type, measure, more = {}]: Row,
  series: readonly Series[],
  atMs: number,
): Family {
  const samples = series.flatMap(({ labels, usage }): readonly PointSample[] => {
    const value = usage && measure(usage);
    return value === undefined ? [] : [{ labels: { ...labels, ...more }, value, atMs }];
  });
  return { name, help, type, samples };
}

function failures(series: readonly Series[], atMs: number): Family {
  const samples = series.flatMap(({ labels, usage }) => {
    const { memory } = usage ?? {};
    if (!memory) return [];
    return [
      ['pgfault', memory.pageFaults] as const,
      ['pgmajfault', memory.majorPageFaults] as const,
    ].map(([kind, value]) => ({
      labels: { ...labels, failure_type: kind, scope: 'hierarchy' },
      value,
      atMs,
    }));
  });
  const help = 'Cumulative count of memory allocation failures.';
  return { name: 'container_memory_failures_total', help, type: 'counter', samples };
}

/** Of each pod with a network of its own. */
function networkFamilies(pods: readonly PodSnapshot[], atMs: number): readonly Family[] {
  const found = pods.flatMap(({ pod, cgroup, containers }) => {
    const pid = containers.find(({ info }) => info.pid !== undefined)?.info.pid;
    if (pid === undefined || pod.spec.hostNetwork) return [];
    const labels = labelsOf({
      id: cgroup,
      namespace: pod.metadata.namespace ?? '',
      pod: pod.metadata.name,
    });
    return networkUsage(pid).map((usage) => ({
      labels: { ...labels, interface: usage.name },
      usage,
    }));
  });
  return NETWORK_ROWS.map(([name, what, field]) => ({
    name: `container_network_${name}_total`,
    help: `Cumulative count of ${what}`,
    type: 'counter',
    samples: found.map(({ labels, usage }) => ({ labels, value: usage[field], atMs })),
  }));
}
