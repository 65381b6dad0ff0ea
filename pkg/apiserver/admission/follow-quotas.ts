/** Keeps the status of ResourceQuotas true: recounts those of a namespace soon after anything in it changed. */

import type { ResourceQuota } from '../../api/generated/types.ts';
import { describe, type Logger } from '../../log/log.ts';
import type { Backend, Watch } from '../../store/backend.ts';
import { sleep } from '../../wait/clock.ts';
import type { Registry } from '../contract.ts';
import { refreshQuota } from './resource-quota.ts';

/** Many changes in a row are counted once. */
const SETTLE_MS = 250;
const RETRY_MS = 1_000;
/** Sync with keyFor in storage.ts: /registry/<group>/<plural>/<namespace>/<name>. */
const PREFIX = '/registry/';
const NAMESPACE_PART = 4;
const NAMESPACED_PARTS = 6;

export interface FollowQuotasOptions {
  readonly store: Backend;
  readonly registry: Registry;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Runs until the signal aborts; never rejects. */
export async function followQuotas(options: FollowQuotasOptions): Promise<void> {
  const { store, registry, log, signal } = options;
  const settled = (delayMs: number) => sleep(delayMs, signal).catch(() => undefined);
  while (!signal.aborted) {
    let watch: Watch | undefined;
    const stop = () => watch?.close();
    try {
      watch = store.watch(PREFIX, store.revision);
      signal.addEventListener('abort', stop, { once: true });
      await refresh(registry, undefined);
      for await (const events of watch) {
        const changed = new Set(events.map(({ current }) => namespaceOf(current.key)));
        const isConcerned = registry
          .list<ResourceQuota>('resourcequotas')
          .items.some(({ metadata }) => changed.has(metadata.namespace));
        if (!isConcerned) continue;
        await settled(SETTLE_MS);
        await refresh(registry, changed);
      }
    } catch (error) {
      if (!signal.aborted) log.warn('Counting resource quotas failed', { error: describe(error) });
    } finally {
      signal.removeEventListener('abort', stop);
      watch?.close();
    }
    await settled(RETRY_MS);
  }
}

async function refresh(
  registry: Registry,
  namespaces: ReadonlySet<string | undefined> | undefined,
): Promise<void> {
  for (const quota of registry.list<ResourceQuota>('resourcequotas').items) {
    if (!namespaces || namespaces.has(quota.metadata.namespace))
      await refreshQuota(registry, quota);
  }
}

function namespaceOf(key: string): string | undefined {
  const parts = key.split('/');
  return parts.length === NAMESPACED_PARTS ? parts[NAMESPACE_PART] : undefined;
}
