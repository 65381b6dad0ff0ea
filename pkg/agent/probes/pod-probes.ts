/**
 * The probes of one pod's running containers. Readiness and liveness begin when the startup probe has passed; the
 * answers are kept here and the pod's worker is woken when one changes.
 */

import type { Container, ContainerStatus, Pod, Probe } from '../../api/generated/types.ts';
import { monotonicOf } from '../../wait/clock.ts';
import type { NodeContext } from '../node-context.ts';
import type { Unhealthy } from '../pod/decide.ts';
import {
  type ContainerRecord,
  fieldOf,
  initContainers,
  isSidecar,
  mainContainers,
  newest,
  type PodView,
} from '../pod/records.ts';
import { check } from './check.ts';
import { ProbeWorker } from './probe-worker.ts';

interface PodProbesOptions {
  readonly context: NodeContext;
  onResult(): void;
}

interface Entry {
  readonly container: Container;
  readonly record: ContainerRecord;
  /** As an earlier agent left it; holds until the first result is in. */
  readonly before: ContainerStatus | undefined;
  startup?: ProbeWorker | undefined;
  readiness?: ProbeWorker;
  liveness?: ProbeWorker;
}

const TITLES = {
  startup: 'Startup',
  readiness: 'Readiness',
  liveness: 'Liveness',
} as const;
type Kind = keyof typeof TITLES;

export class PodProbes {
  readonly #options: PodProbesOptions;
  readonly #entries = new Map<string, Entry>();
  #isClosed = false;
  #isEnding = false;

  constructor(options: PodProbesOptions) {
    this.#options = options;
  }

  /** Begins probing containers that run and stops probing those that do not. */
  update(pod: Pod, view: PodView): void {
    if (this.#isClosed) return;
    const running = new Map<string, { container: Container; record: ContainerRecord }>();
    for (const container of [...initContainers(pod).filter(isSidecar), ...mainContainers(pod)]) {
      const record = newest(view, container.name);
      if (record?.status === 'running') running.set(record.id, { container, record });
    }
    for (const [id, entry] of this.#entries) {
      if (running.has(id)) continue;
      stop(entry);
      this.#entries.delete(id);
    }
    const host = pod.spec.hostNetwork ? this.#options.context.node.hostIps[0] : view.sandbox?.ip;
    for (const [id, { container, record }] of running) {
      const entry = this.#entries.get(id) ?? {
        container,
        record,
        before: statusBefore(pod, record),
      };
      this.#entries.set(id, entry);
      this.#begin(pod, entry, host ?? '127.0.0.1');
    }
  }

  isReady(id: string): boolean {
    const entry = this.#entries.get(id);
    if (!entry?.container.readinessProbe) return true;
    return (entry.readiness?.verdict ?? entry.before?.ready) === true;
  }

  isStarted(id: string): boolean {
    const entry = this.#entries.get(id);
    if (!entry?.container.startupProbe) return true;
    return (entry.startup?.verdict ?? entry.before?.started) === true;
  }

  /** Why the container must be killed. */
  unhealthy(id: string): Unhealthy | undefined {
    const entry = this.#entries.get(id);
    if (!entry) return undefined;
    const { name, startupProbe, livenessProbe } = entry.container;
    const told = (kind: string) => `Container ${name} failed ${kind} probe, will be restarted`;
    if (startupProbe && entry.startup?.verdict === false)
      return { why: told('startup'), probe: startupProbe };
    if (livenessProbe && entry.liveness?.verdict === false)
      return { why: told('liveness'), probe: livenessProbe };
    return undefined;
  }

  /** The pod ends: only readiness is still asked for. */
  endLiveness(): void {
    this.#isEnding = true;
    for (const { startup, liveness } of this.#entries.values()) {
      startup?.close();
      liveness?.close();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const entry of this.#entries.values()) stop(entry);
    this.#entries.clear();
  }

  #begin(pod: Pod, entry: Entry, host: string): void {
    if (this.#isEnding) return;
    const { container, record } = entry;
    if (container.startupProbe && !entry.startup && !entry.before?.started) {
      entry.startup = this.#worker(pod, entry, {
        kind: 'startup',
        probe: container.startupProbe,
        host,
      });
    }
    if (!this.isStarted(record.id)) return;
    if (entry.startup?.verdict) entry.startup.close();
    if (container.readinessProbe && !entry.readiness) {
      entry.readiness = this.#worker(pod, entry, {
        kind: 'readiness',
        probe: container.readinessProbe,
        host,
      });
    }
    if (container.livenessProbe && !entry.liveness) {
      entry.liveness = this.#worker(pod, entry, {
        kind: 'liveness',
        probe: container.livenessProbe,
        host,
      });
    }
  }

  #worker(
    pod: Pod,
    { container, record }: Entry,
    { kind, probe, host }: { readonly kind: Kind; readonly probe: Probe; readonly host: string },
  ): ProbeWorker {
    const { context, onResult } = this.#options;
    const target = { engine: context.engine, containerId: record.id, container, host };
    const { name } = container;
    const field = fieldOf(pod, name);
    const tell = (reason: string, message: string) =>
      context.events.record(pod, { type: 'Warning', reason, message, container: name, field });
    return new ProbeWorker({
      probe,
      clock: context.clock,
      startedAtMs: monotonicOf(
        Date.parse(record.startedAt ?? '') || context.clock.now(),
        context.clock,
      ),
      initial: kind === 'liveness' ? true : undefined,
      isFinal: kind !== 'readiness',
      check: async (one, timeoutMs) => {
        const startMs = performance.now();
        const result = await check(target, one, timeoutMs);
        if (!result.isUnknown)
          this.#count(pod, { kind, container: container.name, startMs, isOk: result.isOk });
        return result;
      },
      onFailure: (message) => tell('Unhealthy', `${TITLES[kind]} probe failed: ${message}`),
      onError: (message) =>
        tell(
          'Unhealthy',
          `${TITLES[kind]} probe errored and resulted in unknown state: ${message}`,
        ),
      onWarning: (message) => tell('ProbeWarning', `${TITLES[kind]} probe warning: ${message}`),
      onVerdict: onResult,
    });
  }

  #count(
    { metadata }: Pod,
    run: {
      readonly kind: Kind;
      readonly container: string;
      readonly startMs: number;
      readonly isOk: boolean;
    },
  ): void {
    const { metrics } = this.#options.context;
    const labels = {
      probe_type: TITLES[run.kind],
      container: run.container,
      pod: metadata.name,
      namespace: metadata.namespace ?? '',
    };
    const result = run.isOk ? 'successful' : 'failed';
    metrics.probes.add({ ...labels, result, pod_uid: metadata.uid });
    if (!run.isOk) return;
    metrics.probeSeconds.observe((performance.now() - run.startMs) / 1000, {
      probe_type: labels.probe_type,
    });
  }
}

function stop({ startup, readiness, liveness }: Entry): void {
  for (const worker of [startup, readiness, liveness]) worker?.close();
}

function statusBefore({ status }: Pod, { id }: ContainerRecord): ContainerStatus | undefined {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.find(({ containerID }) => containerID?.endsWith(`/${id}`));
}
