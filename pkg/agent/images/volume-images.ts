/** Brings the images of a container's image volumes to the node and mounts them, before the container is made. */

import type { Container, Pod } from '../../api/generated/types.ts';
import type { EventDetails } from '../events.ts';
import type { NodeContext } from '../node-context.ts';
import { StartError } from '../pod/start-error.ts';
import { imagesOf } from './pod-images.ts';
import { ensureImage } from './pull-image.ts';

/** Rejects with an ImagePullError as for the container's own image, or a StartError when it cannot be mounted. */
export async function mountImageVolumes(
  context: NodeContext,
  { pod, container }: { readonly pod: Pod; readonly container: Container },
  record: (details: EventDetails) => void,
  signal: AbortSignal,
): Promise<void> {
  const mounted = new Set((container.volumeMounts ?? []).map(({ name }) => name));
  for (const { name, image } of pod.spec.volumes ?? []) {
    if (image === undefined || !mounted.has(name)) continue;
    const wanted = {
      image: image.reference ?? '',
      ...(image.pullPolicy ? { imagePullPolicy: image.pullPolicy } : {}),
    };
    const images = await imagesOf(context, pod, signal);
    const found = await ensureImage(wanted, { ...images, record }, signal);
    try {
      await context.volumes.images.mount(pod.metadata.uid, name, found);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new StartError('CreateContainerError', `image volume "${name}": ${why}`, error);
    }
  }
}
