/** Keeps claims that pods use, volumes that are bound and classes that either names until they are free: a deletion waits for that. */

import type {
  PersistentVolume,
  PersistentVolumeClaim,
  VolumeAttributesClass,
} from '../api/generated/types.ts';
import type { ApiObject, Ref } from '../api/meta.ts';
import { type Context, type Controller, DONE, type Result } from './controller.ts';
import { BY_CLAIM, claimsIndex, claimsOfPod, podsOfClaim } from './volume-claims.ts';

const CLAIM_FINALIZER = 'kubernetes.io/pvc-protection';
const VOLUME_FINALIZER = 'kubernetes.io/pv-protection';
const CLASS_FINALIZER = 'kubernetes.io/vac-protection';
const CLASSES = 'volumeattributesclasses';
/** Index of volumes and claims by the classes of attributes that they name. */
const BY_CLASS = 'attributes-class';

export const claimProtection: Controller = {
  name: 'pvc-protection',
  watches: {
    primary: 'persistentvolumeclaims',
    maps: { pods: claimsOfPod },
    indexes: { pods: { [BY_CLAIM]: claimsIndex } },
  },
  reconcile(ref, context): Promise<Result> {
    const claim = context.cache.get<PersistentVolumeClaim>('persistentvolumeclaims', ref);
    // A pod without a node has not seen the claim; its node would refuse it now.
    const isUsed = () => podsOfClaim(context.cache, ref).some(({ spec }) => spec.nodeName);
    return protect(claim, { finalizer: CLAIM_FINALIZER, isUsed }, context);
  },
};

export const volumeProtection: Controller = {
  name: 'pv-protection',
  watches: { primary: 'persistentvolumes' },
  reconcile(ref, context): Promise<Result> {
    const volume = context.cache.get<PersistentVolume>('persistentvolumes', ref);
    const isUsed = () => volume?.status?.phase === 'Bound';
    return protect(volume, { finalizer: VOLUME_FINALIZER, isUsed }, context);
  },
};

export const classProtection: Controller = {
  name: 'vac-protection',
  watches: {
    primary: CLASSES,
    maps: { persistentvolumes: classesOf, persistentvolumeclaims: classesOf },
    indexes: {
      persistentvolumes: { [BY_CLASS]: classNames },
      persistentvolumeclaims: { [BY_CLASS]: classNames },
    },
  },
  reconcile(ref, context): Promise<Result> {
    const { cache } = context;
    const query = { index: BY_CLASS, value: ref.name };
    const isUsed = () =>
      ['persistentvolumes', 'persistentvolumeclaims'].some(
        (resource) => cache.indexed(resource, query).length > 0,
      );
    const found = cache.get<VolumeAttributesClass>(CLASSES, ref);
    return protect(found, { finalizer: CLASS_FINALIZER, isUsed }, context);
  },
};

/** What an object has, or is to have, or had until a moment ago. */
function classNames(object: object): readonly string[] {
  const { spec, status } = object as Partial<PersistentVolumeClaim>;
  const names = [
    spec?.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ];
  return [...new Set(names.flatMap((name) => name || []))];
}

function classesOf(object: ApiObject): readonly Ref[] {
  return classNames(object).map((name) => ({ name }));
}

const RESOURCES: Readonly<Record<string, string>> = {
  PersistentVolume: 'persistentvolumes',
  PersistentVolumeClaim: 'persistentvolumeclaims',
  VolumeAttributesClass: CLASSES,
};

interface Protection {
  readonly finalizer: string;
  isUsed(): boolean;
}

async function protect(
  object: ApiObject | undefined,
  { finalizer, isUsed }: Protection,
  { client }: Context,
): Promise<Result> {
  if (!object) return DONE;
  const { finalizers = [], deletionTimestamp } = object.metadata;
  const has = finalizers.includes(finalizer);
  if (deletionTimestamp ? !has || isUsed() : has) return DONE;
  const next = deletionTimestamp
    ? finalizers.filter((each) => each !== finalizer)
    : [...finalizers, finalizer];
  await client.update(RESOURCES[object.kind ?? ''] ?? '', {
    ...object,
    metadata: { ...object.metadata, finalizers: next },
  });
  return DONE;
}
