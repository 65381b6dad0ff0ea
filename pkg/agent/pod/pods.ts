/**
 * All pods of the node: a worker for each, woken by the API's watch, by the engine and by what they refer to.
 * What an earlier agent left behind and the API does not know any more is removed.
 */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import type { ContainerInfo } from '../../engine/engine.ts';
import type { NodeContext } from '../node-context.ts';
import { POD_UID } from './labels.ts';
import { removeOrphan } from './orphans.ts';
import { PodWorker } from './worker.ts';

export class Pods {
  readonly #context: NodeContext;
  readonly #workers = new Map<string, PodWorker>();
  /** uid by namespace/name. */
  readonly #byKey = new Map<string, string>();
  readonly #unsubscribe: () => void;

  constructor(context: NodeContext) {
    this.#context = context;
    this.#unsubscribe = context.engine.onChange((container) => this.#onContainer(container));
  }

  /** Takes in what the watch says: the pod as it is now, undefined when it is gone. */
  onPod(key: string, pod: Pod | undefined): void {
    const known = this.#byKey.get(key);
    if (known !== undefined && known !== pod?.metadata.uid) {
      this.#byKey.delete(key);
      this.#workers.get(known)?.gone();
    }
    if (!pod) return;
    const { uid } = pod.metadata;
    this.#byKey.set(key, uid);
    const existing = this.#workers.get(uid);
    if (existing) {
      existing.update(pod);
      return;
    }
    const onDone = () => void this.#workers.delete(uid);
    const worker = new PodWorker(pod, { context: this.#context, onDone });
    this.#workers.set(uid, worker);
    worker.update(pod);
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

  /** Removes sandboxes and directories of pods without a worker; to be called once the first list is here. */
  async removeOrphans(): Promise<void> {
    const { engine, paths, log } = this.#context;
    const isOrphan = (uid: string | undefined): uid is string =>
      uid !== undefined && !this.#workers.has(uid);
    const sandboxes = engine.listSandboxes().filter(({ labels }) => isOrphan(labels[POD_UID]));
    const directories = await readdir(join(paths.dataDir, 'pods')).catch(() => []);
    const uids = new Set([...sandboxes.map(({ labels }) => labels[POD_UID]), ...directories]);
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
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()));
  }

  #onContainer({ labels }: ContainerInfo): void {
    this.#workers.get(labels[POD_UID] ?? '')?.wake();
  }
}
