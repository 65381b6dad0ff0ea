/**
 * Volumes that are images: their layers, mounted below the pod's run directory, read-only and without programs. The
 * image is kept on disk while one is mounted; which one that is stands in a file, for an agent that is started again.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VolumeHost } from '../../engine/engine.ts';
import type { Image, ImageStore } from '../../image/image-store.ts';
import { type Paths, podRunDir } from '../paths.ts';

interface ImageVolumesOptions {
  readonly paths: Paths;
  readonly images: Pick<ImageStore, 'retain'>;
  readonly host: Pick<VolumeHost, 'mountLayers'>;
}

export class ImageVolumes {
  readonly #options: ImageVolumesOptions;
  /** By pod and volume. */
  readonly #held = new Map<string, Map<string, () => void>>();

  constructor(options: ImageVolumesOptions) {
    this.#options = options;
  }

  /** Mounts the image unless one is mounted already, which stays; resolves to the path. */
  async mount(uid: string, volume: string, image: Image): Promise<string> {
    const known = await this.adopt(uid, volume);
    if (known === undefined) {
      await mkdir(this.#directory(uid), { recursive: true });
      await writeFile(this.#record(uid, volume), image.id);
      this.#hold(uid, volume, image.id);
    }
    const path = this.path(uid, volume);
    await this.#options.host.mountLayers(path, image.layers);
    return path;
  }

  /** Keeps the image of a volume that an earlier agent mounted; resolves to its id, undefined when there is none. */
  async adopt(uid: string, volume: string): Promise<string | undefined> {
    const id = await readFile(this.#record(uid, volume), 'utf8').catch(() => undefined);
    if (id) this.#hold(uid, volume, id);
    return id || undefined;
  }

  path(uid: string, volume: string): string {
    return join(podRunDir(this.#options.paths, uid), 'volumes', volume);
  }

  /** Lets go of the images: nothing of the pod is mounted any more. */
  release(uid: string): void {
    for (const release of this.#held.get(uid)?.values() ?? []) release();
    this.#held.delete(uid);
  }

  #hold(uid: string, volume: string, id: string): void {
    const held = this.#held.get(uid) ?? new Map<string, () => void>();
    if (!held.has(volume)) held.set(volume, this.#options.images.retain(id));
    this.#held.set(uid, held);
  }

  #directory(uid: string): string {
    return join(podRunDir(this.#options.paths, uid), 'images');
  }

  #record(uid: string, volume: string): string {
    return join(this.#directory(uid), volume);
  }
}
