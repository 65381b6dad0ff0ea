/**
 * Which pods of this node use which volume, as empty files `<directory>/<volume>/<pod uid>`: known again after the
 * agent, or the host, was started anew.
 */

import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failedWith } from './errno.ts';

const NO_DIRECTORY = ['ENOENT', 'ENOTDIR'];

export class VolumeUsers {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async of(volume: string): Promise<readonly string[]> {
    return namesIn(join(this.#directory, volume));
  }

  async add(volume: string, uid: string): Promise<void> {
    await mkdir(join(this.#directory, volume), { recursive: true, mode: 0o700 });
    await writeFile(join(this.#directory, volume, uid), '');
  }

  async remove(volume: string, uid: string): Promise<void> {
    await rm(join(this.#directory, volume, uid), { force: true });
    await rmdir(join(this.#directory, volume)).catch(() => undefined); // Others use it, or nobody did.
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
    const volumes = await namesIn(this.#directory);
    return Promise.all(volumes.map(async (volume) => [volume, await this.of(volume)] as const));
  }
}

/** None when there is no such directory. Another failure must not look as if nobody used a volume. */
async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (!NO_DIRECTORY.some((code) => failedWith(error, code))) throw error;
    return [];
  }
}
