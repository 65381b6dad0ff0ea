/**
 * The one loop that runs all controllers: changes become keys, keys are reconciled. Caches are synced before the first
 * key; one run per key at a time; none before the cache shows the controller's own last writes; failures back off.
 */

import { isReason } from '../api/errors.ts';
import { type ApiObject, keyOf, type Ref, refOf } from '../api/meta.ts';
import type { Client } from '../client/client.ts';
import { createEventRecorder } from '../client/events.ts';
import type { Informers } from '../client/informers.ts';
import { controllerOf } from '../client/object-index.ts';
import { kindOf } from '../client/resource-path.ts';
import { WorkQueue } from '../client/workqueue.ts';
import { describe, type Logger } from '../log/log.ts';
import { type Clock, systemClock } from '../wait/clock.ts';
import type { Context, Controller } from './controller.ts';
import { trackWrites } from './own-writes.ts';

export interface ManagerOptions {
  readonly client: Client;
  readonly controllers: readonly Controller[];
  readonly informers: Informers;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Ends the manager. */
  readonly signal: AbortSignal;
}

export interface Manager {
  /** Resolves when all caches are synced and the controllers work. */
  readonly ready: Promise<void>;
  /** Resolves after the signal aborted, when no reconcile runs any more. */
  readonly stopped: Promise<void>;
}

const CONCURRENCY = 4;
/** Failures of a key in a row from which on it is worth an operator's attention. */
const WARN_AFTER = 3;

/** Starts the controllers. */
export function startManager(options: ManagerOptions): Manager {
  const { controllers, informers, signal } = options;
  for (const controller of controllers) {
    for (const resource of resourcesOf(controller)) informers.start(resource);
  }
  const queues = controllers.map((controller) => runController(controller, options));
  const ready = informers.synced().then(() => {
    if (signal.aborted) return;
    for (const queue of queues) queue.start();
  });
  const stopped = new Promise<void>((resolve) => {
    const close = () => {
      void Promise.all(queues.map((queue) => queue.close())).then(() => resolve());
    };
    if (signal.aborted) close();
    else signal.addEventListener('abort', close, { once: true });
  });
  return { ready, stopped };
}

function resourcesOf({ watches }: Controller): string[] {
  const { primary, owns = [], maps = {}, reads = [] } = watches;
  return [...(primary ? [primary] : []), ...owns, ...Object.keys(maps), ...reads];
}

/** Wires a controller's watches to a queue of its keys; the queue stands still until it is started. */
function runController(controller: Controller, options: ManagerOptions): WorkQueue {
  const { informers, clock = systemClock, signal } = options;
  const log = options.log.with({ controller: controller.name });
  const tracked = trackWrites(options.client, informers);
  const component = `${controller.name}-controller`;
  const context: Context = {
    client: tracked.client,
    cache: informers,
    events: createEventRecorder({ client: options.client, log, component, clock, signal }),
    log,
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
  };
  const work = async (key: string) => {
    try {
      await untilAborted(tracked.shown(), signal);
      if (signal.aborted) return;
      const { requeueAfterMs } = await controller.reconcile(refOf(key), context, signal);
      queue.forget(key);
      if (requeueAfterMs !== undefined) queue.addAfter(key, requeueAfterMs);
    } catch (error) {
      if (signal.aborted) return;
      queue.addRateLimited(key);
      const isNews = !isReason(error, 'Conflict') && queue.failures(key) >= WARN_AFTER;
      log[isNews ? 'warn' : 'debug']('Failed to reconcile', { key, error: describe(error) });
    }
  };
  const queue = new WorkQueue(work, { concurrency: controller.concurrency ?? CONCURRENCY, clock });
  subscribe(controller, informers, (refs) => {
    for (const ref of refs) queue.add(keyOf(ref));
  });
  return queue;
}

async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let stop = () => {};
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener('abort', stop, { once: true });
  });
  await Promise.race([work, aborted]);
  signal.removeEventListener('abort', stop);
}

type Enqueue = (refs: readonly Ref[]) => void;

function subscribe({ watches }: Controller, informers: Informers, enqueue: Enqueue): void {
  const { primary, owns = [], maps = {}, indexes = {}, everyIndex = {}, everything } = watches;
  for (const [resource, byName] of Object.entries(indexes)) {
    for (const [name, valuesOf] of Object.entries(byName))
      informers.addIndex(resource, name, valuesOf);
  }
  if (primary) {
    informers.subscribe(primary, ({ object }) => enqueue([object.metadata]));
    for (const resource of owns) {
      each(informers, resource, (object) => enqueue(ownersOf(object, primary)));
    }
  }
  for (const [resource, refsOf] of Object.entries(maps)) {
    each(informers, resource, (object) => enqueue(refsOf(object, informers)));
  }
  if (everything) {
    informers.onStart((resource) => {
      for (const [name, valuesOf] of Object.entries(everyIndex))
        informers.addIndex(resource, name, valuesOf);
      informers.subscribe(resource, (change) => enqueue(everything(resource, change, informers)));
    });
  }
}

/** Calls `handler` with what a changed object is and with what it was. */
function each(informers: Informers, resource: string, handler: (object: ApiObject) => void): void {
  informers.subscribe(resource, ({ type, object, old }) => {
    handler(object);
    if (type === 'updated' && old) handler(old);
  });
}

function ownersOf(object: ApiObject, primary: string): Ref[] {
  const owner = controllerOf(object);
  const kind = kindOf(primary);
  if (!owner || !kind) return [];
  if (owner.kind !== kind.kind || groupOf(owner.apiVersion) !== groupOf(kind.apiVersion)) return [];
  const { namespace } = object.metadata;
  return [namespace ? { namespace, name: owner.name } : { name: owner.name }];
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
}
