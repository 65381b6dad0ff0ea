/** Makes the claim of each generic ephemeral volume of a pod; the pod owns it, so it goes with the pod. */

import type { PersistentVolumeClaim, Pod, Volume } from '../api/generated/types.ts';
import { claimNameOf, foreignClaim } from '../api/volume-binding.ts';
import { describe } from '../log/log.ts';
import { type Context, type Controller, DONE } from './controller.ts';
import { isFinished } from './pods.ts';

export const ephemeralVolume: Controller = {
  name: 'ephemeral-volume',
  watches: {
    primary: 'pods',
    owns: ['persistentvolumeclaims'],
  },
  async reconcile(ref, context, signal) {
    const pod = context.cache.get<Pod>('pods', ref);
    if (!pod || pod.metadata.deletionTimestamp || isFinished(pod)) return DONE;
    for (const volume of pod.spec.volumes ?? []) {
      if (!volume.ephemeral) continue;
      try {
        await ensure(pod, volume, context, signal);
      } catch (error) {
        const message = `ephemeral volume ${volume.name}: ${describe(error)}`;
        context.events.warning(pod, 'FailedBinding', message);
        throw error;
      }
    }
    return DONE;
  },
};

async function ensure(
  pod: Pod,
  volume: Volume,
  { cache, client }: Context,
  signal: AbortSignal,
): Promise<void> {
  const { namespace = '' } = pod.metadata;
  const name = claimNameOf(pod, volume) ?? '';
  const found = cache.get<PersistentVolumeClaim>('persistentvolumeclaims', { namespace, name });
  const why = found && foreignClaim(pod, found);
  if (why) throw new Error(why);
  if (found) return;
  const { metadata, spec } = volume.ephemeral?.volumeClaimTemplate ?? {};
  const { labels, annotations } = metadata ?? {};
  const owner = {
    apiVersion: 'v1',
    kind: 'Pod',
    name: pod.metadata.name,
    uid: pod.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  await client.create<PersistentVolumeClaim>(
    'persistentvolumeclaims',
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        namespace,
        name,
        ownerReferences: [owner],
        ...(labels ? { labels } : {}),
        ...(annotations ? { annotations } : {}),
      },
      spec: spec ?? {},
    },
    signal,
  );
}
