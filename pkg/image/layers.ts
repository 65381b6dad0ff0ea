/**
 * Unpacked layers, `<root>/layers/<hex of the diffID>`: each is unpacked once into a temporary directory, checked
 * against its diffID, and then named. Images share them.
 */

import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import type { Runtime } from '../runtime/runtime.ts';
import { decompress } from './decompress.ts';
import { ImageError } from './image-store.ts';
import { Limiter } from './limiter.ts';
import { MAX_LAYER_BYTES, PARALLEL_UNPACKS } from './limits.ts';
import { explainNoSpace } from './no-space.ts';

export interface LayerSource {
  readonly diffId: string;
  readonly open: () => Readable;
}

/** Lower directory of an image without layers: overlayfs wants at least one. */
const EMPTY = 'empty';

export class LayerStore {
  readonly #runtime: Runtime;
  readonly #layers: string;
  readonly #temporary: string;
  readonly #limiter = new Limiter(PARALLEL_UNPACKS);
  readonly #underway = new Map<string, Promise<void>>();
  #counter = 0;

  private constructor(root: string, runtime: Runtime) {
    this.#runtime = runtime;
    this.#layers = join(root, 'layers');
    this.#temporary = join(root, 'unpack');
  }

  /** Opens the store under `root` and drops what an interrupted unpack or removal left. */
  static async open(root: string, runtime: Runtime): Promise<LayerStore> {
    const store = new LayerStore(root, runtime);
    await mkdir(join(store.#layers, EMPTY), { recursive: true, mode: 0o755 });
    if (await exists(store.#temporary)) await runtime.removeTree(store.#temporary);
    await mkdir(store.#temporary, { mode: 0o700 });
    return store;
  }

  /** Lower directories for layers given from the base up, topmost first. A repeated layer counts once, at its top. */
  directories(diffIds: readonly string[]): readonly string[] {
    const unique = [...new Set([...diffIds].reverse())];
    return unique.length === 0
      ? [join(this.#layers, EMPTY)]
      : unique.map((diffId) => this.#path(diffId));
  }

  has(diffId: string): Promise<boolean> {
    return exists(this.#path(diffId));
  }

  /** Unpacks a layer unless it is there. Throws ImageError Corrupt when it is not what its diffID says. */
  async ensure(layer: LayerSource, signal?: AbortSignal): Promise<void> {
    const running = this.#underway.get(layer.diffId);
    if (running !== undefined) return running;
    if (await this.has(layer.diffId)) return undefined;
    const again = this.#underway.get(layer.diffId);
    if (again !== undefined) return again;
    const work = this.#limiter.run(() => this.#unpack(layer, signal));
    this.#underway.set(layer.diffId, work);
    try {
      return await work;
    } finally {
      this.#underway.delete(layer.diffId);
    }
  }

  /** Removes every layer whose diffID is not in `used`. */
  async sweep(used: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#layers)) {
      if (name === EMPTY || used.has(`sha256:${name}`)) continue;
      const doomed = this.#temporaryPath();
      await rename(join(this.#layers, name), doomed);
      await this.#runtime.removeTree(doomed);
    }
  }

  async #unpack(layer: LayerSource, signal?: AbortSignal): Promise<void> {
    const directory = this.#temporaryPath();
    await mkdir(directory, { mode: 0o755 });
    try {
      const digest = await this.#stream(layer, directory, signal);
      if (digest !== layer.diffId) {
        throw new ImageError(
          'Corrupt',
          `layer ${layer.diffId} is damaged: its content has ${digest}`,
        );
      }
      await rename(directory, this.#path(layer.diffId));
    } catch (error) {
      await this.#runtime.removeTree(directory);
      throw wrap(error, layer.diffId);
    }
  }

  /** Unpacks and returns the digest of all plain bytes, those behind the archive's end included. */
  async #stream(layer: LayerSource, directory: string, signal?: AbortSignal): Promise<string> {
    const hash = createHash('sha256');
    const input = layer.open();
    const plain = Readable.from(hashed(decompress(input, `layer ${layer.diffId}`), hash), {
      objectMode: false,
    });
    const source = new PassThrough();
    const failed = new Promise<never>((_, reject) => {
      plain.on('error', (error) => {
        source.destroy(error);
        reject(error);
      });
    });
    const ended = new Promise<void>((resolve) => plain.once('end', resolve));
    plain.pipe(source);
    try {
      await Promise.race([this.#runtime.unpack({ directory, source }, signal), failed]);
      source.resume();
      await Promise.race([ended, failed]);
    } finally {
      failed.catch(() => undefined);
      plain.destroy();
      source.destroy();
      input.destroy();
    }
    return `sha256:${hash.digest('hex')}`;
  }

  #path(diffId: string): string {
    return join(this.#layers, diffId.slice('sha256:'.length));
  }

  #temporaryPath(): string {
    this.#counter += 1;
    return join(this.#temporary, String(this.#counter));
  }
}

async function* hashed(
  source: AsyncIterable<Buffer>,
  hash: { update(chunk: Buffer): unknown },
): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > MAX_LAYER_BYTES) {
      throw new ImageError('Corrupt', `more than ${MAX_LAYER_BYTES} bytes once decompressed`);
    }
    hash.update(chunk);
    yield chunk;
  }
}

function wrap(error: unknown, diffId: string): unknown {
  const known = explainNoSpace(error, `layer ${diffId}`);
  if (known instanceof ImageError) return known;
  return new ImageError('Corrupt', `cannot unpack layer ${diffId}`, error);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
