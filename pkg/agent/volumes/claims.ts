/** Volumes of a pod that are claims: finds the volume behind the claim and makes it ready. Words as the kubelet's. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isReason } from '../../api/errors.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeSpec,
  Pod,
  Volume,
} from '../../api/generated/types.ts';
import type { ApiObject, Ref } from '../../api/meta.ts';
import { claimNameOf, foreignClaim, volumeSources } from '../../api/volume-binding.ts';
import type { Client } from '../../client/client.ts';
import { allContainers } from '../pod/records.ts';
import { hostPath } from './host-path.ts';
import { LocalPath, type LocalPathOptions, storageDirectory } from './local-path.ts';
import { VolumeUsers } from './volume-users.ts';

/** A block volume could not be made ready. */
export class MapError extends Error {}

/** Files of a hostPath belong to the host: fsGroup does not apply, and they are not measured. */
export interface MountedClaim {
  /** Of a directory, or of a device. */
  readonly path: string;
  readonly kind: 'directory' | 'device' | 'host';
}

type ClaimsOptions = Omit<LocalPathOptions, 'directory' | 'users'> & { readonly dataDir: string };

export class Claims {
  readonly #client: Client;
  readonly #users: VolumeUsers;
  readonly #localPath: LocalPath;
  /** By uid of the pod, then by name of its volume. */
  readonly #mounted = new Map<string, Map<string, MountedClaim>>();

  constructor(options: ClaimsOptions) {
    const directory = storageDirectory(options.dataDir);
    this.#client = options.client;
    this.#users = new VolumeUsers(join(directory, '.users'));
    this.#localPath = new LocalPath({ ...options, directory, users: this.#users });
  }

  /** Undefined when the volume is of another kind. */
  async mount(pod: Pod, volume: Volume, signal: AbortSignal): Promise<MountedClaim | undefined> {
    const name = claimNameOf(pod, volume);
    if (name === undefined) return undefined;
    const found = await this.#volumeOf(pod, { volume, name }, signal);
    checkUse(pod, volume, found);
    const { uid } = pod.metadata;
    await this.#users.add(found.metadata.name, uid);
    const claim = await this.#mount(found);
    const mine = this.#mounted.get(uid) ?? new Map<string, MountedClaim>();
    this.#mounted.set(uid, mine.set(volume.name, claim));
    return claim;
  }

  /** The claims that are mounted for a pod, by the names of its volumes. */
  mounted(uid: string): ReadonlyMap<string, MountedClaim> {
    return this.#mounted.get(uid) ?? new Map();
  }

  async #mount(found: PersistentVolume): Promise<MountedClaim> {
    const isBlock = found.spec?.volumeMode === 'Block';
    try {
      if (this.#localPath.isOwn(found)) {
        const kind = isBlock ? 'device' : 'directory';
        return { path: await this.#localPath.mount(found), kind };
      }
      return await (isBlock ? mapStatic : mountStatic)(found.metadata.name, found.spec ?? {});
    } catch (error) {
      if (!isBlock) throw error;
      throw new MapError(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  /** The pod's containers are gone. */
  async release(uid: string): Promise<void> {
    this.#mounted.delete(uid);
    for (const name of await this.#users.volumesOf(uid)) {
      await this.#users.remove(name, uid);
      await this.#localPath.release(name);
    }
  }

  /** Uids of the pods that use claims here, whatever else there is of them. */
  users(): Promise<readonly string[]> {
    return this.#users.pods();
  }

  close(): Promise<void> {
    return this.#localPath.close();
  }

  async #volumeOf(
    pod: Pod,
    { volume, name }: { readonly volume: Volume; readonly name: string },
    signal: AbortSignal,
  ): Promise<PersistentVolume> {
    const { namespace = '', uid } = pod.metadata;
    const ref = { namespace, name };
    const claim = await this.#get<PersistentVolumeClaim>('persistentvolumeclaims', ref, signal);
    if (!claim) throw new Error(`persistentvolumeclaim "${name}" not found`);
    const foreign = volume.ephemeral && foreignClaim(pod, claim);
    if (foreign) throw new Error(foreign);
    const { volumeName = '' } = claim.spec ?? {};
    if (claim.status?.phase !== 'Bound' || volumeName === '') {
      const phase = claim.status?.phase ?? '';
      throw new Error(
        `PVC ${namespace}/${name} has non-bound phase ("${phase}") or empty pvc.Spec.VolumeName ("${volumeName}")`,
      );
    }
    const users = await this.#users.of(volumeName);
    if (claim.metadata.deletionTimestamp && !users.includes(uid)) {
      throw new Error(`can't start pod because PVC ${namespace}/${name} is being deleted`);
    }
    if (
      claim.spec?.accessModes?.includes('ReadWriteOncePod') &&
      users.some((each) => each !== uid)
    ) {
      throw new Error(
        'volume uses the ReadWriteOncePod access mode and is already in use by another pod',
      );
    }
    const found = await this.#get<PersistentVolume>(
      'persistentvolumes',
      { name: volumeName },
      signal,
    );
    if (!found) throw new Error(`persistentvolume "${volumeName}" not found`);
    if (found.spec?.claimRef?.uid !== claim.metadata.uid) {
      throw new Error(`persistentvolume "${volumeName}" is not bound to PVC ${namespace}/${name}`);
    }
    return found;
  }

  async #get<T extends ApiObject>(
    resource: string,
    ref: Ref,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await this.#client.get<T>(resource, ref, signal);
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}

/** Containers mount directories and map devices, not the other way round. */
function checkUse(pod: Pod, { name }: Volume, { spec }: PersistentVolume): void {
  const mode = spec?.volumeMode ?? 'Filesystem';
  const wrong = mode === 'Block' ? 'volumeMounts' : 'volumeDevices';
  const isUsedSo = allContainers(pod).some((container) =>
    container[wrong]?.some((use) => use.name === name),
  );
  if (isUsedSo)
    throw new Error(`volume ${name} has volumeMode ${mode}, but is specified in ${wrong}`);
}

async function mapStatic(_name: string, spec: PersistentVolumeSpec): Promise<MountedClaim> {
  if (!spec.local) throw otherKind(spec, 'local block volumes');
  const { path } = spec.local;
  const stats = await stat(path).catch(() => undefined);
  if (!stats) throw new Error(`path "${path}" does not exist`);
  if (!stats.isBlockDevice()) throw new Error(`path "${path}" is no block device`);
  return { path, kind: 'device' };
}

async function mountStatic(name: string, spec: PersistentVolumeSpec): Promise<MountedClaim> {
  if (spec.mountOptions?.length) {
    throw new Error(`volume ${name} has mountOptions: directories of this node take none`);
  }
  if (spec.hostPath) return { path: await hostPath(spec.hostPath), kind: 'host' };
  if (spec.local) {
    const { path } = spec.local;
    const stats = await stat(path).catch(() => undefined);
    if (!stats) throw new Error(`path "${path}" does not exist`);
    if (!stats.isDirectory()) {
      throw new Error(`path "${path}" is no directory: this node mounts local volumes that are`);
    }
    return { path, kind: 'directory' };
  }
  throw otherKind(spec, 'hostPath and local');
}

function otherKind(spec: PersistentVolumeSpec, known: string): Error {
  if (spec.csi) {
    return new Error(
      `driver name ${spec.csi.driver} not found in the list of registered CSI drivers`,
    );
  }
  const [kind = 'unknown'] = volumeSources(spec);
  return new Error(`volumes of kind ${kind} are not supported by this node: it has ${known}`);
}
