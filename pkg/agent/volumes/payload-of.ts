/** The files that a configMap, secret, downwardAPI or projected volume is to hold. */

import type {
  ConfigMap,
  DownwardAPIVolumeFile,
  KeyToPath,
  Secret,
  Volume,
  VolumeProjection,
} from '../../api/generated/types.ts';
import { type FieldFacts, fieldValue, resourceValue } from '../pod/field-ref.ts';
import type { ReferenceKind } from '../references.ts';

export interface PayloadFile {
  readonly data: Buffer;
  readonly mode: number;
}

/** Relative path → file. */
export type Payload = ReadonlyMap<string, PayloadFile>;

export interface TokenRequestOptions {
  readonly audience?: string;
  readonly expirationSeconds: number;
}

export interface PayloadSources extends FieldFacts {
  lookup(kind: ReferenceKind, name: string): Promise<ConfigMap | Secret | undefined>;
  /** A token of the pod's service account, bound to the pod. */
  token(options: TokenRequestOptions): Promise<string>;
}

const DEFAULT_MODE = 0o644;
const DEFAULT_TOKEN_SECONDS = 3600;

/** The volume's files, or undefined when it is of another kind. Rejects when something it needs is missing. */
export async function payloadOf(
  volume: Volume,
  sources: PayloadSources,
): Promise<Payload | undefined> {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) return fromObject({ ...configMap, kind: 'configmaps' }, sources);
  if (secret) return fromObject({ ...secret, name: secret.secretName, kind: 'secrets' }, sources);
  if (downwardAPI)
    return fromDownward(downwardAPI.items, { mode: downwardAPI.defaultMode, sources });
  if (!projected) return undefined;
  const all = new Map<string, PayloadFile>();
  for (const source of projected.sources ?? []) {
    const files = await fromProjection(source, { mode: projected.defaultMode, sources });
    for (const [path, file] of files) all.set(path, file);
  }
  return all;
}

interface Common {
  readonly mode: number | undefined;
  readonly sources: PayloadSources;
}

async function fromProjection(source: VolumeProjection, common: Common): Promise<Payload> {
  const { configMap, secret, downwardAPI, serviceAccountToken } = source;
  const { mode, sources } = common;
  const defaultMode = mode ?? DEFAULT_MODE;
  if (configMap) return fromObject({ ...configMap, defaultMode, kind: 'configmaps' }, sources);
  if (secret) return fromObject({ ...secret, defaultMode, kind: 'secrets' }, sources);
  if (downwardAPI) return fromDownward(downwardAPI.items, common);
  if (serviceAccountToken) {
    const { audience, expirationSeconds = DEFAULT_TOKEN_SECONDS, path } = serviceAccountToken;
    const token = await sources.token({ expirationSeconds, ...(audience ? { audience } : {}) });
    return new Map([[safePath(path), { data: Buffer.from(token), mode: defaultMode }]]);
  }
  throw new Error(`projected volume source ${Object.keys(source).join(', ')} is not supported`);
}

interface ObjectSource {
  readonly kind: ReferenceKind;
  readonly name?: string | undefined;
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
  readonly defaultMode?: number;
}

async function fromObject(source: ObjectSource, sources: PayloadSources): Promise<Payload> {
  const { kind, name = '', items, optional = false, defaultMode = DEFAULT_MODE } = source;
  const object = await sources.lookup(kind, name);
  if (!object && !optional) {
    const what = kind === 'configmaps' ? 'configmap' : 'secret';
    throw new Error(`${what} "${name}" not found`);
  }
  const data = object ? dataOf(object) : new Map<string, Buffer>();
  if (!items) {
    return new Map(
      [...data].map(([key, value]) => [safePath(key), { data: value, mode: defaultMode }]),
    );
  }
  const files = new Map<string, PayloadFile>();
  for (const { key, path, mode } of items) {
    const value = data.get(key);
    if (value) files.set(safePath(path), { data: value, mode: mode ?? defaultMode });
    else if (!optional)
      throw new Error(
        `references non-existent ${kind === 'configmaps' ? 'config' : 'secret'} key: ${key}`,
      );
  }
  return files;
}

function dataOf(object: ConfigMap | Secret): ReadonlyMap<string, Buffer> {
  const encoding = object.kind === 'Secret' ? 'base64' : 'utf8';
  const text = Object.entries(object.data ?? {}).map(
    ([k, v]) => [k, Buffer.from(v, encoding)] as const,
  );
  const binaryData = 'binaryData' in object ? object.binaryData : undefined;
  const binary = Object.entries(binaryData ?? {}).map(
    ([k, v]) => [k, Buffer.from(v, 'base64')] as const,
  );
  return new Map([...text, ...binary]);
}

function fromDownward(
  items: readonly DownwardAPIVolumeFile[] = [],
  { mode, sources }: Common,
): Payload {
  const files = new Map<string, PayloadFile>();
  for (const item of items) {
    const value = item.fieldRef
      ? fieldValue(sources, item.fieldRef.fieldPath)
      : resourceValue(sources, item.resourceFieldRef ?? { resource: '' });
    files.set(safePath(item.path), {
      data: Buffer.from(value),
      mode: item.mode ?? mode ?? DEFAULT_MODE,
    });
  }
  return files;
}

/** Validation refuses such paths already; here they would leave the volume. */
function safePath(path: string): string {
  const parts = path.split('/');
  if (path.startsWith('/') || parts.includes('..') || path === '' || path.startsWith('..')) {
    throw new Error(`invalid path in volume: ${path}`);
  }
  return parts.filter((part) => part !== '' && part !== '.').join('/');
}
