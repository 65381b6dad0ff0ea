/** Stops a pod's containers in order and removes what the node has of it. Everything here may be done twice. */

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, Pod } from '../../api/generated/types.ts';
import { sleep } from '../../wait/clock.ts';
import type { NodeContext } from '../node-context.ts';
import { orAborted } from '../or-aborted.ts';
import { containerLogs, podLogs } from '../paths.ts';
import { isStatic } from '../static/annotations.ts';
import type { Action } from './decide.ts';
import { type HookTarget, preStop } from './hooks.ts';
import { ATTEMPT, CONTAINER_NAME, sandboxId } from './labels.ts';
import {
  allContainers,
  type ContainerRecord,
  fieldOf,
  initContainers,
  isSidecar,
  type PodView,
} from './records.ts';
import { cgroupParent } from './resources.ts';

/** Kubernetes' default of terminationGracePeriodSeconds. */
const DEFAULT_GRACE_SECONDS = 30;
/** What a container may take whose pod is gone from the API, or deleted with grace period 0. */
const MIN_GRACE_SECONDS = 1;
/** How many ended runs of a container are kept beside the newest: `logs --previous` and lastState need one. */
const KEPT_RUNS = 1;

export interface StopOptions {
  /** The API has forgotten the pod; a static pod's file is gone, which leaves it its grace. */
  readonly isGone?: boolean;
  /** Instead of the pod's own. */
  readonly graceSeconds?: number;
}

interface Running {
  readonly container: Container;
  readonly id: string;
}

export class PodEnd {
  readonly #context: NodeContext;
  /** Grace of the stop under way. */
  #graceSeconds: number | undefined;
  /** Containers that have been asked to stop. */
  readonly #asked = new Set<string>();
  readonly #closing = new AbortController();
  #isSandboxRemoved = false;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  /** Gives up what it waits for: a stop under way goes on for itself, or is begun again by the next agent. */
  close(): void {
    this.#closing.abort();
  }

  /** A second deletion may shorten the grace of a stop that is under way. */
  hurry(pod: Pod, view: PodView): void {
    const graceSeconds = graceOf(pod);
    if (this.#graceSeconds === undefined || graceSeconds >= this.#graceSeconds) return;
    this.#graceSeconds = graceSeconds;
    const { engine, log } = this.#context;
    const isForced = graceSeconds <= MIN_GRACE_SECONDS;
    for (const { id } of runningOf(pod, view)) {
      // The others wait for their turn and take what is left of the grace then.
      if (!isForced && !this.#asked.has(id)) continue;
      engine.stopContainer(id, graceSeconds * 1000).catch((error: unknown) => {
        if (this.#closing.signal.aborted) return;
        log.warn('Could not stop a container sooner', { container: id, error });
      });
    }
  }

  /**
   * Main containers together, then sidecars, the last one first; all preStop hooks begin at once. One grace period is
   * for all. Resolves when all have ended.
   */
  async stopAll(
    pod: Pod,
    view: PodView,
    { isGone, graceSeconds }: StopOptions = {},
  ): Promise<void> {
    const isForced = isGone && !isStatic(pod);
    this.#graceSeconds = isForced ? MIN_GRACE_SECONDS : (graceSeconds ?? graceOf(pod));
    const running = runningOf(pod, view);
    const sidecars = running.filter(
      ({ container }) => initContainers(pod).includes(container) && isSidecar(container),
    );
    const others = running.filter((one) => !sidecars.includes(one));
    try {
      const stops = others.map((one) => this.#stop(pod, one));
      for (const one of sidecars.toReversed()) {
        const turn = Promise.allSettled([...stops]);
        stops.push(this.#stop(pod, one, turn));
      }
      await Promise.all(stops);
    } finally {
      this.#asked.clear();
      this.#graceSeconds = undefined;
    }
  }

  /** Stops one container that will be started again. */
  async killOne(
    pod: Pod,
    { container, id, why, probe, isHard }: Action & { readonly kind: 'kill' },
  ): Promise<void> {
    const { events } = this.#context;
    events.record(pod, {
      type: 'Normal',
      reason: 'Killing',
      message: why,
      container: container.name,
      field: fieldOf(pod, container.name),
    });
    if (isHard) {
      const { signal } = this.#closing;
      return orAborted(this.#context.engine.stopContainer(id, MIN_GRACE_SECONDS * 1000), signal);
    }
    const own = probe?.terminationGracePeriodSeconds;
    const graceSeconds = own ?? pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
    await this.#stopAfterHook({ pod, container, id }, () => graceSeconds);
  }

  /** Removes the runs of a container that nobody can ask for any more, with their logs. */
  async prune(pod: Pod, { name }: Container): Promise<void> {
    const { engine, paths } = this.#context;
    const id = sandboxId(pod.metadata.uid);
    const runs = engine
      .listContainers(id)
      .filter((info) => info.labels[CONTAINER_NAME] === name)
      .sort((a, b) => Number(b.labels[ATTEMPT]) - Number(a.labels[ATTEMPT]));
    const old = runs
      .slice(KEPT_RUNS + 1)
      .filter(({ status }) => status === 'exited' || status === 'created');
    for (const { id: containerId } of old) await engine.removeContainer(containerId);
    const oldest = Number(runs[Math.min(KEPT_RUNS, runs.length - 1)]?.labels[ATTEMPT] ?? 0);
    const directory = containerLogs(paths, pod, name);
    for (const file of await readdir(directory).catch(() => [])) {
      const attempt = Number.parseInt(file, 10);
      if (attempt < oldest) await rm(join(directory, file), { force: true });
    }
  }

  /** Removes sandbox and containers, for good; logs and volumes stay. */
  async removeSandbox(pod: Pod): Promise<void> {
    await this.#context.engine.removeSandbox(sandboxId(pod.metadata.uid));
    await this.#context.engine.removeCgroup(cgroupParent(this.#context.cgroupRoot, pod));
    this.#isSandboxRemoved = true;
  }

  /** Removes all that the node has of the pod. */
  async removeAll(pod: Pod): Promise<void> {
    const { volumes, paths } = this.#context;
    if (!this.#isSandboxRemoved) await this.removeSandbox(pod);
    await volumes.remove(pod.metadata.uid);
    await rm(podLogs(paths, pod), { recursive: true, force: true });
  }

  async #stop(pod: Pod, { container, id }: Running, turn?: Promise<unknown>): Promise<void> {
    const message = `Stopping container ${container.name}`;
    const details = {
      type: 'Normal',
      reason: 'Killing',
      message,
      container: container.name,
      field: fieldOf(pod, container.name),
    } as const;
    this.#context.events.record(pod, details);
    const grace = () => this.#graceSeconds ?? MIN_GRACE_SECONDS;
    await this.#stopAfterHook({ pod, container, id }, grace, turn);
  }

  /**
   * The hook's time, and the time until it is the container's turn, count as grace; what is left of it, and at least
   * MIN_GRACE_SECONDS, the container has.
   */
  async #stopAfterHook(
    target: HookTarget,
    graceSeconds: () => number,
    turn?: Promise<unknown>,
  ): Promise<void> {
    const { engine, clock } = this.#context;
    const { signal } = this.#closing;
    signal.throwIfAborted();
    const hasHook = target.container.lifecycle?.preStop !== undefined;
    const startMs = clock.monotonic();
    if (hasHook && engine.getContainer(target.id)?.status === 'running') {
      await preStop(this.#context, { ...target, graceMs: graceSeconds() * 1000 }, signal);
    }
    const leftMs = () => graceSeconds() * 1000 - (clock.monotonic() - startMs);
    if (turn !== undefined) await this.#wait(turn, Math.max(leftMs(), 0));
    this.#asked.add(target.id);
    const hasWaited = hasHook || turn !== undefined;
    const graceMs = hasWaited
      ? Math.max(leftMs(), MIN_GRACE_SECONDS * 1000)
      : graceSeconds() * 1000;
    await orAborted(engine.stopContainer(target.id, graceMs), signal);
  }

  /** Until it is done, and at most so long. */
  async #wait(turn: Promise<unknown>, timeoutMs: number): Promise<void> {
    const done = new AbortController();
    const signal = AbortSignal.any([done.signal, this.#closing.signal]);
    const timeout = sleep(timeoutMs, signal, this.#context.clock).catch(() => undefined);
    await Promise.race([turn, timeout]);
    done.abort();
    this.#closing.signal.throwIfAborted();
  }
}

function runningOf(pod: Pod, view: PodView): readonly Running[] {
  const isAlive = ({ status }: ContainerRecord) => status !== 'exited';
  return allContainers(pod).flatMap((container) =>
    (view.containers.get(container.name) ?? [])
      .filter(isAlive)
      .map(({ id }) => ({ container, id })),
  );
}

function graceOf({ metadata, spec }: Pod): number {
  const seconds =
    metadata.deletionGracePeriodSeconds ??
    spec.terminationGracePeriodSeconds ??
    DEFAULT_GRACE_SECONDS;
  return Math.max(seconds, MIN_GRACE_SECONDS);
}
