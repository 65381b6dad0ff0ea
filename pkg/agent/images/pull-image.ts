/** Brings a container's image to the node according to its pull policy, with the events kubectl users know. */

import type { Secret } from '../../api/generated/types.ts';
import type { Credentials, Image, ImageStore } from '../../image/image-store.ts';
import { parseReference } from '../../image/reference.ts';
import { describe } from '../../log/log.ts';
import type { Clock } from '../../wait/clock.ts';
import type { EventDetails } from '../events.ts';
import { ImagePullError } from '../pod/start-error.ts';
import type { ImageAccess } from './image-access.ts';
import { credentialsFor } from './keyring.ts';
import { followPull } from './pull-progress.ts';

/** Runs at most a number of pulls at a time. */
export interface PullQueue {
  run<T>(pull: () => Promise<T>): Promise<T>;
}

export interface ImageContext {
  readonly images: ImageStore;
  /** Pulls at a time, of all pods. */
  readonly pulls: PullQueue;
  readonly access: Pick<ImageAccess, 'allows' | 'grant'>;
  readonly clock: Clock;
  readonly pullSecrets: readonly Secret[];
  record(details: Pick<EventDetails, 'type' | 'reason' | 'message'>): void;
}

/** What a container or a volume asks for. */
interface Wanted {
  readonly image?: string;
  readonly imagePullPolicy?: string;
}

/** The image, pulled if the policy asks for it. Rejects with an ImagePullError. */
export async function ensureImage(
  wanted: Wanted,
  context: ImageContext,
  signal: AbortSignal,
): Promise<Image> {
  const image = wanted.image ?? '';
  const policy = wanted.imagePullPolicy ?? defaultPolicy(image);
  const present = find(context, image);
  // Imported by hand or embedded: there may be no registry that has it, and the one on the node is the one meant.
  if (present && (present.isPinned || (policy !== 'Always' && mayUse(present, image, context)))) {
    const message = `Container image "${image}" already present on machine and can be accessed by the pod`;
    context.record({ type: 'Normal', reason: 'Pulled', message });
    return present;
  }
  if (policy === 'Never') {
    const message = `Container image "${image}" is not present with pull policy of Never`;
    context.record({ type: 'Warning', reason: 'ErrImageNeverPull', message });
    context.record({ type: 'Warning', reason: 'Failed', message: 'Error: ErrImageNeverPull' });
    throw new ImagePullError('ErrImageNeverPull', { image, message });
  }
  return pull(image, context, signal);
}

/** Whether the pod need not show the registry that it may have the image. */
function mayUse({ id }: Image, image: string, { access, pullSecrets }: ImageContext): boolean {
  return access.allows(id, credentialsFor(image, pullSecrets));
}

/** What is on the node already; an image's id is as good as its name. */
function find({ images, record }: ImageContext, image: string): Image | undefined {
  const present = images.get(image);
  if (present) return present;
  try {
    parseReference(image);
    return undefined;
  } catch (error) {
    const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format (${describe(error)})`;
    record({ type: 'Warning', reason: 'InspectFailed', message });
    record({ type: 'Warning', reason: 'Failed', message: 'Error: InvalidImageName' });
    throw new ImagePullError('InvalidImageName', { image, message, cause: error });
  }
}

async function pull(image: string, context: ImageContext, signal: AbortSignal): Promise<Image> {
  const { images, clock, record, pulls } = context;
  const askedMs = clock.monotonic();
  let startMs = askedMs;
  try {
    const credentials = credentialsFor(image, context.pullSecrets);
    const pulled = await pulls.run(async () => {
      signal.throwIfAborted();
      startMs = clock.monotonic();
      record({ type: 'Normal', reason: 'Pulling', message: `Pulling image "${image}"` });
      const progress = followPull({ image, clock, record });
      try {
        const onTaken = (taken: { id: string; credentials: Credentials | undefined }) =>
          context.access.grant(taken.id, taken.credentials);
        const options = { credentials, onTaken, onProgress: progress.update };
        return await images.pull(image, options, signal);
      } finally {
        progress.end();
      }
    });
    const took = goDuration(clock.monotonic() - startMs);
    const whole = goDuration(clock.monotonic() - askedMs);
    const message = `Successfully pulled image "${image}" in ${took} (${whole} including waiting). Image size: ${pulled.sizeBytes} bytes.`;
    record({ type: 'Normal', reason: 'Pulled', message });
    return pulled;
  } catch (error) {
    if (signal.aborted) throw error;
    const reason = 'ErrImagePull';
    const message = `Failed to pull image "${image}": ${describe(error)}`;
    record({ type: 'Warning', reason: 'Failed', message });
    record({ type: 'Warning', reason: 'Failed', message: `Error: ${reason}` });
    throw new ImagePullError(reason, { image, message: describe(error), cause: error });
  }
}

/** Always for `:latest` and for no tag, else IfNotPresent; the API server sets it on stored pods. */
function defaultPolicy(image: string): string {
  const name = image.slice(image.lastIndexOf('/') + 1);
  if (name.includes('@')) return 'IfNotPresent';
  return !name.includes(':') || name.endsWith(':latest') ? 'Always' : 'IfNotPresent';
}

/** Whole milliseconds as Go prints them: 523ms, 1.5s, 1m2.5s. */
function goDuration(ms: number): string {
  if (ms < 1000) return `${Math.floor(ms)}ms`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = `${Math.floor(ms % 60_000) / 1000}s`;
  if (minutes === 0) return seconds;
  const hours = Math.floor(minutes / 60);
  return hours > 0 ? `${hours}h${minutes % 60}m${seconds}` : `${minutes}m${seconds}`;
}
