/** The mounts of one container: its volume mounts, and the files that the node gives every pod. */

import { access, realpath } from 'node:fs/promises';
import { join, normalize, sep } from 'node:path';
import type { Container, Pod, VolumeMount } from '../../api/generated/types.ts';
import type { Mount } from '../../engine/engine.ts';
import { expand, missingIn } from '../pod/expand.ts';
import { ConfigError } from '../pod/start-error.ts';

export interface MountFacts {
  readonly pod: Pod;
  readonly container: Container;
  /** Host path of each volume by name. */
  readonly volumes: ReadonlyMap<string, string>;
  readonly env: ReadonlyMap<string, string>;
  /** Files that the node gives, by the path in the container; a volume mounted there wins. */
  readonly files: ReadonlyMap<string, string>;
}

const PROPAGATION = {
  None: 'private',
  HostToContainer: 'rslave',
  Bidirectional: 'rshared',
} as const;

/** Files that belong to a container's root, as far as the container is concerned: the runtime makes them. */
const NAMING = ['/etc/hostname', '/etc/resolv.conf'];

/** Volume mounts sorted so that a parent comes before what is mounted inside it. */
export async function containerMounts(facts: MountFacts): Promise<readonly Mount[]> {
  const { container, files } = facts;
  const hasReadOnlyRoot = container.securityContext?.readOnlyRootFilesystem === true;
  const own = await Promise.all(
    (container.volumeMounts ?? []).map((mount) => volumeMount(facts, mount)),
  );
  const taken = new Set(own.map(({ destination }) => destination));
  const given = [...files]
    .filter(([destination]) => !taken.has(destination))
    .map(([destination, source]) => ({
      source,
      destination,
      isReadOnly: hasReadOnlyRoot && NAMING.includes(destination),
    }));
  return [...given, ...own].sort((a, b) => depth(a.destination) - depth(b.destination));
}

type Source = Pick<Mount, 'source' | 'sourceRoot'>;

async function volumeMount(facts: MountFacts, mount: VolumeMount): Promise<Mount> {
  const root = facts.volumes.get(mount.name);
  if (root === undefined) throw new ConfigError(`volume "${mount.name}" of container is not there`);
  const subPath = subPathOf(mount, facts.env);
  const place = `volumeMount "${mount.name}" of container "${facts.container.name}"`;
  const source = subPath ? await resolveSubPath(root, subPath, place) : { source: root };
  const isImage = facts.pod.spec.volumes?.some(({ name, image }) => name === mount.name && image);
  if (isImage) await mustExist(source.source, mount);
  const propagation = PROPAGATION[(mount.mountPropagation ?? 'None') as keyof typeof PROPAGATION];
  const volume = facts.pod.spec.volumes?.find(({ name }) => name === mount.name);
  const isContent = Boolean(
    volume?.configMap ?? volume?.secret ?? volume?.projected ?? volume?.downwardAPI,
  );
  return {
    ...source,
    destination: normalize(mount.mountPath).replace(/(.)\/$/, '$1'),
    isReadOnly:
      mount.readOnly === true ||
      isContent ||
      isImage === true ||
      volume?.persistentVolumeClaim?.readOnly === true,
    ...(isImage ? { options: ['noexec', 'nosuid', 'nodev'] } : {}),
    ...(isRecursivelyReadOnly(mount) ? { isRecursivelyReadOnly: true } : {}),
    ...(propagation ? { propagation } : {}),
  };
}

function subPathOf(
  { subPath, subPathExpr }: VolumeMount,
  env: ReadonlyMap<string, string>,
): string | undefined {
  if (!subPathExpr) return subPath;
  const missing = missingIn(subPathExpr, env);
  if (missing.length > 0) throw new ConfigError(`missing value for ${missing.join(', ')}`);
  return expand(subPathExpr, env);
}

/** Nothing can be made in an image. */
async function mustExist(path: string, { name, subPath = '' }: VolumeMount): Promise<void> {
  await access(path).catch((cause: unknown) => {
    throw new ConfigError(`image volume "${name}" has no path "${subPath}"`, cause);
  });
}

/** IfPossible is Enabled here: every kernel that mini runs on can do it. */
export function isRecursivelyReadOnly({ readOnly, recursiveReadOnly }: VolumeMount): boolean {
  return readOnly === true && ['Enabled', 'IfPossible'].includes(recursiveReadOnly ?? '');
}

/**
 * Refuses, in the kubelet's words, a subPath that leaves the volume, also by a link. The helper makes it if it is
 * missing, and sees to it that it stays inside if somebody changes a link meanwhile.
 */
async function resolveSubPath(root: string, subPath: string, place: string): Promise<Source> {
  if (subPath.startsWith('/')) {
    throw new ConfigError(`error SubPath \`${subPath}\` must not be an absolute path`);
  }
  if (subPath.split('/').includes('..')) {
    throw new ConfigError(`unable to provision SubPath \`${subPath}\`: must not contain '..'`);
  }
  const refusal = new ConfigError(
    `failed to prepare subPath for ${place}: "${subPath}" leaves its volume by a link`,
  );
  const base = await realpath(root);
  const path = join(base, subPath).replace(/(.)\/$/, '$1');
  if (path === base) return { source: base };
  const isInside = (real: string) => real === base || real.startsWith(base + sep);
  // The deepest part that is there decides.
  for (let part = path; ; part = join(part, '..')) {
    const real = await realpath(part).catch(() => undefined);
    if (real === undefined && part !== base) continue;
    if (real === undefined || !isInside(real)) throw refusal;
    return { source: path, sourceRoot: base };
  }
}

function depth(path: string): number {
  return path === '/' ? 0 : path.split('/').length;
}
