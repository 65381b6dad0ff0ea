/** Has the claims of a placed pod bound on its node, and waits until they are. */

import type { PersistentVolume, PersistentVolumeClaim } from '../api/generated/types.ts';
import { BOUND_BY_CONTROLLER, isFullyBound, SELECTED_NODE } from '../api/volume-binding.ts';
import type { Client } from '../client/client.ts';
import type { Informers } from '../client/informers.ts';
import type { Clock } from '../wait/clock.ts';
import type { Assumed, Choice } from './volumes.ts';

/** As Kubernetes' bindTimeoutSeconds. */
const BIND_MAX_MS = 600_000;
const CLAIMS = 'persistentvolumeclaims';

export interface BindVolumes {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly assumed: Assumed;
  readonly signal: AbortSignal;
}

/** Remembers a decision until the cache shows it; undo it with `forget`. */
export function assume(assumed: Assumed, choices: readonly Choice[], nodeName: string): void {
  for (const { claim, volume } of choices) {
    assumed.nodes.set(claim.metadata.uid, nodeName);
    if (volume) assumed.volumes.set(volume.metadata.name, claim.metadata.uid);
  }
}

export function forget(assumed: Assumed, choices: readonly Choice[]): void {
  for (const { claim, volume } of choices) {
    assumed.nodes.delete(claim.metadata.uid);
    if (volume) assumed.volumes.delete(volume.metadata.name);
  }
}

/** Rejects when a provisioner gave the claim back, or after a long time. */
export async function bindVolumes(
  choices: readonly Choice[],
  nodeName: string,
  { client, informers, clock, signal }: BindVolumes,
): Promise<void> {
  for (const { claim, volume } of choices) {
    if (volume) await promise(volume, claim, { client, signal });
    else await select(claim, nodeName, { client, signal });
  }
  const given = choices.filter(({ volume }) => !volume);
  let returned: string | undefined;
  const seen = new Set<string>();
  const isDone = () => {
    for (const { claim } of given) {
      const now = informers.get<PersistentVolumeClaim>(CLAIMS, claim.metadata);
      const selected = now?.metadata.annotations?.[SELECTED_NODE];
      if (selected === nodeName) seen.add(claim.metadata.uid);
      else if (!now || seen.has(claim.metadata.uid)) returned = claim.metadata.name;
    }
    const areBound = choices.every(({ claim }) => {
      const now = informers.get<PersistentVolumeClaim>(CLAIMS, claim.metadata);
      return now !== undefined && isFullyBound(now);
    });
    return areBound || returned !== undefined;
  };
  await within(informers.until(CLAIMS, isDone), clock, signal);
  if (returned !== undefined) {
    throw new Error(`provisioning failed for PVC "${returned}"`);
  }
}

interface Writer {
  readonly client: Client;
  readonly signal: AbortSignal;
}

async function promise(
  volume: PersistentVolume,
  { metadata }: PersistentVolumeClaim,
  { client, signal }: Writer,
): Promise<void> {
  const { name, namespace = '', uid } = metadata;
  if (volume.spec?.claimRef?.uid === uid) return;
  const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid };
  const annotations = volume.spec?.claimRef
    ? volume.metadata.annotations
    : { ...volume.metadata.annotations, [BOUND_BY_CONTROLLER]: 'yes' };
  await client.update<PersistentVolume>(
    'persistentvolumes',
    {
      ...volume,
      metadata: { ...volume.metadata, ...(annotations ? { annotations } : {}) },
      spec: { ...volume.spec, claimRef },
    },
    signal,
  );
}

async function select(
  { metadata }: PersistentVolumeClaim,
  nodeName: string,
  { client, signal }: Writer,
): Promise<void> {
  if (metadata.annotations?.[SELECTED_NODE] === nodeName) return;
  const patch = { metadata: { annotations: { [SELECTED_NODE]: nodeName } } };
  await client.patch(CLAIMS, metadata, patch, { type: 'merge' }, signal);
}

async function within(work: Promise<void>, clock: Clock, signal: AbortSignal): Promise<void> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(BIND_MAX_MS, () =>
    reject(new Error('timed out waiting for the condition')),
  );
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([work, over]);
  } finally {
    cancel();
    signal.removeEventListener('abort', onAbort);
  }
}
