/** Starts what acts on the cluster: controllers and scheduler, over direct calls to the API server of this process. */

import type { User } from '../pkg/apiserver/contract.ts';
import type { ApiServer } from '../pkg/apiserver/server.ts';
import { createClient } from '../pkg/client/create-client.ts';
import { directTransport } from '../pkg/client/direct-transport.ts';
import { createEventRecorder } from '../pkg/client/events.ts';
import { Informers } from '../pkg/client/informers.ts';
import { allControllers } from '../pkg/controllers/controllers.ts';
import { startManager } from '../pkg/controllers/manager.ts';
import type { Logger } from '../pkg/log/log.ts';
import { startScheduler } from '../pkg/scheduler/scheduler.ts';

export interface ActorsOptions {
  readonly api: ApiServer;
  readonly user: User;
  /** PEM of the cluster's CA, published to every namespace. */
  readonly ca: string;
  readonly clusterCidr: string;
  /** Those not to start: `controllers`, `scheduler`, `local-storage`. */
  readonly disabled: readonly string[];
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Starts them; they end with the signal. */
export function startActors(options: ActorsOptions): void {
  const { api, user, ca, clusterCidr, disabled, log, signal } = options;
  const client = createClient(directTransport((request) => api.handle(request), user));
  const informers = new Informers({ client, log: log.with({ part: 'informers' }), signal });
  if (!disabled.includes('controllers')) {
    startManager({
      client,
      informers,
      controllers: allControllers({
        clusterCidr,
        rootCa: ca,
        hasLocalStorage: !disabled.includes('local-storage'),
      }),
      log: log.with({ part: 'controllers' }),
      signal,
    });
  }
  if (!disabled.includes('scheduler')) {
    startScheduler({
      client,
      informers,
      events: createEventRecorder({ client, log, component: 'default-scheduler', signal }),
      log: log.with({ part: 'scheduler' }),
      signal,
    });
  }
}
