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
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Starts them; they end with the signal. */
export function startActors({ api, user, ca, clusterCidr, log, signal }: ActorsOptions): void {
  const client = createClient(directTransport((request) => api.handle(request), user));
  const informers = new Informers({ client, log: log.with({ part: 'informers' }), signal });
  startManager({
    client,
    informers,
    controllers: allControllers({ clusterCidr, rootCa: ca }),
    log: log.with({ part: 'controllers' }),
    signal,
  });
  startScheduler({
    client,
    informers,
    events: createEventRecorder({ client, log, component: 'default-scheduler', signal }),
    log: log.with({ part: 'scheduler' }),
    signal,
  });
}
