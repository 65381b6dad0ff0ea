/** Keeps the status of ResourceQuotas true: recounts those of a namespace soon after anything in it changed. */

import type { ResourceQuota } from '../../api/generated/types.ts';
import type { Logger } from '../../log/log.ts';
import type { Backend } from '../../store/backend.ts';
import { sleep } from '../../wait/clock.ts';
import type { Registry } from '../contract.ts';
import { follow } from '../follow.ts';
import { refreshQuota } from './resource-quota.ts';

/** Many changes in a row are counted once. */
const SETTLE_MS = 250;
const PREFIX = '/registry/';
/** Parts of a key: see FollowOptions. */
const NAMESPACE_PART = 4;
const NAMESPACED_PARTS = 6;

export interface FollowQuotasOptions {
  readonly store: Backend;
  readonly registry: Registry;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Runs until the signal aborts; never rejects. */
export function followQuotas(options: FollowQuotasOptions): Promise<void> {
  const { store, registry, log, signal } = options;
  return follow({
    store,
    prefix: PREFIX,
    what: 'Counting resource quotas',
    log,
    signal,
    onBegin: () => refresh(registry, undefined),
    async onEvents(events) {
      const changed = new Set(events.map(({ current }) => namespaceOf(current.key)));
      const isConcerned = registry
        .list<ResourceQuota>('resourcequotas')
        .items.some(({ metadata }) => changed.has(metadata.namespace));
      if (!isConcerned) return;
      await sleep(SETTLE_MS, signal).catch(() => undefined);
      await refresh(registry, changed);
    },
  });
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
