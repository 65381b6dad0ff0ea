/** GET /metrics and /metrics/probes: the node's agent by the kubelet's names. */

import type { ContainerInfo } from '../../engine/engine.ts';
import { expose, type Family } from './exposition.ts';
import type { NodeMetrics } from './node-metrics.ts';
import type { Stats } from './stats.ts';
import { claimFamilies } from './volume-stats.ts';

/** What the container runtime interface calls the engine's states. */
const STATES: Readonly<Record<ContainerInfo['status'], string>> = {
  created: 'created',
  running: 'running',
  paused: 'running',
  exited: 'exited',
};

const TERMINAL: ReadonlySet<string> = new Set(['Succeeded', 'Failed']);

export async function kubeletMetrics(stats: Stats, metrics: NodeMetrics): Promise<string> {
  const claims = await claimFamilies(stats);
  return expose([...gauges(stats), ...claims, ...metrics.families(), ...processFamilies()]);
}

export function probeMetrics(metrics: NodeMetrics): string {
  return expose(metrics.probeFamilies());
}

function gauges({ nodeName, context, pods }: Stats): readonly Family[] {
  const all = pods.list();
  const states = new Map<string, number>();
  for (const { status } of context.engine.listContainers())
    states.set(STATES[status], (states.get(STATES[status]) ?? 0) + 1);
  const sandboxes = context.engine.listSandboxes().filter(({ isReady }) => isReady).length;
  const active = all.filter(({ status }) => !TERMINAL.has(status?.phase ?? '')).length;
  return [
    {
      name: 'kubelet_node_name',
      help: "[ALPHA] The node's name. The count is always 1.",
      type: 'gauge',
      samples: [{ labels: { node: nodeName }, value: 1 }],
    },
    {
      name: 'kubelet_running_pods',
      help: '[BETA] Number of pods that have a running pod sandbox',
      type: 'gauge',
      samples: [{ value: sandboxes }],
    },
    {
      name: 'kubelet_running_containers',
      help: '[BETA] Number of containers currently running',
      type: 'gauge',
      samples: [...states].map(([state, value]) => ({ labels: { container_state: state }, value })),
    },
    {
      name: 'kubelet_desired_pods',
      help: '[ALPHA] The number of pods the kubelet is being instructed to run. static is true if the pod is not from the apiserver.',
      type: 'gauge',
      samples: [{ labels: { static: '' }, value: all.length }],
    },
    {
      name: 'kubelet_active_pods',
      help: '[ALPHA] The number of pods the kubelet considers active and which are being considered when admitting new pods. static is true if the pod is not from the apiserver.',
      type: 'gauge',
      samples: [{ labels: { static: '' }, value: active }],
    },
  ];
}

function processFamilies(): readonly Family[] {
  const { rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return [
    {
      name: 'process_cpu_seconds_total',
      help: 'Total user and system CPU time spent in seconds.',
      type: 'counter',
      samples: [{ value: (user + system) / 1e6 }],
    },
    {
      name: 'process_resident_memory_bytes',
      help: 'Resident memory size in bytes.',
      type: 'gauge',
      samples: [{ value: rss }],
    },
    {
      name: 'process_start_time_seconds',
      help: 'Start time of the process since unix epoch in seconds.',
      type: 'gauge',
      samples: [{ value: Date.now() / 1000 - process.uptime() }],
    },
  ];
}
