/** What becomes of a volume: free, bound, released, and reclaimed as its policy says. */

import { isReason } from '../api/errors.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../api/generated/types.ts';
import { BOUND_BY_CONTROLLER, PROVISIONED_BY } from '../api/volume-binding.ts';
import type { Context } from './controller.ts';
import { setVolumePhase } from './volume-claims.ts';

/** Brings the volume's phase up to date. */
export async function syncVolume(volume: PersistentVolume, context: Context): Promise<void> {
  const { claimRef } = volume.spec ?? {};
  // Only promised to a claim, or to nobody: the claim's turn does the rest.
  if (!claimRef?.uid) {
    await setVolumePhase(volume, { phase: 'Available' }, context);
    return;
  }
  const { namespace = '', name = '', uid } = claimRef;
  const claim = context.cache.get<PersistentVolumeClaim>('persistentvolumeclaims', {
    namespace,
    name,
  });
  if (claim?.metadata.uid !== uid) {
    if (!(await isClaimed(volume, context))) await release(volume, context);
    return;
  }
  if (claim.spec?.volumeName === volume.metadata.name) {
    await setVolumePhase(volume, { phase: 'Bound' }, context);
    return;
  }
  if (claim.spec?.volumeName) await unbind(volume, context);
}

/** Asks the server, as data may be deleted by the answer and the cache may be behind. */
async function isClaimed({ spec }: PersistentVolume, { client }: Context): Promise<boolean> {
  const { namespace = '', name = '', uid } = spec?.claimRef ?? {};
  try {
    const claim = await client.get('persistentvolumeclaims', { namespace, name });
    return claim.metadata.uid === uid;
  } catch (error) {
    if (isReason(error, 'NotFound')) return false;
    throw error;
  }
}

/** Its claim has found another volume. */
async function unbind(volume: PersistentVolume, context: Context): Promise<void> {
  const isDynamic = volume.metadata.annotations?.[PROVISIONED_BY] !== undefined;
  if (isDynamic && volume.spec?.persistentVolumeReclaimPolicy === 'Delete') {
    return release(volume, context);
  }
  const { [BOUND_BY_CONTROLLER]: byController, ...annotations } = volume.metadata.annotations ?? {};
  const { claimRef, ...spec } = volume.spec ?? {};
  // A user who promised it to the claim by name meets that promise again when the claim is made anew.
  const { namespace, name } = claimRef ?? {};
  const kept = byController ? spec : { ...spec, claimRef: { namespace, name } };
  const free = await context.client.update<PersistentVolume>('persistentvolumes', {
    ...volume,
    metadata: { ...volume.metadata, annotations },
    spec: kept,
  } as PersistentVolume);
  await setVolumePhase(free, { phase: 'Available' }, context);
}

/** The claim is gone. A provisioner that made the volume sees the phase and deletes it. */
async function release(volume: PersistentVolume, context: Context): Promise<void> {
  if (volume.status?.phase === 'Failed') return;
  const { name } = volume.metadata;
  const released = await setVolumePhase(volume, { phase: 'Released' }, context);
  const policy = volume.spec?.persistentVolumeReclaimPolicy;
  if (policy === 'Recycle') {
    const message = `Recycling is not supported: delete the volume "${name}", or set its reclaim policy to Retain`;
    await fail(released, ['VolumeFailedRecycle', message], context);
  } else if (policy === 'Delete' && !volume.metadata.annotations?.[PROVISIONED_BY]) {
    const message = `error getting deleter volume plugin for volume "${name}": no deletable volume plugin matched`;
    await fail(released, ['VolumeFailedDelete', message], context);
  }
}

async function fail(
  volume: PersistentVolume,
  [reason, message]: readonly [reason: string, message: string],
  context: Context,
): Promise<void> {
  await setVolumePhase(volume, { phase: 'Failed', reason, message }, context);
  context.events.warning(volume, reason, message);
}
