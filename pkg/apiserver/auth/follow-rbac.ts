/** Keeps the authorizer's index and the aggregated roles in step with the store, other servers' writes included. */

import type { Logger } from '../../log/log.ts';
import type { Backend } from '../../store/backend.ts';
import type { Registry } from '../contract.ts';
import { follow } from '../follow.ts';
import { aggregateClusterRoles } from './aggregation.ts';
import type { Rbac } from './rbac.ts';

const PREFIX = '/registry/rbac.authorization.k8s.io/';

export interface FollowRbacOptions {
  readonly store: Backend;
  readonly registry: Registry;
  readonly rbac: Rbac;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Runs until the signal aborts; never rejects. */
export function followRbac(options: FollowRbacOptions): Promise<void> {
  const { store, registry, rbac, log, signal } = options;
  return follow({
    store,
    prefix: PREFIX,
    what: 'Watching RBAC objects',
    log,
    signal,
    async onBegin() {
      rbac.invalidate();
      await aggregateClusterRoles(registry);
    },
    async onEvents(events) {
      rbac.invalidate();
      if (events.some(({ current }) => current.key.startsWith(`${PREFIX}clusterroles/`)))
        await aggregateClusterRoles(registry);
    },
  });
}
