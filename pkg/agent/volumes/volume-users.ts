/**
 * Which pods of this node use which volume, as empty files `<directory>/<volume>/<pod uid>`: known again after the
 * agent, or the host, was started anew.
 */

import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export class VolumeUsers {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async of(volume: string): Promise<readonly string[]> {
    return readdir(join(this.#directory, volume)).catch(() => []);
  }

  async add(volume: string, uid: string): Promise<void> {
    await mkdir(join(this.#directory, volume), { recursive: true, mode: 0o700 });
    await writeFile(join(this.#directory, volume, uid), '');
  }

  async remove(volume: string, uid: string): Promise<void> {
    await rm(join(this.#directory, volume, uid), { force: true });
    await rmdir(join(this.#directory, volume)).catch(() => undefined); // Others use it.
  }

  /** Names of the volumes that a pod uses. */
  async volumesOf(uid: string): Promise<readonly string[]> {
    const all = await this.#all();
    return all.filter(([, users]) => users.includes(uid)).map(([volume]) => volume);
  }

  /** Uids of all pods that use any. */
  async pods(): Promise<readonly string[]> {
    return (await this.#all()).flatMap(([, users]) => users);
  }

  async #all(): Promise<readonly (readonly [volume: string, users: readonly string[]])[]> {
    const volumes = await readdir(this.#directory).catch(() => []);
    return Promise.all(volumes.map(async (volume) => [volume, await this.of(volume)] as const));
  }
}
