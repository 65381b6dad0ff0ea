/** Pulls images: manifest, config and layers into the content store, each byte checked against its digest. */

import type { Logger } from '../../log/log.ts';
import { type ContentStore, digestOf } from '../content.ts';
import { type Credentials, type Image, ImageError, type PullOptions } from '../image-store.ts';
import type { FoundImage } from '../import.ts';
import { all, Limiter } from '../limiter.ts';
import {
  MAX_CONFIG_BYTES,
  MAX_INDEX_DEPTH,
  MAX_LAYER_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_TOLD_LENGTH,
  MAX_TOLD_PLATFORMS,
  PARALLEL_DOWNLOADS,
} from '../limits.ts';
import {
  ACCEPTED_MANIFESTS,
  choosePlatform,
  type Descriptor,
  decodeConfig,
  decodeManifest,
  hostPlatform,
  type Manifest,
  parseJson,
} from '../manifest.ts';
import { format, nameOf, parseReference, type Reference } from '../reference.ts';
import { download, readTransfer } from './download.ts';
import { HttpClient, readBody } from './http.ts';
import { type Endpoint, endpointsOf, type Registries } from './registries.ts';
import { RegistrySession } from './session.ts';
import { SharedWork } from './shared-work.ts';

export interface PullerOptions {
  readonly registries: Registries;
  readonly content: ContentStore;
  readonly log: Logger;
  readonly register: (found: FoundImage, signal: AbortSignal) => Promise<Image>;
}

interface Resolved {
  readonly manifest: Manifest;
  readonly digest: string;
  readonly size: number;
  /** Of what the reference named: an index, or the manifest itself. */
  readonly topDigest: string;
}

type Progress = NonNullable<PullOptions['onProgress']>;

export class Puller {
  readonly #options: PullerOptions;
  readonly #http = new HttpClient();
  readonly #limiter = new Limiter(PARALLEL_DOWNLOADS);
  readonly #underway = new SharedWork<Image>();

  constructor(options: PullerOptions) {
    this.#options = options;
  }

  /** Two pulls of one reference with the same credentials are one. */
  pull(text: string, options: PullOptions, signal?: AbortSignal): Promise<Image> {
    const reference = parseReference(text);
    const key = JSON.stringify([format(reference), options.credentials ?? []]);
    return this.#underway.join(key, (own) => this.#pull(reference, options, own), signal);
  }

  async close(): Promise<void> {
    await this.#underway.close();
    this.#http.close();
  }

  /** Tries each endpoint with each set of credentials; the last refusal of the first endpoint that answers is told. */
  async #pull(reference: Reference, options: PullOptions, signal: AbortSignal): Promise<Image> {
    const failures: unknown[] = [];
    for (const endpoint of endpointsOf(this.#options.registries, reference)) {
      const target = { endpoint, reference, options };
      const outcome = await this.#pullWithAny(target, failures, signal);
      if (outcome !== undefined) return outcome;
    }
    throw summarise(failures, reference);
  }

  /** Undefined, with the failures added, when another endpoint may do better. */
  async #pullWithAny(
    target: {
      readonly endpoint: Endpoint;
      readonly reference: Reference;
      readonly options: PullOptions;
    },
    failures: unknown[],
    signal: AbortSignal,
  ): Promise<Image | undefined> {
    for (const credentials of credentialsFor(target.endpoint, target.options)) {
      try {
        const image = await this.#pullFrom({ ...target, credentials }, signal);
        const { credentials: given = [], onTaken } = target.options;
        const taken = given.find((one) => one === credentials);
        await onTaken?.({ id: image.id, credentials: taken });
        return image;
      } catch (error) {
        if (signal.aborted || !mayTryElsewhere(error)) throw error;
        failures.push(error);
        if (!(error instanceof ImageError) || error.code !== 'Unauthorized') return undefined;
      }
    }
    return undefined;
  }

  async #pullFrom(
    from: {
      readonly endpoint: Endpoint;
      readonly credentials: Credentials | undefined;
      readonly reference: Reference;
      readonly options: PullOptions;
    },
    signal: AbortSignal,
  ): Promise<Image> {
    const { endpoint, credentials, reference, options } = from;
    const { log } = this.#options;
    const session = new RegistrySession({ http: this.#http, endpoint, credentials, log });
    const wanted = reference.digest ?? reference.tag ?? 'latest';
    const resolved = await this.#resolve(
      session,
      { wanted, topDigest: undefined, depth: 0 },
      signal,
    );
    const { manifest } = resolved;
    if (manifest.config.size > MAX_CONFIG_BYTES) {
      throw new ImageError('Corrupt', `the config of ${format(reference)} is too large`);
    }
    const large = manifest.layers.find(({ size }) => size > MAX_LAYER_BYTES);
    if (large !== undefined) {
      throw new ImageError('Corrupt', `layer ${large.digest} is too large (${large.size} bytes)`);
    }
    const blobs = new Map([manifest.config, ...manifest.layers].map((blob) => [blob.digest, blob]));
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    await all(
      [...blobs.values()].map((blob) =>
        this.#limiter
          .run(() => this.#fetch(session, { blob, onProgress: options.onProgress }, both))
          .catch((error: unknown) => {
            stop.abort(error);
            throw error;
          }),
      ),
    );
    const { digest } = manifest.config;
    const bytes = await this.#options.content.read(digest, MAX_CONFIG_BYTES);
    return this.#options.register(
      {
        manifest,
        manifestDigest: resolved.digest,
        manifestSize: resolved.size,
        config: decodeConfig(parseJson(bytes, `config ${digest}`), `config ${digest}`),
        tags: reference.digest === undefined ? [format(reference)] : [],
        digests: [`${nameOf(reference)}@${resolved.topDigest}`],
      },
      signal,
    );
  }

  /** The manifest for this host: the one named, or the fitting one of an index. */
  async #resolve(
    session: RegistrySession,
    at: {
      readonly wanted: string;
      readonly topDigest: string | undefined;
      readonly depth: number;
    },
    signal: AbortSignal,
  ): Promise<Resolved> {
    const { wanted, depth } = at;
    const bytes = await session.retry(async () => {
      const headers = { accept: ACCEPTED_MANIFESTS.join(', ') };
      const response = await session.get(`manifests/${wanted}`, headers, signal);
      return readTransfer(
        () => readBody(response.body, MAX_MANIFEST_BYTES, session.host),
        session.host,
      );
    }, signal);
    const digest = digestOf(bytes);
    const what = `manifest ${wanted} of ${session.host}`;
    if (wanted.startsWith('sha256:') && digest !== wanted) {
      throw new ImageError('Corrupt', `${what} is not what its digest says (${digest})`);
    }
    const decoded = decodeManifest(parseJson(bytes, what), what);
    const topDigest = at.topDigest ?? digest;
    if (decoded.kind === 'manifest') {
      await this.#options.content.put(bytes);
      return { manifest: decoded, digest, size: bytes.length, topDigest };
    }
    const host = hostPlatform();
    const child = choosePlatform(decoded.manifests, host);
    if (child === undefined || depth >= MAX_INDEX_DEPTH) {
      throw new ImageError(
        'NotFound',
        `${what} has no image for ${host.os}/${host.architecture}; it has ${offered(decoded.manifests)}`,
      );
    }
    return this.#resolve(session, { wanted: child.digest, topDigest, depth: depth + 1 }, signal);
  }

  /** Downloads a blob unless it is here; goes on where a cut transfer stopped. */
  async #fetch(
    session: RegistrySession,
    wanted: { readonly blob: Descriptor; readonly onProgress: Progress | undefined },
    signal: AbortSignal,
  ): Promise<void> {
    const { content } = this.#options;
    const { blob, onProgress } = wanted;
    const report = (doneBytes: number) =>
      onProgress?.({ layer: blob.digest, doneBytes, totalBytes: blob.size });
    if (await content.has(blob.digest, blob.size)) {
      report(blob.size);
      return;
    }
    const path = content.draftPath();
    try {
      const digest = await download(session, { blob, path, report }, signal);
      if (digest !== blob.digest) {
        throw new ImageError(
          'Corrupt',
          `blob ${blob.digest} of ${session.host} is damaged: its content has ${digest}`,
        );
      }
      await content.keep({ path, digest, size: blob.size });
    } catch (error) {
      await content.discard({ path });
      throw error;
    }
  }
}

/** The platforms of an index, as far as they can be told. */
function offered(manifests: readonly Descriptor[]): string {
  const all = new Set(
    manifests.map(({ platform }) =>
      `${platform?.os}/${platform?.architecture}`.slice(0, MAX_TOLD_LENGTH),
    ),
  );
  const told = [...all].slice(0, MAX_TOLD_PLATFORMS).join(', ');
  return all.size > MAX_TOLD_PLATFORMS ? `${told} and others` : told;
}

/** What the caller gave, then what registries.yaml has, then none. */
function credentialsFor(
  endpoint: Endpoint,
  options: PullOptions,
): readonly (Credentials | undefined)[] {
  const given = endpoint.mirrorOf === undefined ? (options.credentials ?? []) : [];
  const configured = endpoint.credentials === undefined ? [] : [endpoint.credentials];
  return [...given, ...configured, undefined];
}

function mayTryElsewhere(error: unknown): boolean {
  return (
    error instanceof ImageError && ['NotFound', 'Unauthorized', 'Unreachable'].includes(error.code)
  );
}

/** One failure as it is; of several, all are told, and the code is the last's (the registry itself). */
function summarise(failures: readonly unknown[], reference: Reference): unknown {
  const last = failures.at(-1);
  const texts = [
    ...new Set(failures.map((error) => (error instanceof Error ? error.message : ''))),
  ];
  const refused = failures.find(
    (error) => error instanceof ImageError && error.code === 'Unauthorized',
  );
  const chosen = last instanceof ImageError ? last : refused;
  if (!(chosen instanceof ImageError)) {
    return new ImageError('Unreachable', `cannot pull ${format(reference)}`, last);
  }
  return new ImageError(
    chosen.code,
    `cannot pull ${format(reference)}: ${texts.join('; ')}`,
    chosen.cause,
  );
}
