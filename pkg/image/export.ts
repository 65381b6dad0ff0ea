/** Writes images as one tar archive that is both an OCI layout and what `docker load` reads. */

import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import type { ImageRecord } from './catalog.ts';
import type { ContentStore } from './content.ts';

export interface Export {
  readonly images: readonly { readonly record: ImageRecord; readonly tag: string | undefined }[];
  readonly content: ContentStore;
}

/** The archive as a stream; a failure destroys it with the error. */
export function exportArchive(what: Export, signal?: AbortSignal): Readable {
  const tar = pack();
  const onAbort = () => tar.destroy(new Error('export was cancelled'));
  signal?.addEventListener('abort', onAbort, { once: true });
  tar.once('close', () => signal?.removeEventListener('abort', onAbort));
  write(tar, what).catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  return tar as unknown as Readable;
}

async function write(tar: Pack, { images, content }: Export): Promise<void> {
  const records = new Map(images.map(({ record }) => [record.id, record]));
  const tags = new Map([...records.values()].map((record) => [record.id, tagsOf(record, images)]));
  const digests = new Set(
    [...records.values()].flatMap((record) => [record.id, record.manifest, ...record.blobs]),
  );
  await text(tar, { name: 'oci-layout', value: { imageLayoutVersion: '1.0.0' } });
  for (const digest of digests) await blob(tar, { digest, content });
  const list = [...records.values()];
  await text(tar, {
    name: 'index.json',
    value: {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: list.flatMap((record) => descriptors(record, tags.get(record.id) ?? [])),
    },
  });
  await text(tar, {
    name: 'manifest.json',
    value: list.map((record) => ({
      Config: pathOf(record.id),
      RepoTags: tags.get(record.id) ?? [],
      Layers: record.blobs.map(pathOf),
    })),
  });
  tar.finalize();
}

/** The tags an image was asked for by; asked for by id, all it has. */
function tagsOf(record: ImageRecord, images: Export['images']): readonly string[] {
  const asked = images.filter((image) => image.record.id === record.id).map(({ tag }) => tag);
  const own = record.tags.filter((tag) => asked.includes(tag));
  return own.length === 0 ? record.tags : own;
}

function descriptors(record: ImageRecord, tags: readonly string[]): readonly unknown[] {
  const plain = {
    mediaType: record.manifestMediaType,
    digest: record.manifest,
    size: record.manifestSize,
  };
  if (tags.length === 0) return [plain];
  return tags.map((tag) => ({
    ...plain,
    annotations: {
      'io.containerd.image.name': tag,
      'org.opencontainers.image.ref.name': tag.slice(tag.lastIndexOf(':') + 1),
    },
  }));
}

async function blob(
  tar: Pack,
  { digest, content }: { readonly digest: string; readonly content: ContentStore },
): Promise<void> {
  const entry = tar.entry({ name: pathOf(digest), size: await content.sizeOf(digest) });
  await pipeline(content.stream(digest), entry);
}

function text(
  tar: Pack,
  { name, value }: { readonly name: string; readonly value: unknown },
): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry({ name }, JSON.stringify(value), (error) => (error ? reject(error) : resolve()));
  });
}

function pathOf(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}
