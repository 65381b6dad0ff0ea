/** Keeps claims that pods use, and volumes that are bound, until they are free: a deletion waits for that. */

import type { PersistentVolume, PersistentVolumeClaim } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import { type Context, type Controller, DONE, type Result } from './controller.ts';
import { BY_CLAIM, claimsIndex, claimsOfPod, podsOfClaim } from './volume-claims.ts';

const CLAIM_FINALIZER = 'kubernetes.io/pvc-protection';
const VOLUME_FINALIZER = 'kubernetes.io/pv-protection';

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
  const resource =
    object.kind === 'PersistentVolume' ? 'persistentvolumes' : 'persistentvolumeclaims';
  await client.update(resource, { ...object, metadata: { ...object.metadata, finalizers: next } });
  return DONE;
}
