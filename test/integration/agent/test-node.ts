/** A node in this process: a real API server, a real agent, an engine that is real or a fake. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { type Agent, type AgentOptions, startAgent } from '../../../pkg/agent/agent.ts';
import type { Container, Event, Node, Pod, PodSpec } from '../../../pkg/api/generated/types.ts';
import type { Client } from '../../../pkg/client/client.ts';
import { createClient } from '../../../pkg/client/create-client.ts';
import { directTransport } from '../../../pkg/client/direct-transport.ts';
import type { Engine, VolumeHost } from '../../../pkg/engine/engine.ts';
import { createLogger, silent } from '../../../pkg/log/log.ts';
import { sleep, systemClock } from '../../../pkg/wait/clock.ts';
import { admin, startApiServer } from '../../harness/api-server.ts';
import { createFakeEngine, type FakeEngine } from './fake-engine.ts';

export interface TestNode<E extends Engine = FakeEngine> {
  readonly client: Client;
  readonly engine: E;
  readonly directory: string;
  readonly agent: () => Agent;
  /** Opens the API server's port; resolves to its URL. */
  listen(): Promise<string>;
  /** Ends the agent as a crash would, as far as the engine is concerned, and starts another. */
  restart(): Promise<void>;
  createPod(name: string, options?: PodOptions): Promise<Pod>;
  /** The pod once `isDone` holds; rejects with its state after WAIT_MS. */
  podWhen(name: string, isDone: (pod: Pod) => boolean): Promise<Pod>;
  goneWhen(name: string): Promise<void>;
  events(name: string): Promise<readonly Event[]>;
  /** Resolves once there is such an event about the pod; rejects with its events after WAIT_MS. */
  whenTold(name: string, reason: string, message: RegExp): Promise<void>;
  close(): Promise<void>;
}

interface PodOptions {
  readonly containers?: readonly Partial<Container>[];
  readonly spec?: Partial<PodSpec>;
}

export const NODE = 'node-1';

const nothing = () => Promise.resolve();
/** Volumes in memory are plain directories on such a node, and claims cannot be mounted. */
const NO_MOUNTS: VolumeHost = {
  mountMemory: nothing,
  mountHugePages: nothing,
  unmount: nothing,
  ownTree: nothing,
  removeTree: (path) => rm(path, { recursive: true, force: true }),
  makeImage: () => Promise.reject(new Error('this node makes no images')),
  mountLayers: () => Promise.reject(new Error('this node mounts no layers')),
  mountImage: () => Promise.reject(new Error('this node mounts no images')),
  growImage: () => Promise.reject(new Error('this node grows no images')),
  makeDisk: () => Promise.reject(new Error('this node makes no disks')),
  attachDisk: () => Promise.reject(new Error('this node attaches no disks')),
  detachDisk: nothing,
  setQuota: () => Promise.reject(new Error('this node has no quotas')),
};

/** A node whose containers a fake engine plays. */
export function startTestNode(): Promise<TestNode> {
  return startNodeWith(createFakeEngine(), {});
}

/** A node with this engine. */
export async function startNodeWith<E extends Engine>(
  engine: E,
  options: Partial<AgentOptions>,
): Promise<TestNode<E>> {
  const directory = await mkdtemp(join(tmpdir(), 'mini-agent-'));
  const plane = await startApiServer({
    nodes: {
      connect() {
        const [near, far] = duplexPair();
        agent.serveStream(far);
        return near;
      },
    },
  });
  const client = createClient(directTransport(plane.server.handle, admin), {
    fieldManager: 'test',
  });
  const start = () =>
    startAgent({
      nodeName: NODE,
      nodeIps: ['192.0.2.1'],
      labels: { zone: 'a' },
      taints: [],
      client,
      engine,
      network: { setPodCidr: async () => undefined },
      volumeHost: NO_MOUNTS,
      dataDir: join(directory, 'data'),
      runDir: join(directory, 'run'),
      clusterDns: ['10.43.0.10'],
      cgroupRoot: '/mini-no-such-cgroup',
      version: '0.0.0-test',
      log: process.env['MINI_TEST_LOG'] ? createLogger('debug') : silent,
      clock: systemClock,
      ...options,
    });
  await client.create('namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'kube-node-lease' },
  });
  let agent = await start();
  const get = (name: string) => client.get<Pod>('pods', { namespace: 'default', name });
  const eventsOf = async (name: string) => {
    const list = await client.list<Event>('events', { namespace: 'default' });
    return list.items.filter(({ involvedObject }) => involvedObject.name === name);
  };
  await waitFor(async () => {
    const node = await client.get<Node>('nodes', { name: NODE });
    await client.update<Node>('nodes', {
      ...node,
      spec: { ...node.spec, podCIDR: '10.42.0.0/24' },
    });
    return true;
  }, 'the node');
  return {
    client,
    engine,
    directory,
    agent: () => agent,
    async listen() {
      const { port } = await plane.server.listen({ host: '127.0.0.1', port: 0 });
      return `http://127.0.0.1:${port}`;
    },
    async restart() {
      await agent.close();
      agent = await start();
      await agent.synced;
    },
    createPod: (name, options = {}) => client.create<Pod>('pods', podOf(name, options)),
    podWhen: (name, isDone) =>
      waitFor(
        async () => {
          const pod = await get(name);
          return isDone(pod) ? pod : undefined;
        },
        `pod ${name}`,
        () => get(name),
      ),
    goneWhen: async (name) => {
      await waitFor(
        async () =>
          get(name).then(
            () => undefined,
            () => true,
          ),
        `the end of pod ${name}`,
      );
    },
    events: eventsOf,
    async whenTold(name, reason, message) {
      const isIt = (one: Event) => one.reason === reason && message.test(one.message ?? '');
      await waitFor(
        async () => (await eventsOf(name)).find(isIt),
        `event ${reason} ${message} of ${name}`,
        () => eventsOf(name),
      );
    },
    async close() {
      await agent.close();
      await plane.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function podOf(name: string, { containers = [{}], spec = {} }: PodOptions) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: {
      nodeName: NODE,
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      ...spec,
      containers: containers.map((container, index) => ({
        name: `c${index}`,
        image: 'known:1',
        ...container,
      })),
    },
  };
}

const WAIT_MS = 30_000;

/** Polls; only tests may. */
async function waitFor<T>(
  ask: () => Promise<T | undefined>,
  what: string,
  state: () => Promise<unknown> = () => Promise.resolve(undefined),
): Promise<T> {
  const deadline = Date.now() + WAIT_MS;
  let last: unknown;
  while (Date.now() < deadline) {
    const found = await ask().catch((error: unknown) => {
      last = error;
      return undefined;
    });
    if (found !== undefined) return found as T;
    await sleep(15);
  }
  throw new Error(`Waited in vain for ${what}: ${JSON.stringify(await state())}`, { cause: last });
}
