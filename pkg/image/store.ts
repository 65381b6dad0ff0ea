/** The image store: blobs, unpacked layers and the catalog of images under `<dataDir>/images`. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Logger } from '../log/log.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Catalog, type ImageRecord } from './catalog.ts';
import { ContentStore } from './content.ts';
import { exportArchive } from './export.ts';
import { type Image, ImageError, type ImageStore, type PullOptions } from './image-store.ts';
import { type FoundImage, readImages } from './import.ts';
import { LayerStore } from './layers.ts';
import { all } from './limiter.ts';
import { explainNoSpace } from './no-space.ts';
import { mergeRecords, namesOf, tagOf, toRecord } from './records.ts';
import { format, parseReference } from './reference.ts';
import { Puller } from './registry/pull.ts';
import { loadRegistries } from './registry/registries.ts';
import { openArchive, openLayout } from './source.ts';

export interface ImageStoreOptions {
  readonly dataDir: string;
  readonly runtime: Runtime;
  readonly log: Logger;
  /** Path of a registries.yaml as k3s has it; may be missing. */
  readonly registries?: string;
}

/** Opens the images under `<dataDir>/images`. Throws when the catalog is damaged; nothing is deleted then. */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const root = join(options.dataDir, 'images');
  await mkdir(root, { recursive: true, mode: 0o700 });
  const registries = await loadRegistries(options.registries);
  const catalog = await Catalog.open(root);
  const content = await ContentStore.open(root);
  const layers = await LayerStore.open(root, options.runtime);
  const store = new Store(
    { catalog, content, layers, log: options.log },
    (to) => new Puller({ registries, content, log: options.log, register: to }),
  );
  await store.sweep();
  return store;
}

interface Parts {
  readonly catalog: Catalog;
  readonly content: ContentStore;
  readonly layers: LayerStore;
  readonly log: Logger;
}

type Register = (found: FoundImage, signal: AbortSignal) => Promise<Image>;

class Store implements ImageStore {
  readonly #parts: Parts;
  readonly #puller: Puller;
  readonly #users = new Map<string, number>();
  /** Imports and pulls under way: what they brought is in no record yet, so nothing may be swept. */
  #writers = 0;
  #isSweepDue = false;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(parts: Parts, makePuller: (register: Register) => Puller) {
    this.#parts = parts;
    this.#puller = makePuller((found, signal) =>
      this.#register(found, { isPinned: false }, signal),
    );
  }

  get(reference: string): Image | undefined {
    const record = this.#parts.catalog.find(reference);
    return record === undefined ? undefined : this.#view(record);
  }

  list(): readonly Image[] {
    const records = this.#parts.catalog.all();
    return records.filter(({ isDoomed }) => !isDoomed).map((record) => this.#view(record));
  }

  pull(reference: string, options: PullOptions = {}, signal?: AbortSignal): Promise<Image> {
    return this.#writing(() => this.#puller.pull(reference, options, signal));
  }

  import(
    from: Readable | { readonly layout: string },
    options: { readonly tag?: string } = {},
    signal?: AbortSignal,
  ): Promise<readonly Image[]> {
    return this.#writing(() => this.#import(from, options, signal));
  }

  export(references: readonly string[], signal?: AbortSignal): Readable {
    const records = references.map((reference) => ({
      record: this.#wanted(reference),
      tag: tagOf(reference),
    }));
    const releases = records.map(({ record }) => this.retain(record.id));
    return exportArchive({ images: records, content: this.#parts.content }, signal).once(
      'close',
      () => {
        for (const release of releases) release();
      },
    );
  }

  async tag(reference: string, tag: string): Promise<void> {
    const parsed = parseReference(tag);
    if (parsed.digest !== undefined) {
      throw new ImageError('InvalidReference', `"${tag}" has a digest; a tag is a name and a tag`);
    }
    await this.#serially(async () => {
      const record = this.#wanted(reference);
      const tags = [...new Set([...record.tags, format(parsed)])];
      await this.#parts.catalog.change({ put: [{ ...record, tags }] });
    });
  }

  async remove(reference: string): Promise<void> {
    await this.#serially(async () => {
      const record = this.#wanted(reference);
      const name = tagOf(reference);
      const isById = name === undefined || !namesOf(record).includes(name);
      const tags = isById ? [] : record.tags.filter((tag) => tag !== name);
      const digests = isById || tags.length === 0 ? [] : record.digests;
      const left = { ...record, tags, digests: digests.filter((digest) => digest !== name) };
      if (left.tags.length + left.digests.length > 0) {
        await this.#parts.catalog.change({ put: [left] });
      } else if (this.#users.has(record.id)) {
        await this.#parts.catalog.change({ put: [{ ...left, isDoomed: true }] });
      } else {
        await this.#parts.catalog.change({ remove: [record.id] });
      }
    });
    await this.sweep();
  }

  retain(id: string): () => void {
    this.#users.set(id, (this.#users.get(id) ?? 0) + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.#users.get(id) ?? 1) - 1;
      if (left > 0) this.#users.set(id, left);
      else this.#users.delete(id);
      if (left === 0 && this.#parts.catalog.byId(id)?.isDoomed) {
        this.collect().catch((error: unknown) => {
          this.#parts.log.warn('Could not remove an image', { image: id, error });
        });
      }
    };
  }

  onChange(listener: () => void): () => void {
    return this.#parts.catalog.onChange(listener);
  }

  isInUse(id: string): boolean {
    return this.#users.has(id);
  }

  async collect(): Promise<void> {
    await this.#serially(async () => {
      const records = this.#parts.catalog.all();
      const gone = records.filter(({ id, isDoomed }) => isDoomed && !this.#users.has(id));
      if (gone.length > 0) await this.#parts.catalog.change({ remove: gone.map(({ id }) => id) });
    });
    await this.sweep();
  }

  /** Removes blobs and layers that no image names, now or when the last import or pull under way has ended. */
  async sweep(): Promise<void> {
    this.#isSweepDue = true;
    if (this.#writers > 0) return;
    await this.#serially(async () => {
      if (!this.#isSweepDue || this.#writers > 0) return;
      this.#isSweepDue = false;
      const used = this.#parts.catalog.used();
      await this.#parts.content.sweep(used.blobs);
      await this.#parts.layers.sweep(used.layers);
    });
  }

  async close(): Promise<void> {
    await this.#puller.close();
    // What waits may queue more: a removal is followed by a sweep.
    for (let last: unknown; last !== this.#queue; ) {
      last = this.#queue;
      await last;
    }
  }

  async #import(
    from: Readable | { readonly layout: string },
    options: { readonly tag?: string },
    signal: AbortSignal | undefined,
  ): Promise<readonly Image[]> {
    const { content } = this.#parts;
    const source =
      'layout' in from
        ? await openLayout(from.layout, content)
        : await openArchive(from, content, signal);
    try {
      const found = await readImages(source, content);
      if (options.tag !== undefined && found.length !== 1) {
        throw new ImageError(
          'InvalidReference',
          `one tag cannot name the ${found.length} images of the archive`,
        );
      }
      const tags = options.tag === undefined ? [] : [format(parseReference(options.tag))];
      const registered: Image[] = [];
      for (const image of found) {
        const tagged = { ...image, tags: [...new Set([...image.tags, ...tags])] };
        registered.push(await this.#register(tagged, { isPinned: true }, signal));
      }
      return registered;
    } finally {
      await source.close();
    }
  }

  /** Unpacks what is missing, then makes the image known. */
  async #register(
    found: FoundImage,
    { isPinned }: { readonly isPinned: boolean },
    signal?: AbortSignal,
  ): Promise<Image> {
    const { manifest, config } = found;
    const id = manifest.config.digest;
    if (manifest.layers.length !== config.diffIds.length) {
      throw new ImageError(
        'Corrupt',
        `image ${id} is damaged: ${manifest.layers.length} layers but ${config.diffIds.length} diff_ids`,
      );
    }
    await all(
      manifest.layers.map((layer, at) => {
        const diffId = config.diffIds[at] ?? '';
        const open = () => this.#parts.content.stream(layer.digest);
        return this.#parts.layers.ensure({ diffId, open }, signal);
      }),
    );
    const record = await this.#serially(async () => {
      const old = this.#parts.catalog.byId(id);
      const fresh = await toRecord(found, { isPinned, content: this.#parts.content });
      const merged = old === undefined ? fresh : mergeRecords(old, fresh);
      await this.#parts.catalog.change({ put: [merged] });
      return merged;
    });
    this.#parts.log.info('Added image', { image: id, tags: record.tags });
    return this.#view(record);
  }

  #view(record: ImageRecord): Image {
    const { id, tags, digests, sizeBytes, createdAt, config, isPinned } = record;
    const layers = this.#parts.layers.directories(record.diffIds);
    return { id, tags, digests, sizeBytes, createdAt, config, isPinned, layers };
  }

  #wanted(reference: string): ImageRecord {
    const record = this.#parts.catalog.find(reference);
    if (record === undefined) throw new ImageError('NotFound', `no image "${reference}" here`);
    return record;
  }

  async #writing<T>(work: () => Promise<T>): Promise<T> {
    this.#writers += 1;
    try {
      return await work();
    } catch (error) {
      throw explainNoSpace(error, 'the image');
    } finally {
      this.#writers -= 1;
      // What a failed pull brought stays until the next removal or start: a new attempt goes on from there.
      if (this.#isSweepDue) await this.sweep();
    }
  }

  /** Changes of the catalog one after another, each seeing what the one before made. */
  #serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work, work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
