/** Reads images out of a source: the docker-archive and OCI layouts, told apart by their files. */

import type { ContentStore } from './content.ts';
import { ImageError } from './image-store.ts';
import { MAX_CONFIG_BYTES, MAX_INDEX_DEPTH, MAX_LAYERS, MAX_MANIFEST_BYTES } from './limits.ts';
import {
  type ConfigBlob,
  choosePlatform,
  type Descriptor,
  decodeConfig,
  decodeManifest,
  hostPlatform,
  type Manifest,
  OCI_CONFIG,
  OCI_MANIFEST,
  parseJson,
} from './manifest.ts';
import { format, nameOf, parseReference } from './reference.ts';
import type { Source } from './source.ts';

/** An image whose blobs are in the content store, ready to be registered. */
export interface FoundImage {
  readonly manifest: Manifest;
  readonly manifestDigest: string;
  readonly manifestSize: number;
  readonly config: ConfigBlob;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
}

interface DockerEntry {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

const LAYER_TAR = 'application/vnd.oci.image.layer.v1.tar';

/** Takes every image of a source into the content store. Throws ImageError Corrupt when there is none. */
export async function readImages(
  source: Source,
  content: ContentStore,
): Promise<readonly FoundImage[]> {
  const index = await source.read('index.json', MAX_MANIFEST_BYTES);
  const docker = await source.read('manifest.json', MAX_MANIFEST_BYTES);
  const entries = docker === undefined ? [] : decodeDockerEntries(docker);
  const reader = new Reader(source, content);
  if (index !== undefined) return reader.readIndex(index, entries);
  if (docker === undefined) {
    throw new ImageError(
      'Corrupt',
      'no image found: neither manifest.json (docker-archive) nor index.json (OCI) is there',
    );
  }
  const found: FoundImage[] = [];
  for (const entry of entries) found.push(await reader.readDocker(entry));
  return found;
}

/** Each reads through one source into one content store. */
class Reader {
  readonly #source: Source;
  readonly #content: ContentStore;

  constructor(source: Source, content: ContentStore) {
    this.#source = source;
    this.#content = content;
  }

  /** OCI: the images that index.json names; with several unnamed of various platforms, the host's. */
  async readIndex(bytes: Buffer, entries: readonly DockerEntry[]): Promise<readonly FoundImage[]> {
    const index = decodeManifest(parseJson(bytes, 'index.json'), 'index.json');
    if (index.kind !== 'index') throw new ImageError('Corrupt', 'index.json lists no manifests');
    const groups = Map.groupBy(index.manifests, (descriptor) => nameIn(descriptor) ?? '');
    const found: FoundImage[] = [];
    for (const [name, descriptors] of groups) {
      for (const descriptor of pick(descriptors)) {
        found.push(await this.#readOci(descriptor, name === '' ? [] : [name]));
      }
    }
    return merge(found).map((image) => withDockerTags(image, entries));
  }

  async #readOci(descriptor: Descriptor, tags: readonly string[], depth = 0): Promise<FoundImage> {
    const { digest } = descriptor;
    const what = `manifest ${digest}`;
    await this.#take(blobName(digest), digest);
    const bytes = await this.#content.read(digest, MAX_MANIFEST_BYTES);
    const manifest = decodeManifest(parseJson(bytes, what), what);
    if (manifest.kind === 'index') {
      const child = choosePlatform(manifest.manifests, hostPlatform()) ?? manifest.manifests[0];
      if (child === undefined || depth >= MAX_INDEX_DEPTH) {
        throw new ImageError('Corrupt', `${what} leads to no image`);
      }
      return this.#readOci(child, tags, depth + 1);
    }
    const { config, layers } = manifest;
    for (const part of [config, ...layers]) await this.#take(blobName(part.digest), part.digest);
    const decoded = await this.#config(config.digest);
    return {
      manifest,
      manifestDigest: digest,
      manifestSize: bytes.length,
      config: decoded,
      tags,
      digests: tags.map((tag) => `${nameOf(parseReference(tag))}@${digest}`),
    };
  }

  /** docker-archive: names no digests, so the manifest is made here. */
  async readDocker(entry: DockerEntry): Promise<FoundImage> {
    const config = await this.#take(entry.config);
    const decoded = await this.#config(config.digest);
    const layers: Descriptor[] = [];
    for (const name of entry.layers) {
      const { digest, size } = await this.#take(name);
      layers.push({ mediaType: LAYER_TAR, digest, size, annotations: {} });
    }
    const descriptor = { mediaType: OCI_CONFIG, digest: config.digest, size: config.size };
    const body = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: descriptor,
      layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    };
    const blob = await this.#content.put(Buffer.from(JSON.stringify(body)));
    return {
      manifest: {
        kind: 'manifest',
        mediaType: OCI_MANIFEST,
        config: { ...descriptor, annotations: {} },
        layers,
      },
      manifestDigest: blob.digest,
      manifestSize: blob.size,
      config: decoded,
      tags: entry.tags,
      digests: [],
    };
  }

  /** Moves a file into the content store; with `digest`, only if it has it. Fine when it is there already. */
  async #take(name: string, digest?: string): Promise<{ digest: string; size: number }> {
    if (digest !== undefined && (await this.#content.has(digest))) return { digest, size: 0 };
    const draft = await this.#source.draft(name);
    if (draft === undefined) throw new ImageError('Corrupt', `${name} is missing in the archive`);
    if (digest !== undefined && draft.digest !== digest) {
      throw new ImageError('Corrupt', `${name} is damaged: its content has ${draft.digest}`);
    }
    if (await this.#content.has(draft.digest)) return draft;
    return this.#content.keep(draft);
  }

  async #config(digest: string): Promise<ConfigBlob> {
    const bytes = await this.#content.read(digest, MAX_CONFIG_BYTES);
    return decodeConfig(parseJson(bytes, `config ${digest}`), `config ${digest}`);
  }
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** Docker and containerd write the whole name; others write it, or a bare tag, to the OCI annotation. */
function nameIn({ annotations }: Descriptor): string | undefined {
  const full = annotations['io.containerd.image.name'];
  const short = annotations['org.opencontainers.image.ref.name'];
  const name = full ?? (short !== undefined && /[/:]/.test(short) ? short : undefined);
  return name === undefined ? undefined : format(parseReference(name));
}

function pick(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  if (descriptors.length === 1 || descriptors.some(({ platform }) => platform === undefined)) {
    return descriptors;
  }
  const chosen = choosePlatform(descriptors, hostPlatform());
  if (chosen === undefined) {
    const { os, architecture } = hostPlatform();
    throw new ImageError('Unsupported', `the archive has no image for ${os}/${architecture}`);
  }
  return [chosen];
}

/** One image may be listed under several names. */
function merge(found: readonly FoundImage[]): readonly FoundImage[] {
  const groups = Map.groupBy(found, (image) => image.manifestDigest);
  return [...groups.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return [];
    const tags = [first, ...others].flatMap((image) => image.tags);
    const digests = [first, ...others].flatMap((image) => image.digests);
    return [{ ...first, tags: [...new Set(tags)], digests: [...new Set(digests)] }];
  });
}

function withDockerTags(image: FoundImage, entries: readonly DockerEntry[]): FoundImage {
  const hex = image.manifest.config.digest.slice('sha256:'.length);
  const more = entries.filter(({ config }) => config.includes(hex)).flatMap(({ tags }) => tags);
  return { ...image, tags: [...new Set([...image.tags, ...more])] };
}

function decodeDockerEntries(bytes: Buffer): readonly DockerEntry[] {
  const value = parseJson(bytes, 'manifest.json');
  if (!Array.isArray(value)) throw new ImageError('Corrupt', 'manifest.json is not a list');
  return value.map((item: unknown) => {
    const entry = item as { Config?: unknown; RepoTags?: unknown; Layers?: unknown } | null;
    if (typeof entry?.Config !== 'string' || !Array.isArray(entry.Layers)) {
      throw new ImageError('Corrupt', 'manifest.json has an entry without Config or Layers');
    }
    if (entry.Layers.length > MAX_LAYERS) {
      throw new ImageError(
        'Corrupt',
        `manifest.json has an image of more than ${MAX_LAYERS} layers`,
      );
    }
    const tags = Array.isArray(entry.RepoTags) ? entry.RepoTags : [];
    return {
      config: entry.Config,
      tags: tags.map((tag) => format(parseReference(String(tag)))),
      layers: entry.Layers.map(String),
    };
  });
}
