/**
 * Keeps the node from running out of memory, disk and process ids: looks at what is free every MONITOR_MS (there is no
 * event for a disk) and when the kernel tells of memory (Sensors.watchMemory), sets the node's pressure, frees what nobody uses, and then
 * ends one pod at a time. Also ends pods that write more than they may.
 */

import type { Pod } from '../../api/generated/types.ts';
import type { ApiObject } from '../../api/meta.ts';
import type { Logger } from '../../log/log.ts';
import { type Clock, sleep } from '../../wait/clock.ts';
import type { NodeEvents } from '../events.ts';
import type { NodeLimits, Threshold } from '../node/kubelet-args.ts';
import type { Counter } from '../stats/instruments.ts';
import { evictionMessage, isCritical, type PodUsage, rank, resourceOf } from './rank.ts';
import type { Observations } from './signals.ts';
import { hasStorageLimits, storageExcess } from './storage-limits.ts';
import { isShort, judge, kindOf, NO_HISTORY, NO_PRESSURE, type Pressure } from './thresholds.ts';
import type { PodDisk } from './usage.ts';

/** As often as the kubelet; more often while the node runs short. */
const MONITOR_MS = 10_000;
const PRESSED_MS = 2000;
/** The kernel tells of memory in bursts. */
const APART_MS = 250;
/** After an eviction the pod has this long to be gone before the next look. */
const CLEANUP_MS = 30_000;
const CLEANUP_STEP_MS = 500;
/** Grace of a pod that a hard threshold or a limit drives away. */
const IMMEDIATE_SECONDS = 1;

export interface Eviction {
  /** Evicted, or why else the node ends or refuses the pod. */
  readonly reason: string;
  readonly message: string;
  readonly graceSeconds: number;
  /** The node has not taken the pod. */
  readonly isRefusal?: boolean;
}

/** What the manager sees and does of the node's pods. */
export interface EvictablePods {
  /** Those that run or are about to. */
  active(): readonly Pod[];
  evict(uid: string, eviction: Eviction): void;
  /** Whether nothing of the pod uses the node any more. */
  isCleanedUp(uid: string): boolean;
}

/** Frees what nobody uses (ended containers, unused images); resolves once it is freed. */
export type Reclaim = (signal: AbortSignal) => Promise<void>;

/** How the manager measures. */
export interface Sensors {
  observe(): Promise<Observations>;
  usage(pod: Pod, options: { readonly hasDisk: boolean }): Promise<PodUsage>;
  disk(pod: Pod): Promise<PodDisk>;
  /** Memory of one cgroup. */
  memoryUsage(cgroup: string): Promise<number>;
  /** Calls back whenever memory gets close to running short; returns what ends that. */
  watchMemory(onShort: () => void): () => void;
}

export interface EvictionOptions {
  readonly limits: NodeLimits;
  readonly pods: EvictablePods;
  readonly events: NodeEvents;
  /** The node, as events name it. */
  readonly node: ApiObject;
  readonly clock: Clock;
  readonly log: Logger;
  /** What frees disk space before a pod has to go. */
  readonly reclaimDisk: readonly Reclaim[];
  readonly sensors: Sensors;
  /** Pods evicted, by signal. */
  readonly evictions: Counter;
  onPressure(pressure: Pressure): void;
}

export class EvictionManager {
  readonly #options: EvictionOptions;
  readonly #controller = new AbortController();
  #history = NO_HISTORY;
  /** What has been logged since the node began to run short. */
  readonly #warned = new Set<string>();
  #pressure = NO_PRESSURE;
  #wake: () => void = () => undefined;
  readonly #unwatch: () => void;
  readonly #work: Promise<void>;

  constructor(options: EvictionOptions) {
    this.#options = options;
    this.#unwatch = options.sensors.watchMemory(() => this.#wake());
    this.#work = this.#run();
  }

  async close(): Promise<void> {
    this.#unwatch();
    this.#controller.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    const { signal } = this.#controller;
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      let evicted: readonly string[] = [];
      try {
        evicted = await this.#look();
      } catch (error) {
        if (!signal.aborted) log.warn('Could not look after the resources of the node', { error });
      }
      if (evicted.length > 0) {
        await this.#cleanedUp(evicted);
        continue;
      }
      const { memory, disk, pids } = this.#pressure;
      const pauseMs = memory || disk || pids ? PRESSED_MS : MONITOR_MS;
      await sleep(APART_MS, signal, clock).catch(() => undefined);
      const pause = sleep(pauseMs - APART_MS, signal, clock).catch(() => undefined);
      await Promise.race([woken, pause]);
    }
  }

  /** One look; resolves to the pods that it has ended. */
  async #look(): Promise<readonly string[]> {
    const overfull = await this.#enforceStorageLimits();
    if (overfull.length > 0) return overfull;
    const observations = await this.#options.sensors.observe();
    const { limits, clock } = this.#options;
    const verdict = judge(this.#history, { limits, observations, nowMs: clock.monotonic() });
    this.#history = verdict.history;
    this.#setPressure(verdict.pressure);
    const [threshold] = verdict.acting;
    if (threshold === undefined) {
      this.#warned.clear();
      return [];
    }
    return this.#relieve(threshold, observations);
  }

  #setPressure(pressure: Pressure): void {
    const old = this.#pressure;
    this.#pressure = pressure;
    const isSame =
      old.memory === pressure.memory && old.disk === pressure.disk && old.pids === pressure.pids;
    if (!isSame) this.#options.onPressure(pressure);
  }

  /** Once in a time of shortage: it is looked at every 2 s. */
  #warnOnce(message: string, fields: Readonly<Record<string, string>>): void {
    const line = `${message} ${fields['resource']}`;
    if (this.#warned.has(line)) return;
    this.#warned.add(line);
    this.#options.log.warn(message, fields);
  }

  async #relieve(threshold: Threshold, before: Observations): Promise<readonly string[]> {
    const { events, node, limits } = this.#options;
    const resource = resourceOf(threshold.signal);
    events.record(node, {
      type: 'Warning',
      reason: 'EvictionThresholdMet',
      message: `Attempting to reclaim ${resource}`,
    });
    this.#warnOnce('Ran short of a resource', { resource, signal: threshold.signal });
    const observations = (await this.#reclaim(threshold)) ?? before;
    if (!isShort(threshold, observations, limits)) return [];
    const hasDisk = kindOf(threshold.signal) === 'disk';
    const usages = await Promise.all(
      this.#options.pods
        .active()
        .filter((pod) => !isCritical(pod))
        .map((pod) => this.#options.sensors.usage(pod, { hasDisk })),
    );
    const [first] = rank(usages, threshold.signal);
    if (first === undefined) {
      this.#warnOnce('Found no pod to evict', { resource });
      return [];
    }
    const message = evictionMessage(first, threshold, observations.get(threshold.signal));
    const isHard = threshold.graceMs === 0;
    this.#options.evictions.add({ eviction_signal: threshold.signal });
    return [this.#evict(first.pod, message, isHard ? undefined : limits.maxPodGraceSeconds)];
  }

  /** Frees what nobody uses; resolves to what is free then, undefined when nothing can be tried. */
  async #reclaim({ signal: name }: Threshold): Promise<Observations | undefined> {
    const { reclaimDisk, log } = this.#options;
    if (kindOf(name) !== 'disk') return undefined;
    const { signal } = this.#controller;
    for (const reclaim of reclaimDisk) {
      try {
        await reclaim(signal);
      } catch (error) {
        if (!signal.aborted) log.warn('Could not reclaim disk space', { error });
      }
    }
    signal.throwIfAborted();
    return this.#options.sensors.observe();
  }

  async #enforceStorageLimits(): Promise<readonly string[]> {
    const { pods, sensors } = this.#options;
    const evicted: string[] = [];
    for (const pod of pods.active()) {
      this.#controller.signal.throwIfAborted();
      if (!hasStorageLimits(pod)) continue;
      const excess = storageExcess(pod, await sensors.disk(pod));
      if (excess === undefined) continue;
      this.#options.evictions.add({ eviction_signal: excess.signal });
      evicted.push(this.#evict(pod, excess.message));
    }
    return evicted;
  }

  #evict(pod: Pod, message: string, softGraceSeconds?: number): string {
    const { events, pods, log } = this.#options;
    const { namespace, name, uid } = pod.metadata;
    const own = pod.spec.terminationGracePeriodSeconds ?? 0;
    const graceSeconds =
      softGraceSeconds === undefined
        ? IMMEDIATE_SECONDS
        : softGraceSeconds < 0
          ? own
          : Math.min(own, softGraceSeconds);
    events.record(pod, { type: 'Warning', reason: 'Evicted', message });
    log.warn('Evicted a pod', { pod: `${namespace}/${name}`, message });
    pods.evict(uid, { reason: 'Evicted', message, graceSeconds });
    return uid;
  }

  async #cleanedUp(uids: readonly string[]): Promise<void> {
    const { clock, pods } = this.#options;
    const { signal } = this.#controller;
    const untilMs = clock.monotonic() + CLEANUP_MS;
    while (!signal.aborted && clock.monotonic() < untilMs) {
      if (uids.every((uid) => pods.isCleanedUp(uid))) return;
      await sleep(CLEANUP_STEP_MS, signal, clock).catch(() => undefined);
    }
  }
}
