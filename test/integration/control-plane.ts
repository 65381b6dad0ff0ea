/**
 * A control plane in this process: memory store, API server, informers. Real parts but for the nodes, whose agents are
 * played by `playNode`: it runs no containers, it only reports what an agent would.
 */

import { unavailable } from '../../pkg/api/errors.ts';
import type { Node, Pod } from '../../pkg/api/generated/types.ts';
import { createAdmissions } from '../../pkg/apiserver/admission/admissions.ts';
import { createAuthorizer } from '../../pkg/apiserver/auth/authorizer.ts';
import type { User } from '../../pkg/apiserver/contract.ts';
import { createRegistry } from '../../pkg/apiserver/registry.ts';
import { createApiServer } from '../../pkg/apiserver/server.ts';
import type { Client } from '../../pkg/client/client.ts';
import { createClient } from '../../pkg/client/create-client.ts';
import { directTransport } from '../../pkg/client/direct-transport.ts';
import { createEventRecorder } from '../../pkg/client/events.ts';
import { createInformers, type Informers } from '../../pkg/client/informers.ts';
import type { Controller } from '../../pkg/controllers/controller.ts';
import { startManager } from '../../pkg/controllers/manager.ts';
import { createLogger, type Logger, silent } from '../../pkg/log/log.ts';
import { startScheduler } from '../../pkg/scheduler/scheduler.ts';
import { openMemory } from '../../pkg/store/memory.ts';
import { sleep, systemClock } from '../../pkg/wait/clock.ts';

/** Long enough for a machine that does much else. */
const WAIT_MS = 30_000;

export interface ControlPlane {
  readonly client: Client;
  /** What this user may do. */
  as(user: User): Client;
  readonly informers: Informers;
  /** Runs these controllers, and the scheduler unless told not to. */
  run(
    controllers: readonly Controller[],
    options?: { readonly scheduler?: boolean },
  ): Promise<void>;
  /** Makes a ready node and plays its agent until the returned function is called. */
  playNode(name: string, allocatable?: Readonly<Record<string, string>>): Promise<() => void>;
  close(): Promise<void>;
}

const SYSTEM = { name: 'system:admin', groups: ['system:masters', 'system:authenticated'] };
const LOG: Logger = process.env['MINI_TEST_LOG'] ? createLogger('debug') : silent;

/** Starts a control plane without controllers. */
export async function startControlPlane(): Promise<ControlPlane> {
  const store = openMemory({ clock: systemClock });
  const registry = createRegistry({ store, clock: systemClock });
  const authorizer = createAuthorizer(registry);
  const server = createApiServer({
    registry,
    store,
    authenticator: { authenticate: () => Promise.resolve(SYSTEM) },
    authorizer,
    admissions: createAdmissions({
      authorizer,
      rbac: authorizer.rbac,
      serviceCidrs: ['10.43.0.0/16'],
      now: () => Date.now(),
    }),
    nodes: {
      connect(): never {
        throw unavailable('no node has a tunnel in this test');
      },
    },
    log: LOG,
    clock: systemClock,
    version: { gitVersion: 'v1.36.0', gitCommit: 'test', buildDate: '2026-01-01T00:00:00Z' },
  });
  const as = (user: User) =>
    createClient(directTransport(server.handle, user), { fieldManager: 'test' });
  const client = as(SYSTEM);
  const stop = new AbortController();
  const { signal } = stop;
  const informers = createInformers({ client, log: LOG, signal });
  await client.create('namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'default' },
  });
  // Pods need it; its controller runs in some tests only.
  await client.create('serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default', namespace: 'default' },
  });
  const stopped: Promise<void>[] = [];
  return {
    client,
    as,
    informers,
    async run(controllers, { scheduler = true } = {}) {
      const manager = startManager({ client, controllers, informers, log: LOG, signal });
      stopped.push(manager.stopped);
      await manager.ready;
      if (!scheduler) return;
      const events = createEventRecorder({
        client,
        log: LOG,
        component: 'default-scheduler',
        signal,
      });
      const started = startScheduler({ client, informers, events, log: LOG, signal });
      stopped.push(started.stopped);
      await started.ready;
    },
    async playNode(name, allocatable = { cpu: '8', memory: '16Gi', pods: '250' }) {
      await client.create<Node>('nodes', nodeOf(name, allocatable));
      informers.start('pods');
      await informers.synced(['pods']);
      return informers.subscribe<Pod>('pods', ({ type, object }) => {
        if (type === 'deleted' || object.spec.nodeName !== name) return;
        void report(client, object).catch(() => undefined);
      });
    },
    async close() {
      stop.abort(new Error('The test is over'));
      await Promise.all(stopped);
      await server.close();
      await store.close();
    },
  };
}

function nodeOf(name: string, allocatable: Readonly<Record<string, string>>) {
  const at = new Date().toISOString();
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    spec: {},
    status: {
      allocatable,
      capacity: allocatable,
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'KubeletReady',
          lastHeartbeatTime: at,
          lastTransitionTime: at,
        },
      ],
    },
  };
}

/** What an agent would write next about a pod of its node. */
async function report(client: Client, pod: Pod): Promise<void> {
  if (pod.metadata.deletionTimestamp) {
    await client.remove('pods', pod.metadata, { gracePeriodSeconds: 0 });
    return;
  }
  if (pod.status?.phase === 'Running') return;
  const lastTransitionTime = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
    type,
    status: 'True',
    lastTransitionTime,
  }));
  const status = { ...pod.status, phase: 'Running', startTime: lastTransitionTime, conditions };
  await client.updateStatus<Pod>('pods', { ...pod, status });
}

/** Resolves once `isMet` holds; fails after `limitMs` with what `describe` says. */
export async function eventually(
  isMet: () => boolean | Promise<boolean>,
  describe: () => unknown = () => isMet.toString(),
  limitMs = WAIT_MS,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await isMet())) {
    if (Date.now() > end)
      throw new Error(`Not so after ${limitMs} ms: ${JSON.stringify(describe())}`);
    await sleep(5);
  }
}
