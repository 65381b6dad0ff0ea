/** Manifests, indexes and configs of the OCI image specification and of Docker's schema 2: decoded and checked. */

import { arch } from 'node:os';
import { type ImageConfig, ImageError } from './image-store.ts';
import { MAX_INDEX_MANIFESTS, MAX_LAYERS } from './limits.ts';
import { isDigest } from './reference.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface Index {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
}

export interface ConfigBlob {
  readonly platform: Platform;
  readonly createdAt: string;
  readonly diffIds: readonly string[];
  readonly config: ImageConfig;
}

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
/** What a registry is asked for. */
export const ACCEPTED_MANIFESTS = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

type Fields = Readonly<Record<string, unknown>>;

/** This host as images name it. */
export function hostPlatform(): Platform {
  const own = arch();
  if (own === 'x64') return { os: 'linux', architecture: 'amd64' };
  return own === 'arm64'
    ? { os: 'linux', architecture: 'arm64', variant: 'v8' }
    : { os: 'linux', architecture: own };
}

/** Decodes a manifest or an index. `what` names it in errors. Throws ImageError Corrupt or Unsupported. */
export function decodeManifest(value: unknown, what: string): Manifest | Index {
  const fields = asFields(value, what);
  const mediaType = asText(fields['mediaType']);
  if (fields['schemaVersion'] === 1) {
    throw new ImageError(
      'Unsupported',
      `${what} is a Docker schema 1 manifest; push the image again with a current tool`,
    );
  }
  if (Array.isArray(fields['manifests'])) {
    if (fields['manifests'].length > MAX_INDEX_MANIFESTS) throw corrupt(what, 'it lists too many');
    const manifests = fields['manifests'].map((entry) => decodeDescriptor(entry, what));
    return { kind: 'index', mediaType: mediaType || OCI_INDEX, manifests };
  }
  if (!Array.isArray(fields['layers'])) throw corrupt(what, 'it has neither layers nor manifests');
  if (fields['layers'].length > MAX_LAYERS) throw corrupt(what, `more than ${MAX_LAYERS} layers`);
  const config = decodeDescriptor(fields['config'], what);
  if (config.mediaType !== OCI_CONFIG && config.mediaType !== DOCKER_CONFIG) {
    throw new ImageError(
      'Unsupported',
      `${what} is not a container image: its config is ${config.mediaType || 'of no type'}`,
    );
  }
  const layers = fields['layers'].map((entry) => decodeDescriptor(entry, what));
  const encrypted = layers.find((layer) => layer.mediaType.endsWith('+encrypted'));
  if (encrypted) throw new ImageError('Unsupported', `${what} has encrypted layers`);
  return { kind: 'manifest', mediaType: mediaType || OCI_MANIFEST, config, layers };
}

/** The manifest of an index that suits a platform best, or undefined. */
export function choosePlatform(
  manifests: readonly Descriptor[],
  wanted: Platform,
): Descriptor | undefined {
  const fitting = manifests.filter(
    ({ platform }) =>
      platform !== undefined &&
      platform.os === wanted.os &&
      platform.architecture === wanted.architecture,
  );
  return (
    fitting.find(({ platform }) => (platform?.variant ?? '') === (wanted.variant ?? '')) ??
    fitting.find(({ platform }) => platform?.variant === undefined) ??
    (wanted.architecture === 'amd64' ? undefined : fitting[0])
  );
}

/** Decodes a config blob. Throws ImageError Corrupt. */
export function decodeConfig(value: unknown, what: string): ConfigBlob {
  const fields = asFields(value, what);
  const rootfs = asFields(fields['rootfs'], `rootfs of ${what}`);
  const diffIds = asTexts(rootfs['diff_ids']);
  if (!diffIds.every(isDigest)) throw corrupt(what, 'a diff_id is not a sha256 digest');
  const variant = asText(fields['variant']);
  return {
    platform: {
      os: asText(fields['os']) || 'linux',
      architecture: asText(fields['architecture']),
      ...(variant === '' ? {} : { variant }),
    },
    createdAt: asText(fields['created']) || '1970-01-01T00:00:00Z',
    diffIds,
    config: decodeRunConfig(isFields(fields['config']) ? fields['config'] : {}),
  };
}

/** Parses JSON. Throws ImageError Corrupt. */
export function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new ImageError('Corrupt', `${what} is not JSON`, error);
  }
}

function decodeRunConfig(config: Fields): ImageConfig {
  const stopSignal = asText(config['StopSignal']);
  return {
    entrypoint: asTexts(config['Entrypoint']),
    cmd: asTexts(config['Cmd']),
    env: asTexts(config['Env']),
    workingDir: asText(config['WorkingDir']),
    user: asText(config['User']),
    ...(stopSignal === '' ? {} : { stopSignal }),
    exposedPorts: isFields(config['ExposedPorts']) ? Object.keys(config['ExposedPorts']) : [],
    volumes: isFields(config['Volumes']) ? Object.keys(config['Volumes']) : [],
    labels: asTextMap(config['Labels']),
  };
}

function decodeDescriptor(value: unknown, what: string): Descriptor {
  const fields = asFields(value, `a descriptor of ${what}`);
  const { digest, size } = fields;
  if (typeof digest !== 'string' || !isDigest(digest)) {
    throw corrupt(what, `"${String(digest)}" is not a sha256 digest`);
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw corrupt(what, `the size of ${digest} is missing`);
  }
  const mediaType = asText(fields['mediaType']);
  const annotations = asTextMap(fields['annotations']);
  const platform = isFields(fields['platform']) ? decodePlatform(fields['platform']) : undefined;
  return { mediaType, digest, size, annotations, ...(platform === undefined ? {} : { platform }) };
}

function decodePlatform(fields: Fields): Platform {
  const variant = asText(fields['variant']);
  return {
    os: asText(fields['os']),
    architecture: asText(fields['architecture']),
    ...(variant === '' ? {} : { variant }),
  };
}

function asFields(value: unknown, what: string): Fields {
  if (!isFields(value)) throw new ImageError('Corrupt', `${what} is not an object`);
  return value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function asTexts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function asTextMap(value: unknown): Readonly<Record<string, string>> {
  if (!isFields(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (typeof item === 'string' ? [[key, item]] : [])),
  );
}

function corrupt(what: string, why: string): ImageError {
  return new ImageError('Corrupt', `${what} is damaged: ${why}`);
}
