/** Brings a container's image to the node according to its pull policy, with the events kubectl users know. */

import type { Container, Secret } from '../../api/generated/types.ts';
import {
  type Credentials,
  type Image,
  ImageError,
  type ImageStore,
} from '../../image/image-store.ts';
import { describe } from '../../log/log.ts';
import type { Clock } from '../../wait/clock.ts';
import type { EventDetails } from '../events.ts';
import { ImagePullError } from './start-error.ts';

export interface ImageContext {
  readonly images: ImageStore;
  readonly clock: Clock;
  readonly pullSecrets: readonly Secret[];
  record(details: Pick<EventDetails, 'type' | 'reason' | 'message'>): void;
}

/** The image, pulled if the policy asks for it. Rejects with an ImagePullError. */
export async function ensureImage(
  container: Container,
  context: ImageContext,
  signal: AbortSignal,
): Promise<Image> {
  const image = container.image ?? '';
  const policy = container.imagePullPolicy ?? defaultPolicy(image);
  const present = find(context, image);
  // Imported by hand or embedded: there may be no registry that has it, and the one on the node is the one meant.
  if (present && (policy !== 'Always' || present.isPinned)) {
    const message = `Container image "${image}" already present on machine`;
    context.record({ type: 'Normal', reason: 'Pulled', message });
    return present;
  }
  if (policy === 'Never') {
    const message = `Container image "${image}" is not present with pull policy of Never`;
    context.record({ type: 'Warning', reason: 'ErrImageNeverPull', message });
    throw new ImagePullError('ErrImageNeverPull', { image, message });
  }
  return pull(image, context, signal);
}

function find({ images, record }: ImageContext, image: string): Image | undefined {
  try {
    return images.get(image);
  } catch (error) {
    const message = `Failed to apply default image tag "${image}": ${describe(error)}`;
    record({ type: 'Warning', reason: 'InspectFailed', message });
    throw new ImagePullError('InvalidImageName', { image, message, cause: error });
  }
}

async function pull(image: string, context: ImageContext, signal: AbortSignal): Promise<Image> {
  const { images, clock, record } = context;
  record({ type: 'Normal', reason: 'Pulling', message: `Pulling image "${image}"` });
  const startMs = clock.now();
  try {
    const credentials = credentialsFor(image, context.pullSecrets);
    const pulled = await images.pull(image, { credentials }, signal);
    const took = `${((clock.now() - startMs) / 1000).toFixed(3)}s`;
    const message = `Successfully pulled image "${image}" in ${took} (${took} including waiting). Image size: ${pulled.sizeBytes} bytes.`;
    record({ type: 'Normal', reason: 'Pulled', message });
    return pulled;
  } catch (error) {
    if (signal.aborted) throw error;
    const isName = error instanceof ImageError && error.code === 'InvalidReference';
    const reason = isName ? 'InvalidImageName' : 'ErrImagePull';
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

const DOCKER_HUB = 'docker.io';

/** The logins in the pod's pull secrets for the image's registry. Secrets that cannot be read are passed over. */
function credentialsFor(image: string, secrets: readonly Secret[]): readonly Credentials[] {
  const registry = registryOf(image);
  const found: Credentials[] = [];
  for (const secret of secrets) {
    for (const [host, auth] of Object.entries(authsOf(secret))) {
      if (hostOf(host) === registry) found.push(toCredentials(auth));
    }
  }
  return found;
}

interface Auth {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

function authsOf({ data = {} }: Secret): Readonly<Record<string, Auth>> {
  try {
    const config = data['.dockerconfigjson'];
    if (config) return JSON.parse(Buffer.from(config, 'base64').toString()).auths ?? {};
    const legacy = data['.dockercfg'];
    return legacy ? JSON.parse(Buffer.from(legacy, 'base64').toString()) : {};
  } catch {
    return {}; // Not JSON: the pull goes on without it, as in the kubelet.
  }
}

function toCredentials({
  auth,
  username,
  password,
  identitytoken,
  registrytoken,
}: Auth): Credentials {
  const decoded = auth ? Buffer.from(auth, 'base64').toString() : '';
  const colon = decoded.indexOf(':');
  const user = username ?? (colon > 0 ? decoded.slice(0, colon) : undefined);
  const secret = password ?? (colon > 0 ? decoded.slice(colon + 1) : undefined);
  return {
    ...(user ? { username: user } : {}),
    ...(secret ? { password: secret } : {}),
    ...(identitytoken ? { identityToken: identitytoken } : {}),
    ...(registrytoken ? { registryToken: registrytoken } : {}),
  };
}

function registryOf(image: string): string {
  const first = image.split('/')[0] ?? '';
  const isHost = image.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  return isHost ? first : DOCKER_HUB;
}

function hostOf(key: string): string {
  const host = key.replace(/^https?:\/\//, '').split('/')[0] ?? '';
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? DOCKER_HUB : host;
}
