/** Images of one host: an OCI content store with verified digests, and layers unpacked for overlayfs. */

import type { Readable } from 'node:stream';

export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly stopSignal?: string;
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export interface Image {
  /** Digest of the config blob: `sha256:…`. */
  readonly id: string;
  /** Normalised references: `docker.io/library/busybox:latest`. */
  readonly tags: readonly string[];
  /** `repository@sha256:…` of the manifests it was pulled by. */
  readonly digests: readonly string[];
  readonly sizeBytes: number;
  readonly createdAt: string;
  readonly config: ImageConfig;
  /** Unpacked layer directories, topmost first, ready to be overlayfs lower directories. */
  readonly layers: readonly string[];
  /** Imported by hand or embedded: never garbage collected. */
  readonly isPinned: boolean;
}

export interface Credentials {
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
}

export interface PullOptions {
  readonly credentials?: readonly Credentials[];
  /** Told, before the pull resolves, which of `credentials` the registry took; undefined = none of them was needed. */
  onTaken?(pull: {
    readonly id: string;
    readonly credentials: Credentials | undefined;
  }): Promise<void>;
  onProgress?(progress: {
    readonly layer: string;
    readonly doneBytes: number;
    readonly totalBytes: number;
  }): void;
}

/** `code`: 'NotFound', 'Unauthorized', 'Unreachable', 'Corrupt' (digest, format), 'Unsupported', 'NoSpace', 'InvalidReference'. */
export class ImageError extends Error {
  readonly code:
    | 'NotFound'
    | 'Unauthorized'
    | 'Unreachable'
    | 'Corrupt'
    | 'Unsupported'
    | 'NoSpace'
    | 'InvalidReference';
  constructor(code: ImageError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export interface ImageStore {
  /** By reference (normalised here), `name@digest`, id or a unique id prefix of 12 or more characters. */
  get(reference: string): Image | undefined;
  list(): readonly Image[];
  /** Pulls by reference; two pulls of one reference are one. */
  pull(reference: string, options?: PullOptions, signal?: AbortSignal): Promise<Image>;
  /** Imports a docker-archive, OCI archive (plain or gzip/zstd tar) or an OCI layout directory; returns what it held. */
  import(
    source: Readable | { readonly layout: string },
    options?: { readonly tag?: string },
    signal?: AbortSignal,
  ): Promise<readonly Image[]>;
  /** An archive that both docker load and OCI readers take. */
  export(references: readonly string[], signal?: AbortSignal): Readable;
  tag(reference: string, tag: string): Promise<void>;
  /** Removes a tag or digest, or with an id all of an image; blobs and layers nobody else uses go too. */
  remove(reference: string): Promise<void>;
  /**
   * Keeps an image (by id) and its layers on disk until the returned function is called, even when it is removed
   * meanwhile: then it is no longer found, and goes with its last user.
   */
  retain(id: string): () => void;
  /** Whether somebody retains it. */
  isInUse(id: string): boolean;
  /** Calls back after images or their names have come or gone; returns what ends that. */
  onChange(listener: () => void): () => void;
  /** Ends removals that an earlier process had put off; for whoever retains, once it has retained what it uses. */
  collect(): Promise<void>;
  close(): Promise<void>;
}
