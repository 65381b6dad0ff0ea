/** What all pulls of one pod have in common: the store, the queue, and the logins of the pod's pull secrets. */

import type { Pod, Secret } from '../../api/generated/types.ts';
import type { NodeContext } from '../node-context.ts';
import type { ImageContext } from './pull-image.ts';

/** Secrets that are not there are told by an event; the pull is tried without them. */
export async function imagesOf(
  { engine, clock, events, references, pulls, imageAccess }: NodeContext,
  pod: Pod,
  signal: AbortSignal,
): Promise<Omit<ImageContext, 'record'>> {
  const namespace = pod.metadata.namespace ?? '';
  const names = (pod.spec.imagePullSecrets ?? []).flatMap(({ name }) => (name ? [name] : []));
  const found = await Promise.all(
    names.map((name) =>
      references.get<Secret>({ kind: 'secrets', ref: { namespace, name } }, signal),
    ),
  );
  const missing = names.filter((_, at) => found[at] === undefined);
  if (missing.length > 0) {
    const message = `Unable to retrieve some image pull secrets (${missing.join(', ')}); attempting to pull the image may not succeed.`;
    events.record(pod, { type: 'Warning', reason: 'FailedToRetrieveImagePullSecret', message });
  }
  const pullSecrets = found.filter((secret) => secret !== undefined);
  return { images: engine.images, clock, pulls, access: imageAccess, pullSecrets };
}
