/**
 * Joins claims with volumes. One controller for both, so that no volume is given away twice: keys with a namespace are
 * claims, those without are volumes, and one is reconciled at a time. Reasons and messages as kube-controller-manager's.
 */

import type {
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '../api/generated/types.ts';
import { type ApiObject, keyOf, type Ref } from '../api/meta.ts';
import {
  BIND_COMPLETED,
  BOUND_BY_CONTROLLER,
  classNameOf,
  defaultClass,
  findVolume,
  isDelayed,
  isMeantFor,
  mismatch,
  NO_PROVISIONER,
  STORAGE_PROVISIONER,
  wantsDefaultClass,
} from '../api/volume-binding.ts';
import type { Cache } from '../client/client.ts';
import { type Context, type Controller, DONE, type Result } from './controller.ts';
import {
  BY_CLAIM,
  claimOfVolume,
  claimsIndex,
  claimsOfPod,
  podsOfClaim,
  setClaimStatus,
  setVolumePhase,
} from './volume-claims.ts';
import { syncVolume } from './volume-phases.ts';

const CLAIMS = 'persistentvolumeclaims';
const VOLUMES = 'persistentvolumes';
const BETA_PROVISIONER = 'volume.beta.kubernetes.io/storage-provisioner';

export const volumeBinder: Controller = {
  name: 'persistentvolume',
  concurrency: 1,
  watches: {
    primary: CLAIMS,
    maps: { [VOLUMES]: keysOfVolume, storageclasses: waitingClaims, pods: claimsOfPod },
    indexes: {
      pods: { [BY_CLAIM]: claimsIndex },
      [VOLUMES]: {
        [BY_CLAIM]: (volume) => claimOfVolume(volume as PersistentVolume).map(keyOf),
      },
    },
  },
  async reconcile(ref, context): Promise<Result> {
    const { cache } = context;
    if (!ref.namespace) {
      const volume = cache.get<PersistentVolume>(VOLUMES, ref);
      if (volume) await syncVolume(volume, context);
      return DONE;
    }
    const claim = cache.get<PersistentVolumeClaim>(CLAIMS, ref);
    await syncOrphans(ref, claim, context);
    if (!claim) return DONE;
    if (claim.metadata.annotations?.[BIND_COMPLETED] !== undefined) await syncBound(claim, context);
    else if (!claim.metadata.deletionTimestamp) await syncUnbound(claim, context);
    return DONE;
  },
};

/** Volumes of a claim that is gone, or was made anew under its name. */
async function syncOrphans(
  ref: Ref,
  claim: PersistentVolumeClaim | undefined,
  context: Context,
): Promise<void> {
  const query = { index: BY_CLAIM, value: keyOf(ref) };
  for (const volume of context.cache.indexed<PersistentVolume>(VOLUMES, query)) {
    const uid = volume.spec?.claimRef?.uid;
    if (uid && uid !== claim?.metadata.uid) await syncVolume(volume, context);
  }
}

/** The volume itself; its claim; when it is free, every claim that waits for one. */
function keysOfVolume(volume: ApiObject, cache: Cache): readonly Ref[] {
  const { name } = volume.metadata;
  const own = [{ name }, ...claimOfVolume(volume)];
  const { spec, status } = volume as PersistentVolume;
  return spec?.claimRef || status?.phase !== 'Available'
    ? own
    : [...own, ...waitingClaims(volume, cache)];
}

function waitingClaims(_object: ApiObject, cache: Cache): readonly Ref[] {
  return cache
    .list<PersistentVolumeClaim>(CLAIMS)
    .filter(({ metadata }) => metadata.annotations?.[BIND_COMPLETED] === undefined)
    .map(({ metadata }) => metadata);
}

async function syncUnbound(given: PersistentVolumeClaim, context: Context): Promise<void> {
  const claim = await withDefaultClass(given, context);
  if (claim.spec?.volumeName) return syncNamed(claim, claim.spec.volumeName, context);
  const { cache, events } = context;
  const className = classNameOf(claim);
  const storageClass = cache.get<StorageClass>('storageclasses', { name: className });
  const delayed = isDelayed(claim, storageClass);
  const volume = findVolume(claim, {
    volumes: cache.list<PersistentVolume>(VOLUMES),
    isDelayed: delayed,
  });
  if (volume) return bind(claim, volume, context);
  await setClaimStatus(claim, { phase: 'Pending' }, context);
  if (delayed) tellDelay(claim, context);
  else if (className) await provision(claim, { storageClass, className }, context);
  else {
    const message = 'no persistent volumes available for this claim and no storage class is set';
    events.normal(claim, 'FailedBinding', message);
  }
}

/** A claim that was there before there was a default class gets it afterwards. */
async function withDefaultClass(
  claim: PersistentVolumeClaim,
  { cache, client }: Context,
): Promise<PersistentVolumeClaim> {
  if (!wantsDefaultClass(claim) || !claim.spec) return claim;
  const found = defaultClass(cache.list<StorageClass>('storageclasses'));
  if (!found) return claim;
  const spec = { ...claim.spec, storageClassName: found.metadata.name };
  return client.update<PersistentVolumeClaim>(CLAIMS, { ...claim, spec });
}

function tellDelay(claim: PersistentVolumeClaim, { cache, events }: Context): void {
  const pod = podsOfClaim(cache, claim.metadata).find(({ spec }) => !spec.nodeName);
  if (pod) {
    const message = `waiting for pod ${pod.metadata.name} to be scheduled`;
    events.normal(claim, 'WaitForPodScheduled', message);
    return;
  }
  const message = 'waiting for first consumer to be created before binding';
  events.normal(claim, 'WaitForFirstConsumer', message);
}

interface Class {
  readonly className: string;
  readonly storageClass: StorageClass | undefined;
}

/** Asks the class's provisioner for a volume, by annotations. */
async function provision(
  claim: PersistentVolumeClaim,
  { className, storageClass }: Class,
  { client, events }: Context,
): Promise<void> {
  if (!storageClass) {
    const message = `storageclass.storage.k8s.io "${className}" not found`;
    events.warning(claim, 'ProvisioningFailed', message);
    return;
  }
  const { provisioner } = storageClass;
  if (provisioner === NO_PROVISIONER) {
    const message =
      'no persistent volumes available for this claim and its class has no provisioner';
    events.normal(claim, 'FailedBinding', message);
    return;
  }
  if (claim.metadata.annotations?.[STORAGE_PROVISIONER] !== provisioner) {
    const annotations = {
      ...claim.metadata.annotations,
      [STORAGE_PROVISIONER]: provisioner,
      [BETA_PROVISIONER]: provisioner,
    };
    const metadata = { ...claim.metadata, annotations };
    await client.update<PersistentVolumeClaim>(CLAIMS, { ...claim, metadata });
  }
  const message = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`;
  events.normal(claim, 'ExternalProvisioning', message);
}

/** A user has chosen the volume. */
async function syncNamed(
  claim: PersistentVolumeClaim,
  name: string,
  context: Context,
): Promise<void> {
  const { cache, events } = context;
  const volume = cache.get<PersistentVolume>(VOLUMES, { name });
  if (volume && (!volume.spec?.claimRef || isMeantFor(volume, claim))) {
    const why = mismatch(volume, claim);
    if (!why) return bind(claim, volume, context);
    events.warning(claim, 'VolumeMismatch', `Cannot bind to requested volume "${name}": ${why}`);
  } else if (volume) {
    events.warning(claim, 'FailedBinding', `volume "${name}" already bound to a different claim.`);
  }
  await setClaimStatus(claim, { phase: 'Pending' }, context);
}

async function syncBound(claim: PersistentVolumeClaim, context: Context): Promise<void> {
  const { volumeName } = claim.spec ?? {};
  if (!volumeName) {
    const message =
      'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!';
    return lose(claim, ['ClaimLost', message], context);
  }
  const volume = context.cache.get<PersistentVolume>(VOLUMES, { name: volumeName });
  if (!volume) {
    const message = 'Bound claim has lost its PersistentVolume. Data on the volume is lost!';
    return lose(claim, ['ClaimLost', message], context);
  }
  if (!volume.spec?.claimRef || isMeantFor(volume, claim)) return bind(claim, volume, context);
  const message = 'Two claims are bound to the same volume, this one is bound incorrectly';
  return lose(claim, ['ClaimMisbound', message], context);
}

async function lose(
  claim: PersistentVolumeClaim,
  [reason, message]: readonly [reason: string, message: string],
  context: Context,
): Promise<void> {
  if (claim.status?.phase === 'Lost') return;
  await setClaimStatus(claim, { phase: 'Lost' }, context);
  context.events.warning(claim, reason, message);
}

/** Four writes, each left out when done before: the volume, its phase, the claim, its status. */
async function bind(
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
  context: Context,
): Promise<void> {
  const { client } = context;
  const owned = await bindVolume(claim, volume, context);
  await setVolumePhase(owned, { phase: 'Bound' }, context);
  const annotations = {
    ...claim.metadata.annotations,
    [BIND_COMPLETED]: 'yes',
    ...(claim.spec?.volumeName ? {} : { [BOUND_BY_CONTROLLER]: 'yes' }),
  };
  const isBound =
    claim.spec?.volumeName !== undefined &&
    claim.metadata.annotations?.[BIND_COMPLETED] !== undefined;
  const bound = isBound
    ? claim
    : await client.update<PersistentVolumeClaim>(CLAIMS, {
        ...claim,
        metadata: { ...claim.metadata, annotations },
        spec: { ...claim.spec, volumeName: volume.metadata.name },
      });
  const { accessModes = [], capacity = {} } = volume.spec ?? {};
  // Once bound, its size is what the node has made of the volume; see volume-expand.ts.
  const size = bound.status?.phase === 'Bound' && bound.status.capacity ? {} : { capacity };
  await setClaimStatus(bound, { phase: 'Bound', accessModes, ...size }, context);
}

async function bindVolume(
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
  { client }: Context,
): Promise<PersistentVolume> {
  const { claimRef } = volume.spec ?? {};
  const { namespace, name, uid, resourceVersion } = claim.metadata;
  if (claimRef?.uid === uid) return volume;
  const annotations = claimRef
    ? volume.metadata.annotations
    : { ...volume.metadata.annotations, [BOUND_BY_CONTROLLER]: 'yes' };
  const ref = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    ...(namespace ? { namespace } : {}),
    name,
    uid,
    ...(resourceVersion ? { resourceVersion } : {}),
  };
  return client.update<PersistentVolume>(VOLUMES, {
    ...volume,
    metadata: { ...volume.metadata, ...(annotations ? { annotations } : {}) },
    spec: { ...volume.spec, claimRef: ref },
  });
}
