/**
 * The volumes of one node's pods: made before a pod's containers, kept up to date while it runs, removed after it.
 * Small volumes with content from the API lie under the run directory (tmpfs), emptyDir under the data directory.
 */

import { chmod, chown, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigMap, Pod, Secret, Volume } from '../../api/generated/types.ts';
import { bytes } from '../../api/quantity.ts';
import type { VolumeHost } from '../../engine/engine.ts';
import type { ImageStore } from '../../image/image-store.ts';
import { type Paths, podDir, podRunDir } from '../paths.ts';
import type { FieldFacts } from '../pod/field-ref.ts';
import { isHugePages, pageBytesOf } from '../pod/huge-pages.ts';
import type { References } from '../references.ts';
import { writePayload } from './atomic-writer.ts';
import { type Claims, MapError, type MountedClaim } from './claims.ts';
import { hostPath } from './host-path.ts';
import { ImageVolumes } from './image-volumes.ts';
import { type PayloadSources, payloadOf } from './payload-of.ts';
import type { PodCertificates } from './pod-certificates.ts';
import type { Tokens } from './tokens.ts';

interface VolumesOptions {
  readonly paths: Paths;
  readonly references: References;
  readonly tokens: Tokens;
  readonly certificates: PodCertificates;
  readonly host: VolumeHost;
  readonly claims: Claims;
  readonly images: Pick<ImageStore, 'retain'>;
}

/** A volume could not be made; reason and message are for the event. */
export class VolumeError extends Error {
  readonly volume: string;
  readonly reason: 'FailedMount' | 'FailedMapVolume';
  constructor(volume: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const isMap = cause instanceof MapError;
    const step = isMap ? 'MapVolume.SetUpDevice' : 'MountVolume.SetUp';
    super(`${step} failed for volume "${volume}" : ${why}`, { cause });
    this.volume = volume;
    this.reason = isMap ? 'FailedMapVolume' : 'FailedMount';
  }
}

export class Volumes {
  /** Volumes that are images; mounted when a container that needs one starts, as pulling has its own back-off. */
  readonly images: ImageVolumes;
  readonly #options: VolumesOptions;

  constructor(options: VolumesOptions) {
    this.#options = options;
    this.images = new ImageVolumes(options);
  }

  /** Makes all volumes of the pod, or brings them up to date; returns their host paths. Rejects with a VolumeError. */
  async setUp(facts: FieldFacts, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const { pod } = facts;
    const volumes = pod.spec.volumes ?? [];
    const made = await Promise.all(
      volumes.map(async (volume): Promise<readonly [string, string]> => {
        try {
          return [volume.name, await this.#setUpOne(facts, volume, signal)];
        } catch (error) {
          if (signal.aborted) throw error;
          throw new VolumeError(volume.name, error);
        }
      }),
    );
    return new Map(made);
  }

  /** When a token or certificate of the pod must be renewed. */
  refreshAtMs(uid: string): number | undefined {
    const { tokens, certificates } = this.#options;
    const times = [tokens.refreshAtMs(uid), certificates.refreshAtMs(uid)];
    const given = times.filter((time) => time !== undefined);
    return given.length === 0 ? undefined : Math.min(...given);
  }

  /** Uids of the pods that use claims here, whatever else there is of them. */
  users(): Promise<readonly string[]> {
    return this.#options.claims.users();
  }

  /** The claims that are mounted for a pod, by the names of its volumes. */
  claims(uid: string): ReadonlyMap<string, MountedClaim> {
    return this.#options.claims.mounted(uid);
  }

  async close(): Promise<void> {
    const { claims, certificates } = this.#options;
    await Promise.all([claims.close(), certificates.close()]);
  }

  /** Lets go of claims and removes what the node itself had made: the pod's containers are gone for good. */
  async release(uid: string): Promise<void> {
    const { paths, claims } = this.#options;
    await claims.release(uid);
    await this.#unmountAll(join(podRunDir(paths, uid), 'volumes'));
    for (const directory of [podDir(paths, uid), podRunDir(paths, uid)])
      await rm(join(directory, 'volumes'), { recursive: true, force: true });
  }

  /** Removes everything the pod has on disk but its logs. */
  async remove(uid: string): Promise<void> {
    const { paths, tokens, claims, certificates } = this.#options;
    tokens.forget(uid);
    certificates.forget(uid);
    await claims.release(uid);
    await this.#unmountAll(join(podRunDir(paths, uid), 'volumes'));
    this.images.release(uid);
    await rm(podDir(paths, uid), { recursive: true, force: true });
    await rm(podRunDir(paths, uid), { recursive: true, force: true });
  }

  async #setUpOne(facts: FieldFacts, volume: Volume, signal: AbortSignal): Promise<string> {
    const { pod } = facts;
    if (volume.emptyDir) return this.#emptyDir(facts, volume);
    if (volume.hostPath) return hostPath(volume.hostPath);
    if (volume.image) {
      await this.images.adopt(pod.metadata.uid, volume.name);
      return this.images.path(pod.metadata.uid, volume.name);
    }
    const claim = await this.#options.claims.mount(pod, volume, signal);
    if (claim) {
      if (claim.kind === 'directory' && !isReadOnly(volume)) await this.#own(pod, claim.path);
      return claim.path;
    }
    const payload = await payloadOf(volume, this.#sources(facts, signal));
    if (!payload) {
      const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
      throw new Error(`volumes of kind ${kind} are not supported by this node`);
    }
    const directory = this.#path(pod, volume.name, true);
    const gid = pod.spec.securityContext?.fsGroup;
    writePayload(directory, payload, { gid, mode: volume.configMap ? 0o777 : IN_MEMORY_MODE });
    return directory;
  }

  async #emptyDir(facts: FieldFacts, { name, emptyDir }: Volume): Promise<string> {
    const { pod } = facts;
    const medium = emptyDir?.medium;
    const isInMemory = medium === 'Memory' || isHugePages(medium);
    const path = this.#path(pod, name, isInMemory);
    const made = await mkdir(path, { recursive: true });
    if (isHugePages(medium)) {
      await this.#options.host.mountHugePages(path, pageBytesOf(pod, medium ?? ''));
    } else if (isInMemory) {
      await this.#options.host.mountMemory(path, memoryBytes(facts, emptyDir?.sizeLimit));
    }
    if (made === undefined) return path;
    const gid = pod.spec.securityContext?.fsGroup;
    if (gid !== undefined) await chown(path, 0, gid);
    await chmod(path, gid === undefined ? 0o777 : 0o2777);
    return path;
  }

  /** By fsGroup; with the policy OnRootMismatch only when the volume itself is of another group or mode. */
  async #own(pod: Pod, path: string): Promise<void> {
    const { fsGroup, fsGroupChangePolicy } = pod.spec.securityContext ?? {};
    if (fsGroup === undefined) return;
    if (fsGroupChangePolicy === 'OnRootMismatch') {
      const { gid, mode } = await stat(path);
      if (gid === fsGroup && (mode & OWNED_MODE) === OWNED_MODE) return;
    }
    await this.#options.host.ownTree(path, fsGroup);
  }

  /** Volumes in memory are file systems of their own. */
  async #unmountAll(directory: string): Promise<void> {
    const own = await stat(directory).catch(() => undefined);
    if (!own) return;
    for (const name of await readdir(directory)) {
      const { dev } = await stat(join(directory, name));
      if (dev !== own.dev) await this.#options.host.unmount(join(directory, name));
    }
  }

  #path(pod: Pod, name: string, isInMemory: boolean): string {
    const { paths } = this.#options;
    const { uid } = pod.metadata;
    return join(isInMemory ? podRunDir(paths, uid) : podDir(paths, uid), 'volumes', name);
  }

  #sources(facts: FieldFacts, signal: AbortSignal): PayloadSources {
    const { references, tokens, certificates } = this.#options;
    const namespace = facts.pod.metadata.namespace ?? '';
    return {
      ...facts,
      lookup: (kind, name) =>
        references.get<ConfigMap | Secret>({ kind, ref: { namespace, name } }, signal),
      token: (options) => tokens.get(facts.pod, options, signal),
      trustBundles: () => references.list('clustertrustbundles', signal),
      certificate: (source) => certificates.get(facts.pod, source, signal),
    };
  }
}

/** The kubelet has all such volumes but configMaps in a tmpfs of their own. */
const IN_MEMORY_MODE = 0o1777;

/** What fsGroup gives a volume's own directory: setgid, and all rights of the group. */
const OWNED_MODE = 0o2770;

function isReadOnly({ persistentVolumeClaim }: Volume): boolean {
  return persistentVolumeClaim?.readOnly === true;
}

/** As the kubelet sizes them: what the pod may have of memory, or less if the volume asks for less. */
function memoryBytes({ pod, node }: FieldFacts, sizeLimit: string | undefined): number {
  const { containers, initContainers = [] } = pod.spec;
  const limits = [...containers, ...initContainers].map(({ resources }) =>
    bytes(resources?.limits?.['memory']),
  );
  const own = bytes(pod.spec.resources?.limits?.['memory']);
  const isLimited = limits.every((limit) => limit > 0);
  const sum = limits.reduce((total, limit) => total + limit, 0);
  const most = own > 0 ? own : isLimited ? sum : bytes(node.allocatable['memory']);
  const asked = bytes(sizeLimit);
  return asked > 0 ? Math.min(asked, most) : most;
}
