/** Keeps the authorizer's index and the aggregated roles in step with the store, other servers' writes included. */

import type { Logger } from '../../log/log.ts';
import type { Backend, Watch } from '../../store/backend.ts';
import { Backoff } from '../../wait/backoff.ts';
import { sleep } from '../../wait/clock.ts';
import type { Registry } from '../contract.ts';
import { aggregateClusterRoles } from './aggregation.ts';
import type { Rbac } from './rbac.ts';

/** Sync with keyFor in storage.ts. */
const PREFIX = '/registry/rbac.authorization.k8s.io/';

export interface FollowRbacOptions {
  readonly store: Backend;
  readonly registry: Registry;
  readonly rbac: Rbac;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Runs until the signal aborts; never rejects. */
export async function followRbac(options: FollowRbacOptions): Promise<void> {
  const { store, rbac, log, signal } = options;
  const backoff = new Backoff({ firstMs: 50, maxMs: 5_000, jitter: 0.2 });
  while (!signal.aborted) {
    let watch: Watch | undefined;
    const stop = () => watch?.close();
    try {
      watch = store.watch(PREFIX, store.revision);
      signal.addEventListener('abort', stop, { once: true });
      // What changed before the watch began is read by the next question.
      rbac.invalidate();
      await aggregateClusterRoles(options.registry);
      for await (const events of watch) {
        rbac.invalidate();
        backoff.reset();
        const isRole = events.some(({ current }) =>
          current.key.startsWith(`${PREFIX}clusterroles/`),
        );
        if (isRole) await aggregateClusterRoles(options.registry);
      }
    } catch (error) {
      if (!signal.aborted) log.warn('Watching RBAC objects failed', { error });
    } finally {
      signal.removeEventListener('abort', stop);
      watch?.close();
    }
    await sleep(backoff.next(), signal).catch(() => undefined);
  }
}
