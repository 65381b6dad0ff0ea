/**
 * All pods of the node: a worker for each, woken by the API's watch, by the engine and by what they refer to.
 * What an earlier agent left behind and the API does not know any more is removed.
 */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import { keyOf } from '../../api/meta.ts';
import { qosClass } from '../../api/resources/pod-qos.ts';
import type { ContainerInfo } from '../../engine/engine.ts';
import { watchClock } from '../../wait/clock-jumps.ts';
import type { Eviction } from '../eviction/manager.ts';
import type { NodeContext } from '../node-context.ts';
import { mirroredUid } from '../static/annotations.ts';
import { MirrorWriter } from '../static/mirror-writer.ts';
import type { StaticRunner } from '../static/static-pods.ts';
import { POD_UID } from './labels.ts';
import { removeOrphan } from './orphans.ts';
import { isOver } from './records.ts';
import { PodWorker } from './worker.ts';

export class Pods implements StaticRunner {
  readonly #context: NodeContext;
  readonly #workers = new Map<string, PodWorker>();
  /** uid by namespace/name. */
  readonly #byKey = new Map<string, string>();
  readonly #writers = new Map<string, MirrorWriter>();
  /** namespace/name of static pods' mirrors. */
  readonly #mirrors = new Set<string>();
  /** When each pod that does not run yet was first seen. */
  readonly #seenAtMs = new Map<string, number>();
  readonly #unsubscribe: () => void;
  readonly #unwatchClock: () => void;

  constructor(context: NodeContext) {
    this.#context = context;
    this.#unsubscribe = context.engine.onChange((container) => this.#onContainer(container));
    const { clock } = context;
    this.#unwatchClock = watchClock({ clock, onJump: (byMs) => this.#onJump(byMs) });
  }

  /** Takes in what the watch says: the pod as it is now, undefined when it is gone. Returns whether it is a mirror. */
  onPod(key: string, pod: Pod | undefined): boolean {
    const isMirror = pod ? mirroredUid(pod) !== undefined : this.#mirrors.has(key);
    if (!isMirror) this.#onApiPod(key, pod);
    else if (pod) this.#mirrors.add(key);
    else this.#mirrors.delete(key);
    return isMirror;
  }

  /** See StaticRunner. */
  addStatic(pod: Pod, onEnd: () => void): void {
    const { uid } = pod.metadata;
    const key = keyOf(pod.metadata);
    const writer = new MirrorWriter(pod, this.#context);
    const onDone = () => {
      this.#forget(uid);
      this.#writers.delete(uid);
      if (this.#byKey.get(key) === uid) this.#byKey.delete(key);
      onEnd();
    };
    this.#byKey.set(key, uid);
    this.#writers.set(uid, writer);
    const worker = new PodWorker(pod, { context: this.#context, writer, onDone });
    this.#workers.set(uid, worker);
    worker.wake();
  }

  removeStatic(uid: string): void {
    this.#workers.get(uid)?.gone();
  }

  mirrored(uid: string, mirror: Pod | undefined): void {
    this.#writers.get(uid)?.mirror(mirror);
  }

  #onApiPod(key: string, pod: Pod | undefined): void {
    const known = this.#byKey.get(key);
    if (known !== undefined && known !== pod?.metadata.uid) {
      this.#byKey.delete(key);
      this.#workers.get(known)?.gone();
    }
    if (!pod) return;
    const { uid } = pod.metadata;
    this.#byKey.set(key, uid);
    this.#measureStart(pod);
    const existing = this.#workers.get(uid);
    if (existing) {
      existing.update(pod);
      return;
    }
    const onDone = () => this.#forget(uid);
    const worker = new PodWorker(pod, { context: this.#context, onDone });
    this.#workers.set(uid, worker);
    worker.update(pod);
  }

  #forget(uid: string): void {
    this.#workers.delete(uid);
    this.#context.admission.release(uid);
    this.#seenAtMs.delete(uid);
    this.#context.metrics.probes.forget('pod_uid', uid);
  }

  /** How long it took from first seeing the pod, and from its creation, until it ran. */
  #measureStart({ metadata, status }: Pod): void {
    const { clock, metrics } = this.#context;
    const { uid, creationTimestamp = '' } = metadata;
    const seenAtMs = this.#seenAtMs.get(uid);
    if (status?.phase === undefined || status.phase === 'Pending') {
      if (seenAtMs === undefined) this.#seenAtMs.set(uid, clock.monotonic());
      return;
    }
    if (seenAtMs === undefined) return;
    this.#seenAtMs.delete(uid);
    if (status.phase !== 'Running') return;
    metrics.podStart.observe((clock.monotonic() - seenAtMs) / 1000);
    metrics.podStartTotal.observe(Math.max(0, clock.now() - Date.parse(creationTimestamp)) / 1000);
  }

  referenceChanged(uid: string): void {
    this.#workers.get(uid)?.referenceChanged();
  }

  /** The pod as this node sees it. */
  get(namespace: string, name: string): Pod | undefined {
    const uid = this.#byKey.get(`${namespace}/${name}`);
    return uid === undefined ? undefined : this.#workers.get(uid)?.pod;
  }

  list(): readonly Pod[] {
    return [...this.#workers.values()].map(({ pod }) => pod);
  }

  /** Those that run or are about to. */
  active(): readonly Pod[] {
    return this.list().filter((pod) => !pod.metadata.deletionTimestamp && !isOver(pod));
  }

  /** All that has not ended, with what it was given, which during a resize differs from what it asks for. */
  allocated(): readonly Pod[] {
    return [...this.#workers.values()].map(({ given }) => given).filter((pod) => !isOver(pod));
  }

  /** Room may have been made: pods that wait for it get it, the more important ones first. */
  retryResizes(): void {
    const waiting = [...this.#workers.values()].filter(({ resize }) => resize.isDeferred);
    for (const worker of waiting.toSorted(byUrgency)) {
      if (worker.resize.allocate(worker.pod)) worker.wake();
    }
  }

  evict(uid: string, eviction: Eviction): void {
    this.#workers.get(uid)?.evict(eviction);
  }

  /** Whether nothing of the pod uses the node any more. */
  isCleanedUp(uid: string): boolean {
    return this.#workers.get(uid)?.isReleased ?? true;
  }

  /** Whether the pod has ended, all of it, and the API has been told as far as it answers. */
  hasEnded(uid: string): boolean {
    return this.#workers.get(uid)?.hasEnded ?? true;
  }

  /** Removes sandboxes and directories of pods without a worker; to be called once the first list is here. */
  async removeOrphans(): Promise<void> {
    const { engine, paths, log, volumes } = this.#context;
    const isOrphan = (uid: string | undefined): uid is string =>
      uid !== undefined && !this.#workers.has(uid);
    const sandboxes = engine.listSandboxes().filter(({ labels }) => isOrphan(labels[POD_UID]));
    // A removal that was cut off may have left either: the run directory holds secrets.
    const roots = [paths.dataDir, paths.runDir].map((root) => join(root, 'pods'));
    const read = (root: string) => readdir(root).catch(() => []);
    const directories = (await Promise.all(roots.map(read))).flat();
    const users = await volumes.users();
    const known = sandboxes.map(({ labels }) => labels[POD_UID]);
    const uids = new Set([...known, ...directories, ...users]);
    for (const uid of [...uids].filter(isOrphan)) {
      try {
        await removeOrphan(this.#context, uid);
        log.info('Removed an orphaned pod', { uid });
      } catch (error) {
        log.warn('Could not remove an orphaned pod', { uid, error });
      }
    }
  }

  /** Stops looking after the pods; their containers go on. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#unwatchClock();
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()));
  }

  /** What depends on the wall clock (tokens) is looked at again. */
  #onJump(byMs: number): void {
    this.#context.log.warn('The clock was moved', { seconds: Math.round(byMs / 1000) });
    for (const worker of this.#workers.values()) worker.wake();
  }

  #onContainer({ labels }: ContainerInfo): void {
    this.#workers.get(labels[POD_UID] ?? '')?.wake();
  }
}

/** Those that grow last; then by priority, by quality of service, by age. */
function byUrgency(a: PodWorker, b: PodWorker): number {
  const isGuaranteed = ({ pod }: PodWorker) => Number(qosClass(pod.spec) === 'Guaranteed');
  const createdMs = ({ pod }: PodWorker) => Date.parse(pod.metadata.creationTimestamp);
  return (
    Number(a.resize.grows(a.pod)) - Number(b.resize.grows(b.pod)) ||
    (b.pod.spec.priority ?? 0) - (a.pod.spec.priority ?? 0) ||
    isGuaranteed(b) - isGuaranteed(a) ||
    createdMs(a) - createdMs(b)
  );
}
