/**
 * Static pods: run from manifest files, whether the API answers or not, and shown in the API by mirrors. A mirror is
 * made again when somebody deletes it, and goes when its pod has.
 */

import type { Node, Pod } from '../../api/generated/types.ts';
import type { Client } from '../../client/client.ts';
import { describe, type Logger } from '../../log/log.ts';
import { Backoff } from '../../wait/backoff.ts';
import type { Clock } from '../../wait/clock.ts';
import type { NodeEvents } from '../events.ts';
import { nodeReference } from '../node/node-reference.ts';
import { CONFIG_MIRROR, mirroredUid } from './annotations.ts';
import { ManifestDir } from './manifest-dir.ts';

const RETRY = { firstMs: 200, maxMs: 30_000, jitter: 0.3 };
/**
 * The name of a mirror that somebody deleted stays free for this long. kubectl delete asks for the object once more and
 * then watches the name, whatever its uid: a mirror that came between the two would have it wait for ever.
 */
const NAME_FREE_MS = 2_000;

/** What runs the pods. */
export interface StaticRunner {
  /** `onEnd` is called once all of the pod is gone from the node. */
  addStatic(pod: Pod, onEnd: () => void): void;
  /** Ends the pod with its grace. */
  removeStatic(uid: string): void;
  /** The mirror of a running static pod as the API has it. */
  mirrored(uid: string, mirror: Pod | undefined): void;
}

export interface StaticPodsOptions {
  readonly directory: string;
  readonly nodeName: string;
  readonly client: Client;
  readonly events: NodeEvents;
  readonly runner: StaticRunner;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Retry {
  readonly backoff: Backoff;
  readonly cancel: () => void;
}

export class StaticPods {
  readonly #options: StaticPodsOptions;
  readonly #directory: ManifestDir;
  /** By namespace/name, each. */
  #wanted: ReadonlyMap<string, Pod> = new Map();
  readonly #running = new Map<string, Pod>();
  readonly #mirrors = new Map<string, Pod>();
  readonly #busy = new Set<string>();
  /** Something happened to them while a call was under way. */
  readonly #again = new Set<string>();
  readonly #retries = new Map<string, Retry>();
  /** Names that stay free for now; the function ends that. */
  readonly #freed = new Map<string, () => void>();
  readonly #controller = new AbortController();
  #isSynced = false;
  #hasRead = false;

  constructor(options: StaticPodsOptions) {
    this.#options = options;
    const { directory, nodeName, clock, log } = options;
    this.#directory = new ManifestDir({
      directory,
      nodeName,
      clock,
      log,
      onPods: (pods) => this.#want(pods),
      onBadFile: (message) => this.#tell(message),
    });
  }

  /** Resolves when the pods that the files name are looked after. */
  get settled(): Promise<void> {
    return this.#directory.settled;
  }

  /** What the API says of a mirror; undefined when it is gone. */
  onMirror(key: string, mirror: Pod | undefined): void {
    const before = this.#mirrors.get(key);
    if (mirror) this.#mirrors.set(key, mirror);
    else this.#mirrors.delete(key);
    if (!mirror && before?.metadata.deletionTimestamp) this.#keepFree(key);
    this.#reconcile(key);
  }

  /** All mirrors that there are have been told: what lacks one may have one made. */
  synced(): void {
    this.#isSynced = true;
    for (const key of this.#wanted.keys()) this.#reconcile(key);
  }

  async close(): Promise<void> {
    this.#controller.abort();
    for (const { cancel } of this.#retries.values()) cancel();
    for (const cancel of this.#freed.values()) cancel();
    await this.#directory.close();
  }

  #want(pods: ReadonlyMap<string, Pod>): void {
    const keys = new Set([...this.#wanted.keys(), ...pods.keys()]);
    this.#wanted = pods;
    this.#hasRead = true;
    for (const key of keys) this.#reconcile(key);
  }

  #tell(message: string): void {
    const { nodeName, events } = this.#options;
    events.record(nodeReference(nodeName), {
      type: 'Warning',
      reason: 'InvalidStaticPod',
      message,
    });
  }

  /** Looks at file, pod and mirror of one name, and does the next thing; whatever comes of it calls this again. */
  #reconcile(key: string): void {
    if (this.#controller.signal.aborted) return;
    this.#run(key);
    const running = this.#running.get(key);
    const mirror = this.#mirrors.get(key);
    const isMine = running !== undefined && mirroredUid(mirror ?? running) === running.metadata.uid;
    const isLeaving = mirror?.metadata.deletionTimestamp !== undefined;
    if (running) this.#options.runner.mirrored(running.metadata.uid, isMine ? mirror : undefined);
    if (!this.#hasRead) return; // The file of a mirror's pod may only not have been read yet.
    if (mirror && (!isMine || isLeaving)) this.#call(key, () => this.#removeMirror(mirror));
    else if (!mirror && this.#isSynced && running && this.#mayHaveMirror(key))
      this.#call(key, () => this.#createMirror(running));
  }

  #mayHaveMirror(key: string): boolean {
    return this.#wanted.has(key) && !this.#freed.has(key);
  }

  #keepFree(key: string): void {
    this.#freed.get(key)?.();
    const free = () => {
      this.#freed.delete(key);
      this.#reconcile(key);
    };
    this.#freed.set(key, this.#options.clock.after(NAME_FREE_MS, free));
  }

  #run(key: string): void {
    const { runner } = this.#options;
    const wanted = this.#wanted.get(key);
    const running = this.#running.get(key);
    if (running && running.metadata.uid !== wanted?.metadata.uid) {
      runner.removeStatic(running.metadata.uid);
    } else if (wanted && !running) {
      this.#running.set(key, wanted);
      runner.addStatic(wanted, () => {
        this.#running.delete(key);
        this.#reconcile(key);
      });
    }
  }

  /** One call for a name at a time, again after a failure. */
  #call(key: string, work: () => Promise<unknown>): void {
    const retry = this.#retries.get(key);
    if (this.#busy.has(key)) {
      this.#again.add(key);
      return;
    }
    retry?.cancel();
    this.#busy.add(key);
    const failed = (error: unknown) => {
      const { clock, log } = this.#options;
      if (this.#controller.signal.aborted) return;
      log.debug('Could not keep the mirror of a static pod', { pod: key, error: describe(error) });
      const backoff = retry?.backoff ?? new Backoff(RETRY);
      const cancel = clock.after(backoff.next(), () => this.#reconcile(key));
      this.#retries.set(key, { backoff, cancel });
    };
    work()
      .then(() => void this.#retries.delete(key), failed)
      .finally(() => {
        this.#busy.delete(key);
        if (this.#again.delete(key)) this.#reconcile(key);
      });
  }

  async #createMirror(pod: Pod): Promise<void> {
    const { client, nodeName } = this.#options;
    const { signal } = this.#controller;
    const node = await client.get<Node>('nodes', { name: nodeName }, signal);
    const { name, namespace = '', labels, annotations = {}, uid } = pod.metadata;
    const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: node.metadata.uid };
    const mirror = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        namespace,
        ...(labels ? { labels } : {}),
        annotations: { ...annotations, [CONFIG_MIRROR]: uid },
        ownerReferences: [{ ...owner, controller: true }],
      },
      spec: pod.spec,
    };
    await client.create<Pod>('pods', mirror as never, signal);
  }

  async #removeMirror({ metadata }: Pod): Promise<void> {
    const { namespace = '', name, uid } = metadata;
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    await this.#options.client.remove(
      'pods',
      { namespace, name },
      options,
      this.#controller.signal,
    );
  }
}
