/** What images there are: one JSON file, `<root>/index.json`, in memory while open. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readStateFile, StateFile } from '../runtime/atomic-file.ts';
import { type ImageConfig, ImageError } from './image-store.ts';
import { format, isDigest, nameOf, parseReference } from './reference.ts';

/** One image as the file has it. */
export interface ImageRecord {
  /** Digest of the config blob. */
  readonly id: string;
  readonly manifest: string;
  readonly manifestMediaType: string;
  readonly manifestSize: number;
  /** Digests of the layer blobs as the manifest lists them, base first. */
  readonly blobs: readonly string[];
  readonly diffIds: readonly string[];
  readonly tags: readonly string[];
  /** `repository@sha256:…`. */
  readonly digests: readonly string[];
  readonly sizeBytes: number;
  readonly createdAt: string;
  readonly config: ImageConfig;
  readonly isPinned: boolean;
  /** Removed while a container used it: goes with the last one. */
  readonly isDoomed: boolean;
}

const VERSION = 1;
const SHORTEST_ID_PREFIX = 12;

export class Catalog {
  readonly #records: Map<string, ImageRecord>;
  readonly #file: StateFile;
  readonly #listeners = new Set<() => void>();

  private constructor(path: string, records: readonly ImageRecord[]) {
    this.#file = new StateFile(path, { isDurable: true });
    this.#records = new Map(records.map((record) => [record.id, record]));
  }

  /** Reads the file. A damaged file, or blobs without a file, is an error and nothing is deleted. */
  static async open(root: string): Promise<Catalog> {
    const path = join(root, 'index.json');
    const mend = `restore the file, or remove ${root} to start with no images`;
    try {
      const value = await readStateFile(path);
      if (value !== undefined) return new Catalog(path, decodeFile(value, path));
    } catch (error) {
      throw new Error(`${path} cannot be used: ${mend}`, { cause: error });
    }
    const blobs = await readdir(join(root, 'blobs', 'sha256')).catch(() => []);
    if (blobs.length > 0) {
      throw new Error(`${path} is missing while ${root}/blobs holds data: ${mend}`);
    }
    const catalog = new Catalog(path, []);
    await catalog.#save();
    return catalog;
  }

  all(): readonly ImageRecord[] {
    return [...this.#records.values()];
  }

  byId(id: string): ImageRecord | undefined {
    return this.#records.get(id);
  }

  /** By reference, `name@digest`, id, or a unique prefix of an id. Doomed images are not found. */
  find(reference: string): ImageRecord | undefined {
    const visible = this.all().filter((record) => !record.isDoomed);
    return findById(visible, reference) ?? findByName(visible, reference);
  }

  /**
   * Adds or replaces records and removes others, in one write. A tag moves away from other records. When the write
   * fails nothing has changed.
   */
  async change(change: {
    readonly put?: readonly ImageRecord[];
    readonly remove?: readonly string[];
  }): Promise<void> {
    const before = [...this.#records];
    for (const record of change.put ?? []) {
      const taken = new Set(record.tags);
      for (const other of this.all()) {
        if (other.id !== record.id && other.tags.some((tag) => taken.has(tag))) {
          this.#records.set(other.id, {
            ...other,
            tags: other.tags.filter((tag) => !taken.has(tag)),
          });
        }
      }
      this.#records.set(record.id, record);
    }
    for (const id of change.remove ?? []) this.#records.delete(id);
    try {
      await this.#save();
    } catch (error) {
      this.#records.clear();
      for (const [id, record] of before) this.#records.set(id, record);
      throw error;
    }
    for (const listener of this.#listeners) listener();
  }

  /** Calls back after each change; returns what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Digests of all blobs and of all layers that records name. */
  used(): { readonly blobs: ReadonlySet<string>; readonly layers: ReadonlySet<string> } {
    const records = this.all();
    return {
      blobs: new Set(records.flatMap((record) => [record.id, record.manifest, ...record.blobs])),
      layers: new Set(records.flatMap((record) => record.diffIds)),
    };
  }

  async #save(): Promise<void> {
    await this.#file.save(() => ({ version: VERSION, images: this.all() }));
  }
}

function findById(records: readonly ImageRecord[], text: string): ImageRecord | undefined {
  const hex = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  if (!/^[a-f0-9]+$/.test(hex) || hex.length < SHORTEST_ID_PREFIX) return undefined;
  const found = records.filter((record) => record.id.startsWith(`sha256:${hex}`));
  return found.length === 1 ? found[0] : undefined;
}

function findByName(records: readonly ImageRecord[], text: string): ImageRecord | undefined {
  let reference: ReturnType<typeof parseReference>;
  try {
    reference = parseReference(text);
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
  const wanted = format(reference);
  if (reference.digest === undefined) return records.find(({ tags }) => tags.includes(wanted));
  return (
    records.find(({ digests }) => digests.includes(wanted)) ??
    records.find(
      ({ manifest, tags }) =>
        manifest === reference.digest &&
        tags.some((tag) => nameOf(parseReference(tag)) === nameOf(reference)),
    )
  );
}

function decodeFile(value: unknown, path: string): readonly ImageRecord[] {
  const file = value as { readonly version?: unknown; readonly images?: unknown } | null;
  if (file?.version !== VERSION || !Array.isArray(file.images)) {
    throw new Error(`${path} is damaged, or of another version than ${VERSION}`);
  }
  return file.images.map((entry: unknown) => decodeRecord(entry, path));
}

function decodeRecord(entry: unknown, path: string): ImageRecord {
  const record = entry as Partial<ImageRecord> | null;
  const isWhole =
    typeof record?.id === 'string' &&
    isDigest(record.id) &&
    typeof record.manifest === 'string' &&
    isDigest(record.manifest) &&
    [record.blobs, record.diffIds, record.tags, record.digests].every(Array.isArray) &&
    typeof record.config === 'object';
  if (!isWhole) throw new Error(`${path} is damaged: an image without id, manifest or layers`);
  return entry as ImageRecord;
}
