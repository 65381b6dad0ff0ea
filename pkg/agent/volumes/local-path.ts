/**
 * The node's side of mini's own provisioner: makes a volume when a pod mounts it, grows it when its capacity was
 * raised, removes it when it is released. It follows the volumes of this node, so what happened to them while the node
 * was away is done when it is back. See pkg/controllers/local-path.ts.
 */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isReason } from '../../api/errors.ts';
import type { PersistentVolume } from '../../api/generated/types.ts';
import { bytes } from '../../api/quantity.ts';
import {
  LOCAL_PATH,
  PROVISIONED_BY,
  VOLUME_BACKING,
  VOLUME_BYTES,
  VOLUME_NODE,
} from '../../api/volume-binding.ts';
import type { Client } from '../../client/client.ts';
import type { VolumeHost } from '../../engine/engine.ts';
import { KeyedQueue } from '../../engine/keyed-queue.ts';
import type { Logger } from '../../log/log.ts';
import { Backoff } from '../../wait/backoff.ts';
import type { Clock } from '../../wait/clock.ts';
import { ObjectWatch } from '../object-watch.ts';
import {
  type Backing,
  backingOf,
  checkBacking,
  growBacking,
  type Made,
  mountBacking,
  removeBacking,
  unmountBacking,
} from './backing.ts';
import type { VolumeUsers } from './volume-users.ts';

const RETRY = { firstMs: 1000, maxMs: 300_000, jitter: 0.2 };

export interface LocalPathOptions {
  readonly host: VolumeHost;
  readonly client: Client;
  readonly nodeName: string;
  /** Directory of this node's volumes. */
  readonly directory: string;
  readonly users: VolumeUsers;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Below the data directory; k3s has them under this name, too. */
export function storageDirectory(dataDir: string): string {
  return join(dataDir, 'storage');
}

export class LocalPath {
  readonly #options: LocalPathOptions;
  readonly #queue = new KeyedQueue();
  readonly #watch: ObjectWatch<PersistentVolume>;
  readonly #retries = new Map<string, { readonly backoff: Backoff; cancel: () => void }>();
  #isClosed = false;

  constructor(options: LocalPathOptions) {
    this.#options = options;
    const { client, clock, log, nodeName } = options;
    this.#watch = new ObjectWatch<PersistentVolume>({
      client,
      clock,
      log,
      resource: 'persistentvolumes',
      query: { labelSelector: `${VOLUME_NODE}=${nodeName}` },
      onChange: (name, volume) => {
        if (volume) this.#settle(name);
        else this.#forget(name);
      },
    });
  }

  /** Whether this node has made the volume. */
  isOwn({ metadata, spec }: PersistentVolume): boolean {
    return metadata.annotations?.[PROVISIONED_BY] === LOCAL_PATH && spec?.local !== undefined;
  }

  /** Makes or mounts the volume; resolves to the path of its directory or device. The pod is one of its users by then. */
  mount(volume: PersistentVolume): Promise<string> {
    const { name } = volume.metadata;
    return this.#queue.run(name, async () => {
      const backing = this.#backing(volume);
      const wanted = sizeOf(volume);
      const { host } = this.#options;
      const made = madeOf(volume);
      if (made) await checkBacking(backing, made);
      // What has grown meanwhile and is not in use grows now.
      if (notedBytes(volume) < wanted) await growBacking(host, backing, wanted);
      const { path, kind } = await mountBacking(host, backing, wanted);
      await this.#note(volume, { kind, bytes: wanted });
      return path;
    });
  }

  /** To be called when a pod does not use the volume any more: the last one unmounts it. */
  release(name: string): Promise<void> {
    return this.#queue.run(name, async () => {
      const { host, users, directory } = this.#options;
      if ((await users.of(name)).length > 0) return;
      // By its directory, as the list of volumes may not be here yet.
      const own = (await readdir(directory)).find((entry) => entry.startsWith(`${name}_`));
      if (own !== undefined) await unmountBacking(host, join(directory, own));
      this.#settle(name);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const name of [...this.#retries.keys()]) this.#forget(name);
    await this.#watch.close();
    await this.#queue.idle();
  }

  #backing({ metadata, spec }: PersistentVolume): Backing {
    const path = spec?.local?.path;
    if (path === undefined) throw new Error(`volume ${metadata.name} has no path`);
    return backingOf(this.#options.directory, path, spec?.volumeMode === 'Block');
  }

  /** Brings what the node has in line with the volume, again after a failure. */
  #settle(name: string): void {
    void this.#queue.run(name, async () => {
      const volume = this.#watch.get(name);
      if (!volume || this.#isClosed) return;
      try {
        await this.#settleNow(volume);
        this.#forget(name);
      } catch (error) {
        if (!this.#isClosed) this.#settleLater(name, error);
      }
    });
  }

  #settleLater(name: string, error: unknown): void {
    const { clock, log } = this.#options;
    const known = this.#retries.get(name);
    known?.cancel();
    const backoff = known?.backoff ?? new Backoff(RETRY);
    const cancel = clock.after(backoff.next(), () => this.#settle(name));
    this.#retries.set(name, { backoff, cancel });
    log.warn('Could not bring a volume up to date', { volume: name, error });
  }

  #forget(name: string): void {
    this.#retries.get(name)?.cancel();
    this.#retries.delete(name);
  }

  async #settleNow(volume: PersistentVolume): Promise<void> {
    const { users, host } = this.#options;
    const { phase } = volume.status ?? {};
    const { name, deletionTimestamp } = volume.metadata;
    const isFree = phase !== 'Bound' && (await users.of(name)).length === 0;
    if (isFree && (phase === 'Released' || deletionTimestamp)) return this.#remove(volume);
    if (deletionTimestamp || notedBytes(volume) >= sizeOf(volume)) return;
    const backing = this.#backing(volume);
    const made = madeOf(volume);
    if (made) await checkBacking(backing, made);
    const bytes = sizeOf(volume);
    if (await growBacking(host, backing, bytes)) await this.#note(volume, { bytes });
  }

  /** With policy Delete files and object go; with Retain a user deletes the object and keeps the files. */
  async #remove(volume: PersistentVolume): Promise<void> {
    const { client, host, log } = this.#options;
    const { name, uid, deletionTimestamp, finalizers = [], resourceVersion } = volume.metadata;
    if (volume.spec?.persistentVolumeReclaimPolicy === 'Delete') {
      await removeBacking(host, this.#backing(volume));
      log.info('Removed a volume', { volume: name });
      if (!deletionTimestamp) {
        await client.remove('persistentvolumes', { name }, { preconditions: { uid } });
        return;
      }
    }
    if (!deletionTimestamp || !finalizers.includes(LOCAL_PATH)) return;
    const rest = finalizers.filter((each) => each !== LOCAL_PATH);
    const metadata = { finalizers: rest.length > 0 ? rest : null, resourceVersion };
    await this.#patch(name, { metadata });
  }

  /** Before a container writes to it, so that what is lost later is known to have been there. */
  async #note(volume: PersistentVolume, now: Pick<Made, 'bytes'> & Partial<Made>): Promise<void> {
    const kind = now.kind ?? madeOf(volume)?.kind;
    const known = notedBytes(volume);
    if (kind === madeOf(volume)?.kind && known >= now.bytes) return;
    const annotations = {
      [VOLUME_BYTES]: String(Math.max(known, now.bytes)),
      ...(kind ? { [VOLUME_BACKING]: kind } : {}),
    };
    await this.#patch(volume.metadata.name, { metadata: { annotations } });
  }

  async #patch(name: string, patch: object): Promise<void> {
    const { client } = this.#options;
    try {
      await client.patch('persistentvolumes', { name }, patch, { type: 'merge' });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}

function sizeOf({ spec }: PersistentVolume): number {
  return bytes(spec?.capacity?.['storage']);
}

/** Undefined when no pod has ever mounted it. */
function madeOf(volume: PersistentVolume): Made | undefined {
  const kind = volume.metadata.annotations?.[VOLUME_BACKING];
  if (kind !== 'directory' && kind !== 'image' && kind !== 'disk') return undefined;
  return { kind, bytes: notedBytes(volume) };
}

function notedBytes({ metadata }: PersistentVolume): number {
  return Number(metadata.annotations?.[VOLUME_BYTES] ?? 0);
}
