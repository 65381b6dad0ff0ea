/** Records of the catalog: made from what was found, merged, named. */

import type { ImageRecord } from './catalog.ts';
import type { ContentStore } from './content.ts';
import { ImageError } from './image-store.ts';
import type { FoundImage } from './import.ts';
import { format, parseReference } from './reference.ts';

/** The record of an image whose blobs are in the content store. */
export async function toRecord(
  found: FoundImage,
  { isPinned, content }: { readonly isPinned: boolean; readonly content: ContentStore },
): Promise<ImageRecord> {
  const { manifest, config } = found;
  const sizes = await Promise.all(manifest.layers.map((layer) => content.sizeOf(layer.digest)));
  return {
    id: manifest.config.digest,
    manifest: found.manifestDigest,
    manifestMediaType: manifest.mediaType,
    manifestSize: found.manifestSize,
    blobs: manifest.layers.map(({ digest }) => digest),
    diffIds: config.diffIds,
    tags: found.tags,
    digests: found.digests,
    sizeBytes: sizes.reduce((sum, size) => sum + size, 0),
    createdAt: config.createdAt,
    config: config.config,
    isPinned,
    isDoomed: false,
  };
}

/** The same image again: its newer manifest counts, names add up. */
export function mergeRecords(old: ImageRecord, fresh: ImageRecord): ImageRecord {
  return {
    ...fresh,
    tags: [...new Set([...old.tags, ...fresh.tags])],
    digests: [...new Set([...old.digests, ...fresh.digests])],
    isPinned: old.isPinned || fresh.isPinned,
  };
}

/** Tags and digests. */
export function namesOf(record: ImageRecord): readonly string[] {
  return [...record.tags, ...record.digests];
}

/** The reference in full, or undefined for an id. */
export function tagOf(reference: string): string | undefined {
  try {
    return format(parseReference(reference));
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}
