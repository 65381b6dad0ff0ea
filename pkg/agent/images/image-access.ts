/**
 * Which pods may use an image that is on the node already. One that was pulled with a login of a pull secret is for pods
 * that show the same login, until a pull without any has shown that it is for all; one that the node never pulled
 * (imported, or from before there were records) is for all. Kubernetes' KubeletEnsureSecretPulledImages with the
 * policy NeverVerifyPreloadedImages.
 */

import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Credentials, ImageStore } from '../../image/image-store.ts';
import type { Logger } from '../../log/log.ts';
import { failedWith } from '../volumes/errno.ts';

/** Logins that are remembered of one image; the oldest make room, and their pods pull again. */
const LOGINS_MAX = 100;

/** By image id: hashes of the logins, or that it is for all. */
type Grants = Record<string, 'all' | readonly string[]>;

export interface ImageAccessOptions {
  readonly dataDir: string;
  readonly images: Pick<ImageStore, 'list'>;
  readonly log: Logger;
}

export class ImageAccess {
  readonly #images: Pick<ImageStore, 'list'>;
  readonly #path: string;
  #saving: Promise<void> = Promise.resolve();
  #grants: Grants;

  private constructor({ images }: ImageAccessOptions, path: string, grants: Grants) {
    this.#images = images;
    this.#path = path;
    this.#grants = grants;
  }

  /** A damaged file is set aside: its images count as never pulled then. */
  static async open(options: ImageAccessOptions): Promise<ImageAccess> {
    const path = join(options.dataDir, 'agent', 'image-access.json');
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    try {
      return new ImageAccess(options, path, await read(path));
    } catch (error) {
      const aside = `${path}.damaged`;
      options.log.warn('Set damaged records of image pulls aside', { path: aside, error });
      await rm(aside, { recursive: true, force: true });
      await rename(path, aside);
      return new ImageAccess(options, path, {});
    }
  }

  /** Whether a pod with these logins may use the image without a pull. */
  allows(id: string, logins: readonly Credentials[]): boolean {
    const grant = this.#grants[id];
    if (grant === undefined || grant === 'all') return true;
    return logins.some((login) => grant.includes(hashOf(login)));
  }

  /** Notes that a pull with this login went well; undefined = with none of a pod's. */
  async grant(id: string, login: Credentials | undefined): Promise<void> {
    const before = this.#grants[id];
    if (before === 'all') return;
    const hash = login && hashOf(login);
    if (hash !== undefined && before?.includes(hash)) return;
    const there = new Set([id, ...this.#images.list().map((image) => image.id)]);
    const kept = Object.entries(this.#grants).filter(([known]) => there.has(known));
    const now = hash === undefined ? 'all' : [...(before ?? []), hash].slice(-LOGINS_MAX);
    this.#grants = { ...Object.fromEntries(kept), [id]: now };
    await this.#save();
  }

  #save(): Promise<void> {
    const saved = this.#saving.then(() => write(this.#path, JSON.stringify(this.#grants)));
    this.#saving = saved.catch(() => undefined);
    return saved;
  }
}

function hashOf({ username, password, identityToken, registryToken }: Credentials): string {
  const text = JSON.stringify([username, password, identityToken, registryToken]);
  return createHash('sha256').update(text).digest('hex');
}

async function read(path: string): Promise<Grants> {
  try {
    return decode(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (failedWith(error, 'ENOENT')) return {};
    throw error;
  }
}

/** After a crash it is the old file or the new one. */
async function write(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

function decode(value: unknown): Grants {
  const isGrant = (one: unknown) =>
    one === 'all' || (Array.isArray(one) && one.every((hash) => typeof hash === 'string'));
  if (typeof value === 'object' && value !== null && Object.values(value).every(isGrant))
    return value as Grants;
  throw new Error('it holds no records of pulls');
}
