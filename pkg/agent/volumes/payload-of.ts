/** The files that a configMap, secret, downwardAPI or projected volume is to hold. */

import type {
  ClusterTrustBundle,
  ConfigMap,
  DownwardAPIVolumeFile,
  KeyToPath,
  Pod,
  PodCertificateProjection,
  Secret,
  Volume,
  VolumeProjection,
} from '../../api/generated/types.ts';
import { type FieldFacts, fieldValue, resourceValue } from '../pod/field-ref.ts';
import type { ReferenceKind } from '../references.ts';
import type { CertificateSource, Credentials } from './pod-certificates.ts';
import { trustAnchors } from './trust-bundles.ts';

export interface PayloadFile {
  readonly data: Buffer;
  readonly mode: number;
  /** Default 0. */
  readonly uid?: number;
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
  trustBundles(): Promise<readonly ClusterTrustBundle[]>;
  certificate(source: CertificateSource): Promise<Credentials>;
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
  for (const [index, source] of (projected.sources ?? []).entries()) {
    const at = { volume: volume.name, index, mode: projected.defaultMode, sources };
    const files = await fromProjection(source, at);
    for (const [path, file] of files) all.set(path, file);
  }
  return all;
}

interface Common {
  readonly mode: number | undefined;
  readonly sources: PayloadSources;
}

interface Place extends Common {
  readonly volume: string;
  readonly index: number;
}

async function fromProjection(source: VolumeProjection, common: Place): Promise<Payload> {
  const { configMap, secret, downwardAPI, serviceAccountToken } = source;
  const { clusterTrustBundle, podCertificate } = source;
  const { mode, sources } = common;
  const defaultMode = mode ?? DEFAULT_MODE;
  const guard = guardOf(sources.pod, defaultMode);
  if (configMap) return fromObject({ ...configMap, defaultMode, kind: 'configmaps' }, sources);
  if (secret) return fromObject({ ...secret, defaultMode, kind: 'secrets' }, sources);
  if (downwardAPI) return fromDownward(downwardAPI.items, common);
  if (serviceAccountToken) {
    const { audience, expirationSeconds = DEFAULT_TOKEN_SECONDS, path } = serviceAccountToken;
    const token = await sources.token({ expirationSeconds, ...(audience ? { audience } : {}) });
    return new Map([[safePath(path), { data: Buffer.from(token), ...guard }]]);
  }
  if (clusterTrustBundle) {
    const anchors = trustAnchors(clusterTrustBundle, await sources.trustBundles());
    const file = { data: Buffer.from(anchors), ...guard };
    return new Map([[safePath(clusterTrustBundle.path), file]]);
  }
  if (podCertificate) return fromCertificate(podCertificate, common);
  throw new Error(`projected volume source ${Object.keys(source).join(', ')} is not supported`);
}

async function fromCertificate(
  projection: PodCertificateProjection,
  { mode = DEFAULT_MODE, sources, volume, index }: Place,
): Promise<Payload> {
  const { key, chain } = await sources.certificate({ volume, index, projection });
  const guard = guardOf(sources.pod, mode);
  const { credentialBundlePath, keyPath, certificateChainPath } = projection;
  const files = [
    [credentialBundlePath, key + chain],
    [keyPath, key],
    [certificateChainPath, chain],
  ] as const;
  return new Map(
    files.flatMap(([path, text]) =>
      path ? [[safePath(path), { data: Buffer.from(text), ...guard }] as const] : [],
    ),
  );
}

const GUARDED_MODE = 0o600;

/** What the node gives a pod alone: for the one user of all its containers or for fsGroup, if there is either. */
function guardOf({ spec }: Pod, mode: number): Pick<PayloadFile, 'mode' | 'uid'> {
  const { fsGroup, runAsUser } = spec.securityContext ?? {};
  const users = new Set(
    [...(spec.initContainers ?? []), ...spec.containers].map(
      ({ securityContext }) => securityContext?.runAsUser ?? runAsUser,
    ),
  );
  const [uid] = users.size === 1 ? users : [];
  if (uid === undefined) return { mode: fsGroup === undefined ? mode : GUARDED_MODE };
  return { mode: GUARDED_MODE, uid };
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
