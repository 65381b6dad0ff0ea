/** GET /metrics/resource: what autoscalers read, by the names of Kubernetes v1.36. */

import { expose, type Family, type LabelValues, type PointSample } from './exposition.ts';
import { type PodSnapshot, startOf } from './snapshot.ts';
import type { Stats } from './stats.ts';

export async function resourceMetrics(stats: Stats): Promise<string> {
  const { atMs, node, pods } = await stats.snapshot();
  const { memory } = node;
  const at = (value: number, labels?: LabelValues): PointSample => ({
    value,
    atMs,
    ...(labels ? { labels } : {}),
  });
  const containers = pods.flatMap(containersOf);
  const ofContainers = (value: (each: Labelled) => number | undefined) =>
    given(containers, (each) => value(each), at);
  const ofPods = (value: (each: PodSnapshot) => number | undefined) =>
    given(
      pods.map((one) => ({ one, labels: podLabels(one) })),
      ({ one }) => value(one),
      at,
    );
  return expose([
    family('container_cpu_usage_seconds_total', CONTAINER_CPU, {
      type: 'counter',
      samples: ofContainers(({ usage }) => usage && usage.cpuNanos / 1e9),
    }),
    family('container_memory_working_set_bytes', 'Current working set of the container in bytes', {
      samples: ofContainers(({ usage }) => usage?.memory?.workingSetBytes),
    }),
    family(
      'container_start_time_seconds',
      'Start time of the container since unix epoch in seconds',
      {
        samples: containers.map(({ labels, startedAtMs }) => ({
          labels,
          value: startedAtMs / 1000,
        })),
      },
    ),
    family('container_swap_limit_bytes', SWAP_LIMIT, {
      stability: 'ALPHA',
      samples: ofContainers(({ usage }) => usage?.memory?.swapLimitBytes),
    }),
    family('container_swap_usage_bytes', CONTAINER_SWAP, {
      stability: 'ALPHA',
      samples: ofContainers(({ usage }) => usage?.memory?.swapBytes),
    }),
    family(
      'node_cpu_usage_seconds_total',
      'Cumulative cpu time consumed by the node in core-seconds',
      { type: 'counter', samples: [at(node.cpuNanos / 1e9)] },
    ),
    family('node_memory_working_set_bytes', 'Current working set of the node in bytes', {
      samples: [at(memory.workingSetBytes)],
    }),
    family('node_swap_usage_bytes', NODE_SWAP, {
      stability: 'ALPHA',
      samples: [at(memory.swapTotalBytes - memory.swapFreeBytes)],
    }),
    family(
      'pod_cpu_usage_seconds_total',
      'Cumulative cpu time consumed by the pod in core-seconds',
      { type: 'counter', samples: ofPods(({ usage }) => usage && usage.cpuNanos / 1e9) },
    ),
    family('pod_memory_working_set_bytes', 'Current working set of the pod in bytes', {
      samples: ofPods(({ usage }) => usage?.memory?.workingSetBytes),
    }),
    family('pod_swap_usage_bytes', POD_SWAP, {
      stability: 'ALPHA',
      samples: ofPods(({ usage }) => usage?.memory?.swapBytes),
    }),
    family('resource_scrape_error', SCRAPE_ERROR, { samples: [{ value: 0 }] }),
  ]);
}

const LINUX = 'Reported only on non-windows systems';
const CONTAINER_CPU = 'Cumulative cpu time consumed by the container in core-seconds';
const SWAP_LIMIT = `Current amount of the container swap limit in bytes. ${LINUX}`;
const CONTAINER_SWAP = `Current amount of the container swap usage in bytes. ${LINUX}`;
const NODE_SWAP = `Current swap usage of the node in bytes. ${LINUX}`;
const POD_SWAP = `Current amount of the pod swap usage in bytes. ${LINUX}`;
const SCRAPE_ERROR = '1 if there was an error while getting container metrics, 0 otherwise';

function family(
  name: string,
  help: string,
  {
    type = 'gauge',
    stability = 'STABLE',
    samples,
  }: {
    readonly type?: Family['type'];
    readonly stability?: string;
    readonly samples: readonly PointSample[];
  },
): Family {
  return { name, help: `[${stability}] ${help}`, type, samples };
}

function podLabels({ pod }: PodSnapshot): LabelValues {
  return { namespace: pod.metadata.namespace ?? '', pod: pod.metadata.name };
}

interface Labelled {
  readonly labels: LabelValues;
  readonly usage: PodSnapshot['usage'];
  readonly startedAtMs: number;
}

function containersOf(one: PodSnapshot): readonly Labelled[] {
  return one.containers.map((each) => ({
    labels: { container: each.name, ...podLabels(one) },
    usage: each.usage,
    startedAtMs: startOf(each),
  }));
}

/** A sample of each subject that has a value. */
function given<T extends { readonly labels: LabelValues }>(
  subjects: readonly T[],
  measure: (subject: T) => number | undefined,
  at: (value: number, labels: LabelValues) => PointSample,
): readonly PointSample[] {
  return subjects.flatMap((subject) => {
    const value = measure(subject);
    return value === undefined ? [] : [at(value, subject.labels)];
  });
}
