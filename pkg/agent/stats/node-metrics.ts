/** The kubelet's own metrics, by its names: what the node has done, counted as it does it. */

import type { Engine } from '../../engine/engine.ts';
import type { Family } from './exposition.ts';
import { Counter, Histogram } from './instruments.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Source: kubelet metrics.go. */
const START_SECONDS = [
  0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800,
  2700, 3600,
];

export class NodeMetrics {
  readonly podStart = new Histogram(
    {
      name: 'kubelet_pod_start_duration_seconds',
      help: '[ALPHA] Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run',
    },
    START_SECONDS,
  );
  readonly podStartTotal = new Histogram(
    {
      name: 'kubelet_pod_start_total_duration_seconds',
      help: '[ALPHA] Duration in seconds to start a pod since creation, including time to pull images and run init containers',
    },
    START_SECONDS,
  );
  readonly startedPods = new Counter({
    name: 'kubelet_started_pods_total',
    help: '[ALPHA] Cumulative number of pods started',
  });
  readonly startedContainers = new Counter({
    name: 'kubelet_started_containers_total',
    help: '[ALPHA] Cumulative number of containers started',
  });
  readonly startedContainerErrors = new Counter({
    name: 'kubelet_started_containers_errors_total',
    help: '[ALPHA] Cumulative number of errors when starting containers',
  });
  readonly operations = new Counter({
    name: 'kubelet_runtime_operations_total',
    help: '[ALPHA] Cumulative number of runtime operations by operation type.',
  });
  readonly operationErrors = new Counter({
    name: 'kubelet_runtime_operations_errors_total',
    help: '[ALPHA] Cumulative number of runtime operation errors by operation type.',
  });
  readonly operationSeconds = new Histogram(
    {
      name: 'kubelet_runtime_operations_duration_seconds',
      help: '[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.',
    },
    SECONDS,
  );
  readonly requests = new Counter({
    name: 'kubelet_http_requests_total',
    help: '[ALPHA] Number of the http requests received since the server started',
  });
  readonly evictions = new Counter({
    name: 'kubelet_evictions',
    help: '[ALPHA] Cumulative number of pod evictions by eviction signal',
  });
  readonly probes = new Counter({
    name: 'prober_probe_total',
    help: '[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.',
  });
  readonly probeSeconds = new Histogram(
    {
      name: 'prober_probe_duration_seconds',
      help: '[ALPHA] Duration in seconds for a probe response.',
    },
    SECONDS,
  );

  /** All but the probes'. */
  families(): readonly Family[] {
    return [
      this.podStart,
      this.podStartTotal,
      this.startedPods,
      this.startedContainers,
      this.startedContainerErrors,
      this.operations,
      this.operationErrors,
      this.operationSeconds,
      this.requests,
      this.evictions,
    ].map((each) => each.family());
  }

  probeFamilies(): readonly Family[] {
    return [this.probes.family(), this.probeSeconds.family()];
  }
}

/** The engine's calls by the names that the container runtime interface gives them. */
const OPERATIONS = {
  createSandbox: 'run_podsandbox',
  removeSandbox: 'remove_podsandbox',
  createContainer: 'create_container',
  startContainer: 'start_container',
  stopContainer: 'stop_container',
  removeContainer: 'remove_container',
  updateContainer: 'update_container',
  exec: 'exec',
  attach: 'attach',
  reopenLog: 'reopen_container_log',
} as const satisfies Partial<Record<keyof Engine, string>>;

const CONTAINER = { container_type: 'container' };

/** The same engine, its calls counted and timed. */
export function measuredEngine(engine: Engine, metrics: NodeMetrics): Engine {
  const made = new Map<string | symbol, unknown>();
  return new Proxy(engine, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      const known = made.get(property);
      if (known !== undefined) return known;
      const operation = operationOf(property);
      const call =
        operation === undefined
          ? value.bind(target)
          : (...args: readonly unknown[]) =>
              timed(() => Reflect.apply(value, target, args), operation, metrics);
      made.set(property, call);
      return call;
    },
  });
}

function operationOf(property: string | symbol): string | undefined {
  return Object.hasOwn(OPERATIONS, property)
    ? OPERATIONS[property as keyof typeof OPERATIONS]
    : undefined;
}

async function timed(
  work: () => unknown,
  operation: string,
  metrics: NodeMetrics,
): Promise<unknown> {
  const { operations, operationErrors, operationSeconds } = metrics;
  const labels = { operation_type: operation };
  const startMs = performance.now();
  operations.add(labels);
  try {
    const result = await work();
    if (operation === OPERATIONS.createSandbox) metrics.startedPods.add();
    if (operation === OPERATIONS.startContainer) metrics.startedContainers.add(CONTAINER);
    return result;
  } catch (error) {
    operationErrors.add(labels);
    if (operation === OPERATIONS.startContainer) metrics.startedContainerErrors.add(CONTAINER);
    throw error;
  } finally {
    operationSeconds.observe((performance.now() - startMs) / 1000, labels);
  }
}
