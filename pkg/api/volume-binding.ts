/** Which volume suits which claim: what the volume binder and the scheduler must agree on. Pure functions. */

import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeSpec,
  Pod,
  StorageClass,
  Volume,
} from './generated/types.ts';
import { compareQuantities } from './quantity.ts';
import { matchesLabels, selectorOf } from './selectors.ts';

/** The binder has done its part of this claim. */
export const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed';
/** The binder, not a user, joined the two. */
export const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller';
export const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';
export const STORAGE_PROVISIONER = 'volume.kubernetes.io/storage-provisioner';
export const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
/** The provisioner of classes whose volumes administrators make. */
export const NO_PROVISIONER = 'kubernetes.io/no-provisioner';
/** mini's own provisioner; also the finalizer of its volumes and the node's annotation with its directory for them. */
export const LOCAL_PATH = 'mini/local-path';
/** Label of a volume with the node that has it; bytes that a volume really has; what its node has made it of. */
export const VOLUME_NODE = 'mini/node';
export const VOLUME_BYTES = 'mini/bytes';
export const VOLUME_BACKING = 'mini/backing';

/** The fields of a volume's spec that are no source. */
const NOT_SOURCES = [
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
];
const BETA_CLASS = 'volume.beta.kubernetes.io/storage-class';
const DEFAULT_CLASS = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

/** The fields of a volume's spec that say where its data is; a valid one has one. */
export function volumeSources(spec: PersistentVolumeSpec): readonly string[] {
  return Object.keys(spec).filter((key) => !NOT_SOURCES.includes(key));
}

/** Name of the class; empty = none. */
export function classNameOf({ metadata, spec }: PersistentVolume | PersistentVolumeClaim): string {
  return metadata.annotations?.[BETA_CLASS] ?? spec?.storageClassName ?? '';
}

/** Whether a claim says nothing of a class, so that the default one is meant. */
export function wantsDefaultClass({ metadata, spec }: PersistentVolumeClaim): boolean {
  return spec?.storageClassName === undefined && metadata.annotations?.[BETA_CLASS] === undefined;
}

/** The newest of the default classes. */
export function defaultClass(classes: readonly StorageClass[]): StorageClass | undefined {
  return classes
    .filter(({ metadata }) => DEFAULT_CLASS.some((key) => metadata.annotations?.[key] === 'true'))
    .toSorted(
      (a, b) =>
        compare(b.metadata.creationTimestamp, a.metadata.creationTimestamp) ||
        compare(a.metadata.name, b.metadata.name),
    )[0];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether the claim waits until a pod that uses it has a node. */
export function isDelayed(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass | undefined,
): boolean {
  return (
    storageClass?.volumeBindingMode === 'WaitForFirstConsumer' &&
    claim.metadata.annotations?.[SELECTED_NODE] === undefined
  );
}

/** Whether the binder has joined the claim with its volume. */
export function isFullyBound({ metadata, spec, status }: PersistentVolumeClaim): boolean {
  return (
    metadata.annotations?.[BIND_COMPLETED] !== undefined &&
    Boolean(spec?.volumeName) &&
    status?.phase === 'Bound'
  );
}

/** Whether a volume names this claim as its own, by name alone or with its uid. */
export function isMeantFor(
  { spec }: PersistentVolume,
  { metadata }: PersistentVolumeClaim,
): boolean {
  const { namespace, name, uid } = spec?.claimRef ?? {};
  return (
    name === metadata.name && namespace === metadata.namespace && (!uid || uid === metadata.uid)
  );
}

/** Why a volume that the claim names does not do; undefined = it does. Source: Kubernetes' checkVolumeSatisfyClaim. */
export function mismatch(
  volume: PersistentVolume,
  claim: PersistentVolumeClaim,
): string | undefined {
  const wanted = claim.spec?.resources?.requests?.['storage'] ?? '0';
  const has = volume.spec?.capacity?.['storage'] ?? '0';
  if (compareQuantities(has, wanted) < 0) return 'requested PV is too small';
  if (classNameOf(volume) !== classNameOf(claim)) {
    return 'storageClassName does not match';
  }
  if (attributesClass(volume) !== attributesClass(claim)) {
    return 'volumeAttributesClassName does not match';
  }
  if (modeOf(volume) !== modeOf(claim)) return 'incompatible volumeMode';
  if (!hasModes(volume, claim)) return 'incompatible accessMode';
  return undefined;
}

function modeOf({ spec }: PersistentVolume | PersistentVolumeClaim): string {
  return spec?.volumeMode ?? 'Filesystem';
}

function attributesClass({ spec }: PersistentVolume | PersistentVolumeClaim): string {
  return spec?.volumeAttributesClassName ?? '';
}

function hasModes({ spec }: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  return (claim.spec?.accessModes ?? []).every((mode) => spec?.accessModes?.includes(mode));
}

export interface Search {
  readonly volumes: readonly PersistentVolume[];
  /** Only volumes that are meant for the claim: others wait until a pod has a node. */
  readonly isDelayed?: boolean;
  /** Names of volumes that are taken by other claims of the same pod. */
  readonly taken?: ReadonlySet<string>;
  /** Whether a node can use the volume; absent = no node is chosen yet. */
  isUsable?(volume: PersistentVolume): boolean;
}

/** The volume that is meant for the claim, or else the smallest free one that does. */
export function findVolume(
  claim: PersistentVolumeClaim,
  search: Search,
): PersistentVolume | undefined {
  const wanted = claim.spec?.resources?.requests?.['storage'] ?? '0';
  const usable = search.volumes.filter(
    (volume) =>
      !volume.metadata.deletionTimestamp &&
      !search.taken?.has(volume.metadata.name) &&
      modeOf(volume) === modeOf(claim) &&
      hasModes(volume, claim) &&
      attributesClass(volume) === attributesClass(claim) &&
      compareQuantities(sizeOf(volume), wanted) >= 0 &&
      search.isUsable?.(volume) !== false,
  );
  const meant = usable.find((volume) => isMeantFor(volume, claim));
  if (meant || search.isDelayed) return meant;
  const selector = claim.spec?.selector;
  return usable
    .filter(
      (volume) =>
        !volume.spec?.claimRef &&
        volume.status?.phase === 'Available' &&
        classNameOf(volume) === classNameOf(claim) &&
        (!selector || matchesLabels(selectorOf(selector), volume.metadata.labels)),
    )
    .toSorted((a, b) => compareQuantities(sizeOf(a), sizeOf(b)))[0];
}

function sizeOf({ spec }: PersistentVolume): string {
  return spec?.capacity?.['storage'] ?? '0';
}

/** Name of the claim behind a volume of a pod; undefined for other kinds of volumes. */
export function claimNameOf(pod: Pod, volume: Volume): string | undefined {
  if (volume.persistentVolumeClaim) return volume.persistentVolumeClaim.claimName;
  return volume.ephemeral ? `${pod.metadata.name}-${volume.name}` : undefined;
}

/** Names of all claims that a pod uses. */
export function claimNamesOf(pod: Pod): readonly string[] {
  return (pod.spec.volumes ?? []).flatMap((volume) => claimNameOf(pod, volume) ?? []);
}

/** Why the claim of an ephemeral volume is not the pod's own; undefined = it is. */
export function foreignClaim(pod: Pod, { metadata }: PersistentVolumeClaim): string | undefined {
  const isOwn = metadata.ownerReferences?.some(
    ({ uid, controller }) => controller === true && uid === pod.metadata.uid,
  );
  const { namespace, name } = metadata;
  if (isOwn) return undefined;
  return `PVC ${namespace}/${name} was not created for pod ${pod.metadata.namespace}/${pod.metadata.name} (pod is not owner)`;
}
