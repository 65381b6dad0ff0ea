/**
 * One pod's resources over its life: what it was given (kept in a file over a restart of the agent), what it waits
 * for, and the writes that bring its cgroups there. Containers go on unless their resizePolicy says otherwise.
 */

import type { Container, Pod, PodStatus, ResourceRequirements } from '../../api/generated/types.ts';
import { amountOf } from '../../api/pod-resources.ts';
import { describe } from '../../log/log.ts';
import { Backoff } from '../../wait/backoff.ts';
import type { NodeContext } from '../node-context.ts';
import { newest, type PodView } from '../pod/records.ts';
import { cgroupParent, containerResources, podResources } from '../pod/resources.ts';
import {
  type Allocation,
  allocationOf,
  changedIn,
  grows,
  isAllocated,
  needsRestart,
  type Refusal,
  refusalOfResize,
  resizable,
  withAllocation,
} from './allocation.ts';
import { Checkpoint } from './checkpoint.ts';
import { actualAllocation, fromStatus } from './from-status.ts';
import { larger, shrinksMemory } from './limits.ts';
import { type Progress, withResize } from './resize-status.ts';

/** How soon a resize is tried again that would take memory which is in use, or that the kernel has refused. */
const RETRY = { firstMs: 2000, maxMs: 120_000 };

/** A container that must be started anew for its new resources. */
interface Restart {
  readonly container: Container;
  readonly id: string;
  readonly why: string;
}

export interface Step {
  readonly restarts: readonly Restart[];
  /** When to try again what could not be done. */
  /** By the monotonic clock. */
  readonly retryAtMs?: number;
}

const DONE: Step = { restarts: [] };

export class PodResize {
  readonly #context: NodeContext;
  readonly #view: () => PodView;
  readonly #checkpoint: Checkpoint;
  #allocation: Allocation | undefined;
  #pending: Refusal | undefined;
  #progress: Progress | undefined;
  /** What each container has in fact, by id. */
  #actual: Readonly<Record<string, ResourceRequirements>> = {};
  #actualPod: Pod | undefined;
  readonly #retry = new Backoff(RETRY);

  /** `view` is what the node has of the pod now. */
  constructor(context: NodeContext, uid: string, view: () => PodView) {
    this.#context = context;
    this.#view = view;
    this.#checkpoint = new Checkpoint(context.paths, uid);
  }

  /** Reads what an earlier agent gave the pod. */
  async #open(pod: Pod): Promise<void> {
    if (this.#allocation) return;
    const kept = await this.#checkpoint.read();
    const found = kept ?? fromStatus(pod);
    this.#allocation = found.allocation;
    this.#actual = found.actual;
    this.#progress = found.progress;
    this.#actualPod = withAllocation(pod, actualAllocation(pod, found));
  }

  /** The pod with what it was given. */
  given(pod: Pod): Pod {
    return this.#allocation ? withAllocation(pod, this.#allocation) : pod;
  }

  /** Whether the pod waits for room. */
  get isDeferred(): boolean {
    return this.#pending?.reason === 'Deferred';
  }

  /** Whether it asks for more than it was given. */
  grows(pod: Pod): boolean {
    return this.#allocation !== undefined && grows(pod, this.#allocation);
  }

  /** Gives the pod what it asks for, if the node has it; true when that is new. */
  allocate(pod: Pod): boolean {
    const old = this.#allocation;
    if (!old) return false;
    this.#observe(withAllocation(pod, old));
    if (isAllocated(pod, old)) {
      this.#pending = undefined;
      return false;
    }
    const refusal = this.#refusal(pod);
    if (refusal) {
      this.#refuse(pod, refusal);
      return false;
    }
    this.#allocation = allocationOf(pod);
    this.#pending = undefined;
    const { generation = 0 } = pod.metadata;
    this.#progress = { generation };
    this.#retry.reset();
    this.#tell(pod, 'Normal', 'ResizeStarted', 'Pod resize started');
    return true;
  }

  /** Containers that were not there before have been started with what the pod was given then. */
  #observe(given: Pod): void {
    const live = liveContainers(given, this.#view());
    this.#actual = Object.fromEntries(
      live.map(({ id, container }) => [id, this.#actual[id] ?? container.resources ?? {}]),
    );
    this.#actualPod ??= given;
  }

  #refusal(pod: Pod): Refusal | undefined {
    const { node, allocatedPods } = this.#context;
    const { cpu, memory } = node.allocatable;
    return refusalOfResize(pod, {
      allocatable: { cpu: amountOf('cpu', cpu), memory: amountOf('memory', memory) },
      others: allocatedPods().filter(({ metadata }) => metadata.uid !== pod.metadata.uid),
    });
  }

  #refuse(pod: Pod, refusal: Refusal): void {
    const isKnown =
      this.#pending?.reason === refusal.reason && this.#pending.message === refusal.message;
    this.#pending = refusal;
    if (isKnown) return;
    const { reason, message } = refusal;
    this.#tell(pod, 'Warning', `Resize${reason}`, `Pod resize ${reason}`, message);
  }

  /** Gives the pod what it asks for, if the node has it, and brings its cgroups there as far as can be done now. */
  async sync(pod: Pod): Promise<Step> {
    await this.#open(pod);
    this.allocate(pod);
    return await this.#step(pod);
  }

  async #step(pod: Pod): Promise<Step> {
    if (!this.#progress) return DONE;
    const given = this.given(pod);
    const live = liveContainers(given, this.#view());
    await this.#save();
    try {
      return await this.#advance(given, live);
    } catch (error) {
      if (!(error instanceof ResizeError)) throw error;
      return this.#fail(pod, error);
    }
  }

  #fail(pod: Pod, { message }: ResizeError): Step {
    const progress = this.#progress;
    if (progress && progress.error !== message) {
      this.#progress = { ...progress, error: message };
      this.#tell(pod, 'Warning', 'ResizeError', 'Pod resize error', message);
    }
    return { restarts: [], retryAtMs: this.#context.clock.monotonic() + this.#retry.next() };
  }

  async #advance(given: Pod, live: readonly Live[]): Promise<Step> {
    const changes = live.flatMap((one) => {
      const changed = changedIn(this.#actual[one.id], one.container.resources);
      return changed.length > 0 ? [{ ...one, changed }] : [];
    });
    const restarts = changes
      .filter(({ container, changed }) => needsRestart(container, changed))
      .map(({ container, id }) => ({
        container,
        id,
        why: `Container ${container.name} resize requires restart`,
      }));
    const updates = changes.filter(({ id }) => !restarts.some((one) => one.id === id));
    await this.#update(given, updates);
    if (restarts.length > 0) return { restarts };
    const { generation } = this.#progress ?? {};
    this.#progress = undefined;
    await this.#save();
    this.#tell(given, 'Normal', 'ResizeCompleted', 'Pod resize completed');
    this.#context.log.info('Resized a pod', { pod: given.metadata.name, generation });
    return DONE;
  }

  /** The pod's cgroup grows before those of its containers, and shrinks after them. */
  async #update(given: Pod, updates: readonly Live[]): Promise<void> {
    const { engine, limits, cgroupRoot } = this.#context;
    const path = cgroupParent(cgroupRoot, given);
    const before = podResources(this.#actualPod ?? given, limits.podPidsLimit);
    const after = podResources(given, limits.podPidsLimit);
    const old = this.#actualPod ?? given;
    await this.#checkMemory(path, { before, after, updates, old });
    await attempt(() => engine.setCgroup(path, larger(before, after)));
    for (const { container, id } of updates) {
      await attempt(() => engine.updateContainer(id, containerResources(given, container)));
      this.#actual = { ...this.#actual, [id]: container.resources ?? {} };
    }
    await attempt(() => engine.setCgroup(path, after));
    this.#actualPod = given;
  }

  /** The kernel would end what does not fit any more. */
  async #checkMemory(path: string, { before, after, updates, old }: MemoryCheck): Promise<void> {
    const { memoryUsage } = this.#context;
    if (shrinksMemory(before, after)) {
      const [used, limit] = [await memoryUsage(path), after.memoryLimitBytes ?? 0];
      if (used > limit)
        throw new ResizeError(
          `attempting to set pod memory limit (${limit}) below current usage (${used})`,
        );
    }
    for (const { container, id } of updates) {
      const had = containerResources(old, { ...container, resources: this.#actual[id] ?? {} });
      const wanted = containerResources(old, container);
      if (!shrinksMemory(had, wanted)) continue;
      const [used, limit] = [await memoryUsage(`${path}/${id}`), wanted.memoryLimitBytes ?? 0];
      if (used > limit)
        throw new ResizeError(
          `attempting to set container "${container.name}" memory limit (${limit}) below current usage (${used})`,
        );
    }
  }

  /** The status with the pod's resources and how its resize goes. */
  status(status: PodStatus, pod: Pod): PodStatus {
    const allocation = this.#allocation ?? allocationOf(pod);
    const actualPod = this.#actualPod?.spec.resources;
    return withResize(status, pod, {
      allocation,
      actual: (id) => this.#actual[id],
      ...(actualPod ? { actualPod } : {}),
      ...(this.#pending ? { pending: this.#pending } : {}),
      ...(this.#progress ? { progress: this.#progress } : {}),
      nowMs: this.#context.clock.now(),
    });
  }

  async #save(): Promise<void> {
    const [allocation, progress] = [this.#allocation, this.#progress];
    if (!allocation) return;
    const actual = this.#actual;
    await this.#checkpoint.write({ allocation, actual, ...(progress ? { progress } : {}) });
  }

  #tell(pod: Pod, type: 'Normal' | 'Warning', reason: string, what: string, error?: string): void {
    const details = {
      containers: resizable(pod).map(({ name, resources = {} }) => ({ name, resources })),
      generation: pod.metadata.generation,
      ...(error === undefined ? {} : { error }),
    };
    const message = `${what}: ${JSON.stringify(details)}`;
    this.#context.events.record(pod, { type, reason, message });
  }
}

interface Live {
  readonly container: Container;
  readonly id: string;
}

interface MemoryCheck {
  readonly before: ReturnType<typeof podResources>;
  readonly after: ReturnType<typeof podResources>;
  readonly updates: readonly Live[];
  readonly old: Pod;
}

/** It cannot be done now; told as the reason why the resize does not go on. */
class ResizeError extends Error {}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new ResizeError(describe(error), { cause: error });
  }
}

function liveContainers(pod: Pod, view: PodView): readonly Live[] {
  return resizable(pod).flatMap((container) => {
    const last = newest(view, container.name);
    return last?.status === 'running' ? [{ container, id: last.id }] : [];
  });
}
