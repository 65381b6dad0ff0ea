/** What the controllers of volumes have in common: pods by the claims that they use, phases. */

import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../api/generated/types.ts';
import type { ApiObject, Ref } from '../api/meta.ts';
import { claimNamesOf } from '../api/volume-binding.ts';
import type { Cache } from '../client/client.ts';
import type { Context } from './controller.ts';
import { timestamp } from './pods.ts';

/** Index of pods by `<namespace>/<claim>`. */
export const BY_CLAIM = 'claim';

export function claimsIndex(pod: object): readonly string[] {
  const { metadata } = pod as Pod;
  return claimNamesOf(pod as Pod).map((name) => `${metadata.namespace}/${name}`);
}

/** The claims that a pod uses, as keys. */
export function claimsOfPod(pod: ApiObject): readonly Ref[] {
  const { namespace = '' } = pod.metadata;
  return claimNamesOf(pod as Pod).map((name) => ({ namespace, name }));
}

/** The pods that use a claim. */
export function podsOfClaim(cache: Cache, { namespace, name }: Ref): readonly Pod[] {
  return cache.indexed<Pod>('pods', { index: BY_CLAIM, value: `${namespace}/${name}` });
}

/** The claim that a volume is bound or promised to, as a key. */
export function claimOfVolume(volume: ApiObject): readonly Ref[] {
  const { namespace, name } = (volume as PersistentVolume).spec?.claimRef ?? {};
  return namespace && name ? [{ namespace, name }] : [];
}

/** Writes the phase when it is another one; resolves to the object as it is then. */
export async function setVolumePhase(
  volume: PersistentVolume,
  status: { readonly phase: string; readonly message?: string; readonly reason?: string },
  { client, now }: Context,
): Promise<PersistentVolume> {
  const { phase, message, reason } = volume.status ?? {};
  if (phase === status.phase && message === status.message && reason === status.reason)
    return volume;
  const lastPhaseTransitionTime =
    phase === status.phase ? volume.status?.lastPhaseTransitionTime : timestamp(now());
  const next = { ...status, ...(lastPhaseTransitionTime ? { lastPhaseTransitionTime } : {}) };
  return client.updateStatus<PersistentVolume>('persistentvolumes', { ...volume, status: next });
}

/** Writes these fields of the status when they differ; resolves to the object as it is then. */
export async function setClaimStatus(
  claim: PersistentVolumeClaim,
  status: NonNullable<PersistentVolumeClaim['status']>,
  { client }: Context,
): Promise<PersistentVolumeClaim> {
  const next = { ...claim.status, ...status };
  if (JSON.stringify(next) === JSON.stringify(claim.status)) return claim;
  return client.updateStatus<PersistentVolumeClaim>('persistentvolumeclaims', {
    ...claim,
    status: next,
  });
}
