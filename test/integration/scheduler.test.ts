/** The scheduler on a real API server with the memory store: where pods go, and what users are told when they cannot. */

import * as assert from 'uvu/assert';
import type { Event, Node, Pod, PodSpec, PriorityClass } from '../../pkg/api/generated/types.ts';
import { suite } from '../harness/suite.ts';
import { type ControlPlane, eventually, startControlPlane } from './control-plane.ts';

const IN_DEFAULT = { namespace: 'default' };
const SMALL = { cpu: '2', memory: '4Gi', pods: '10' };

interface Wish extends Partial<PodSpec> {
  readonly cpu?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Makes a class of that priority and returns its name. */
async function priorityOf({ client }: ControlPlane, value: number): Promise<string> {
  const metadata = { name: `p${value}` };
  const apiVersion = 'scheduling.k8s.io/v1';
  await client.create<PriorityClass>('priorityclasses', {
    apiVersion,
    kind: 'PriorityClass',
    metadata,
    value,
  });
  return metadata.name;
}

async function createPod({ client }: ControlPlane, name: string, wish: Wish = {}): Promise<Pod> {
  const { cpu, labels = {}, ...spec } = wish;
  const resources = cpu ? { requests: { cpu } } : {};
  return client.create<Pod>('pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...IN_DEFAULT, name, labels },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: 'mini/hello', resources }],
      ...spec,
    },
  });
}

async function nodeOf(plane: ControlPlane, name: string): Promise<string> {
  let pod: Pod | undefined;
  await eventually(
    async () => {
      pod = await plane.client.get<Pod>('pods', { ...IN_DEFAULT, name });
      return pod.spec.nodeName !== undefined;
    },
    () => pod?.status?.conditions,
  );
  return pod?.spec.nodeName ?? '';
}

async function refusal(plane: ControlPlane, name: string): Promise<string> {
  let message: string | undefined;
  await eventually(async () => {
    const { status } = await plane.client.get<Pod>('pods', { ...IN_DEFAULT, name });
    const condition = status?.conditions?.find(({ type }) => type === 'PodScheduled');
    message = condition?.reason === 'Unschedulable' ? condition.message : undefined;
    return message !== undefined;
  });
  return message ?? '';
}

async function label(
  { client }: ControlPlane,
  name: string,
  labels: Readonly<Record<string, string>>,
) {
  await client.patch<Node>('nodes', { name }, { metadata: { labels } }, { type: 'merge' });
}

suite('scheduler', ({ test, cleanup }) => {
  const start = async (nodes: Readonly<Record<string, typeof SMALL>>) => {
    const plane = await startControlPlane();
    cleanup(() => plane.close());
    for (const [name, allocatable] of Object.entries(nodes))
      await plane.playNode(name, allocatable);
    await plane.run([]);
    return plane;
  };

  test('tells users in their words why a pod has no node, and places it when one comes', async () => {
    const plane = await start({ node1: SMALL, node2: SMALL });
    const taints = [{ key: 'gpu', value: 'only', effect: 'NoSchedule' }];
    await plane.client.patch('nodes', { name: 'node2' }, { spec: { taints } }, { type: 'merge' });
    await createPod(plane, 'big', { cpu: '3' });
    assert.is(
      await refusal(plane, 'big'),
      '0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). ' +
        'no new claims to deallocate, preemption: 0/2 nodes are available: ' +
        '2 Preemption is not helpful for scheduling.',
    );
    await plane.playNode('node3', { cpu: '4', memory: '4Gi', pods: '10' });
    assert.is(await nodeOf(plane, 'big'), 'node3');
    let messages: string[] = [];
    await eventually(
      async () => {
        const { items } = await plane.client.list<Event>('events', IN_DEFAULT);
        messages = items.map(({ reason, message }) => `${reason}: ${message}`);
        return messages.includes('Scheduled: Successfully assigned default/big to node3');
      },
      () => messages,
    );
    assert.ok(messages.some((message) => message.startsWith('FailedScheduling: 0/2 nodes')));
  });

  test('says so when there are no nodes at all', async () => {
    const plane = await start({});
    await createPod(plane, 'lonely');
    assert.is(await refusal(plane, 'lonely'), 'no nodes available to schedule pods');
  });

  test('obeys node selectors, node affinity, cordons and host ports', async () => {
    const plane = await start({ node1: SMALL, node2: SMALL });
    await label(plane, 'node2', { disk: 'ssd' });
    await createPod(plane, 'selects', { nodeSelector: { disk: 'ssd' } });
    assert.is(await nodeOf(plane, 'selects'), 'node2');
    const term = { matchExpressions: [{ key: 'disk', operator: 'DoesNotExist' }] };
    const required = { nodeSelectorTerms: [term] };
    await createPod(plane, 'avoids', {
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } },
    });
    assert.is(await nodeOf(plane, 'avoids'), 'node1');
    const containers = [{ name: 'a', image: 'b', ports: [{ containerPort: 80, hostPort: 8080 }] }];
    const placed = [];
    for (const name of ['p1', 'p2']) {
      await createPod(plane, name, { containers });
      placed.push(await nodeOf(plane, name));
    }
    assert.equal(placed.sort(), ['node1', 'node2']);
    await createPod(plane, 'p3', { containers });
    assert.ok(
      (await refusal(plane, 'p3')).includes(
        "2 node(s) didn't have free ports for the requested pod ports",
      ),
    );
    await plane.client.patch(
      'nodes',
      { name: 'node1' },
      { spec: { unschedulable: true } },
      { type: 'merge' },
    );
    await eventually(() => {
      const node = plane.informers.get<Node>('nodes', { name: 'node1' });
      return node?.spec.unschedulable === true;
    });
    await createPod(plane, 'after-cordon');
    assert.is(await nodeOf(plane, 'after-cordon'), 'node2');
  });

  test('keeps pods apart, together, and evenly spread', async () => {
    const plane = await start({ node1: SMALL, node2: SMALL });
    const topologyKey = 'kubernetes.io/hostname';
    const same = (app: string) => [{ topologyKey, labelSelector: { matchLabels: { app } } }];
    const apart = { requiredDuringSchedulingIgnoredDuringExecution: same('db') };
    for (const name of ['db1', 'db2', 'db3']) {
      await createPod(plane, name, { labels: { app: 'db' }, affinity: { podAntiAffinity: apart } });
    }
    const nodes = [await nodeOf(plane, 'db1'), await nodeOf(plane, 'db2')];
    assert.equal(nodes.toSorted(), ['node1', 'node2']);
    assert.ok(
      (await refusal(plane, 'db3')).includes("2 node(s) didn't match pod anti-affinity rules"),
    );
    await createPod(plane, 'main', { labels: { app: 'main' } });
    const near = { requiredDuringSchedulingIgnoredDuringExecution: same('main') };
    await createPod(plane, 'aide', { affinity: { podAffinity: near } });
    assert.is(await nodeOf(plane, 'aide'), await nodeOf(plane, 'main'));
    const labels = { app: 'even' };
    const spread = {
      topologyKey,
      maxSkew: 1,
      whenUnsatisfiable: 'DoNotSchedule',
      labelSelector: { matchLabels: labels },
    };
    const even: string[] = [];
    for (const name of ['e1', 'e2', 'e3', 'e4']) {
      await createPod(plane, name, { labels, topologySpreadConstraints: [spread] });
      even.push(await nodeOf(plane, name));
    }
    assert.is(even.filter((node) => node === 'node1').length, 2);
  });

  test('takes the place of pods with lower priority', async () => {
    const plane = await start({ node1: SMALL });
    const low = await priorityOf(plane, 1);
    await createPod(plane, 'low', { cpu: '1500m', priorityClassName: low });
    await nodeOf(plane, 'low');
    const high = await priorityOf(plane, 1000);
    await createPod(plane, 'high', { cpu: '1500m', priorityClassName: high });
    assert.is(await nodeOf(plane, 'high'), 'node1');
    const { items } = await plane.client.list<Pod>('pods', IN_DEFAULT);
    assert.equal(
      items.map(({ metadata }) => metadata.name),
      ['high'],
    );
  });

  test('keeps the room it made for the pod that it was made for', async () => {
    const plane = await start({ node1: SMALL });
    await createPod(plane, 'low', {
      cpu: '1500m',
      priorityClassName: await priorityOf(plane, 1),
      terminationGracePeriodSeconds: 1,
    });
    await nodeOf(plane, 'low');
    const high = await priorityOf(plane, 1000);
    await createPod(plane, 'high', { cpu: '1500m', priorityClassName: high });
    const middle = await priorityOf(plane, 5);
    await Promise.all(
      ['g1', 'g2', 'g3'].map((name) =>
        createPod(plane, name, { cpu: '1', priorityClassName: middle }),
      ),
    );
    assert.is(await nodeOf(plane, 'high'), 'node1');
    for (const name of ['g1', 'g2', 'g3']) {
      const { spec } = await plane.client.get<Pod>('pods', { ...IN_DEFAULT, name });
      assert.is(spec.nodeName, undefined);
    }
  });

  test('leaves gated pods and those of other schedulers alone', async () => {
    const plane = await start({ node1: SMALL });
    await createPod(plane, 'gated', { schedulingGates: [{ name: 'example.com/wait' }] });
    await createPod(plane, 'foreign', { schedulerName: 'other' });
    await createPod(plane, 'plain');
    await nodeOf(plane, 'plain');
    const names = ['gated', 'foreign'];
    for (const name of names) {
      const { spec } = await plane.client.get<Pod>('pods', { ...IN_DEFAULT, name });
      assert.is(spec.nodeName, undefined);
    }
    const gated = { ...IN_DEFAULT, name: 'gated' };
    await plane.client.patch('pods', gated, { spec: { schedulingGates: [] } }, { type: 'merge' });
    assert.is(await nodeOf(plane, 'gated'), 'node1');
  });

  test('places hundreds of pods without going over any node', async () => {
    const big = { cpu: '100', memory: '400Gi', pods: '300' };
    const plane = await start({ node1: big, node2: big, node3: big, node4: big });
    const names = Array.from({ length: 400 }, (_, i) => `p${i}`);
    await Promise.all(names.map((name) => createPod(plane, name, { cpu: '100m' })));
    let counts: number[] = [];
    await eventually(
      () => {
        const pods = plane.informers.list<Pod>('pods', 'default');
        counts = ['node1', 'node2', 'node3', 'node4'].map(
          (node) => pods.filter(({ spec }) => spec.nodeName === node).length,
        );
        return counts.reduce((a, b) => a + b) === 400;
      },
      () => counts,
    );
    assert.ok(
      counts.every((count) => count === 100),
      JSON.stringify(counts),
    );
  });
});
