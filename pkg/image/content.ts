/**
 * Blobs by digest, `<root>/blobs/sha256/<hex>`. A blob enters through a temporary file whose bytes were counted and
 * hashed on the way, so what has a name here is whole and true.
 */

import { createHash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { join } from 'node:path';
import { ImageError } from './image-store.ts';

export interface Blob {
  readonly digest: string;
  readonly size: number;
}

/** A blob under a temporary name. */
export interface Draft extends Blob {
  readonly path: string;
}

export class ContentStore {
  readonly #blobs: string;
  readonly #ingest: string;
  #drafts = 0;

  private constructor(root: string) {
    this.#blobs = join(root, 'blobs', 'sha256');
    this.#ingest = join(root, 'ingest');
  }

  /** Opens the store under `root` and drops what an interrupted writer left. */
  static async open(root: string): Promise<ContentStore> {
    const store = new ContentStore(root);
    await mkdir(store.#blobs, { recursive: true });
    await rm(store.#ingest, { recursive: true, force: true });
    await mkdir(store.#ingest);
    return store;
  }

  path(digest: string): string {
    return join(this.#blobs, digest.slice('sha256:'.length));
  }

  /** True when the blob is here with this size. */
  async has(digest: string, size?: number): Promise<boolean> {
    const found = await stat(this.path(digest)).catch(() => undefined);
    return found !== undefined && (size === undefined || found.size === size);
  }

  /** A fresh path for a file that will become a blob. */
  draftPath(): string {
    this.#drafts += 1;
    return join(this.#ingest, String(this.#drafts));
  }

  /** Writes a stream to a draft. Throws ImageError Corrupt when it is longer than `maxBytes`. */
  async draft(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Draft> {
    const path = this.draftPath();
    const hash = createHash('sha256');
    let size = 0;
    const file = await open(path, 'wx', 0o600);
    try {
      for await (const chunk of source) {
        size += chunk.length;
        if (size > maxBytes) throw new ImageError('Corrupt', `more than ${maxBytes} bytes`);
        hash.update(chunk);
        await writeAll(file, chunk, size - chunk.length);
      }
      await file.datasync();
    } catch (error) {
      await this.discard({ path });
      throw error;
    } finally {
      await file.close();
    }
    return { path, size, digest: `sha256:${hash.digest('hex')}` };
  }

  /** Gives a draft its name. */
  async keep(draft: Draft): Promise<Blob> {
    await rename(draft.path, this.path(draft.digest));
    return { digest: draft.digest, size: draft.size };
  }

  /** Drops a draft that is not wanted; a kept one is not touched. */
  async discard(draft: { readonly path: string }): Promise<void> {
    await rm(draft.path, { force: true });
  }

  /** Stores bytes that are in memory. */
  async put(bytes: Buffer): Promise<Blob> {
    return this.keep(await this.draft(single(bytes), bytes.length));
  }

  /** Reads a small blob whole. Throws ImageError NotFound or Corrupt. */
  async read(digest: string, maxBytes: number): Promise<Buffer> {
    const found = await stat(this.path(digest)).catch(() => undefined);
    if (!found) throw new ImageError('NotFound', `blob ${digest} is not in the store`);
    if (found.size > maxBytes) {
      throw new ImageError('Corrupt', `blob ${digest} is larger than ${maxBytes} bytes`);
    }
    const bytes = await readFile(this.path(digest));
    if (digestOf(bytes) !== digest) throw new ImageError('Corrupt', `blob ${digest} is damaged`);
    return bytes;
  }

  async sizeOf(digest: string): Promise<number> {
    return (await stat(this.path(digest))).size;
  }

  stream(digest: string): ReadStream {
    return createReadStream(this.path(digest));
  }

  /** Removes every blob whose digest is not in `used`. */
  async sweep(used: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#blobs)) {
      if (!used.has(`sha256:${name}`)) await rm(join(this.#blobs, name), { force: true });
    }
  }

  async count(): Promise<number> {
    return (await readdir(this.#blobs)).length;
  }
}

/** `sha256:<hex>` of bytes. */
export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Writes all of a chunk: one write may take only a part of it, as when the disk is about to be full. */
export async function writeAll(
  file: FileHandle,
  chunk: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
  }
}

async function* single(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
