/**
 * The labels by which the agent finds its sandboxes and containers again after a restart. Names as the kubelet's,
 * so that tools which read container labels understand them.
 */

import { createHash } from 'node:crypto';
import type { Container, Pod } from '../../api/generated/types.ts';
import type { Labels } from '../../engine/engine.ts';

const POD_NAME = 'io.kubernetes.pod.name';
const POD_NAMESPACE = 'io.kubernetes.pod.namespace';
export const POD_UID = 'io.kubernetes.pod.uid';
export const CONTAINER_NAME = 'io.kubernetes.container.name';
export const ATTEMPT = 'io.kubernetes.container.restartCount';
export const HASH = 'io.kubernetes.container.hash';
/** The image by digest, as its repository has it; absent when it has come from none. */
export const IMAGE_REF = 'mini.image.ref';
/** How often all containers of the pod had been restarted together when this one was made. */
export const EPOCH = 'mini.pod.epoch';

/** How the kubelet names a pod in messages: `web_default(1234-…)`. */
export function podText({ metadata }: Pod): string {
  return `${metadata.name}_${metadata.namespace}(${metadata.uid})`;
}

export function podLabels(pod: Pod): Labels {
  return {
    [POD_NAME]: pod.metadata.name,
    [POD_NAMESPACE]: pod.metadata.namespace ?? '',
    [POD_UID]: pod.metadata.uid,
  };
}

export function containerLabels(
  pod: Pod,
  container: Container,
  facts: {
    readonly attempt: number;
    readonly epoch?: number;
    readonly imageRef?: string | undefined;
  },
): Labels {
  const { attempt, epoch = 0, imageRef } = facts;
  return {
    ...podLabels(pod),
    [CONTAINER_NAME]: container.name,
    [ATTEMPT]: String(attempt),
    [HASH]: containerHash(container),
    ...(epoch > 0 ? { [EPOCH]: String(epoch) } : {}),
    ...(imageRef ? { [IMAGE_REF]: imageRef } : {}),
  };
}

/** A running container whose hash differs from its spec's is restarted; only name and image count, as in the kubelet. */
export function containerHash(container: Container): string {
  const text = JSON.stringify([container.name, container.image ?? '']);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** A sandbox is named for its pod, so that creating it again after a crash finds the first one. */
export function sandboxId(uid: string): string {
  return uid
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
    .slice(0, 64);
}
