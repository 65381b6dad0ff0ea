/** Garbage collector, namespaces, nodes and their helpers on a real API server with the memory store. */

import * as assert from 'uvu/assert';
import { isReason } from '../../pkg/api/errors.ts';
import type {
  ConfigMap,
  Deployment,
  Lease,
  Namespace,
  Node,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ReplicationController,
} from '../../pkg/api/generated/types.ts';
import type { ApiObject, Draft, Ref } from '../../pkg/api/meta.ts';
import { allControllers } from '../../pkg/controllers/controllers.ts';
import { rejects, suite } from '../harness/suite.ts';
import { type ControlPlane, eventually, startControlPlane } from './control-plane.ts';

const CA = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const WEB = { namespace: 'default', name: 'web' };

async function isGone({ client }: ControlPlane, resource: string, ref: Ref): Promise<boolean> {
  const found = await client.get(resource, ref).catch((error: unknown) => error);
  return isReason(found, 'NotFound');
}

function web(replicas: number, tolerationSeconds = 300): Draft<Deployment> {
  const toleration = { operator: 'Exists', effect: 'NoExecute', tolerationSeconds };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: WEB,
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'web', image: 'mini/hello' }],
          tolerations: [
            { key: 'node.kubernetes.io/not-ready', ...toleration },
            { key: 'node.kubernetes.io/unreachable', ...toleration },
          ],
        },
      },
    },
  };
}

async function podsReady({ client }: ControlPlane, count: number): Promise<readonly Pod[]> {
  let items: readonly Pod[] = [];
  await eventually(
    async () => {
      ({ items } = await client.list<Pod>('pods', { namespace: 'default' }));
      const active = items.filter(({ metadata }) => !metadata.deletionTimestamp);
      return active.filter(({ status }) => status?.phase === 'Running').length === count;
    },
    () => items.map(({ metadata, spec, status }) => [metadata.name, spec.nodeName, status?.phase]),
  );
  return items;
}

function configMap(
  name: string,
  owners: readonly ApiObject[] = [],
  block = false,
): Draft<ConfigMap> {
  const ownerReferences = owners.map(({ apiVersion, kind, metadata }) => ({
    apiVersion,
    kind,
    name: metadata.name,
    uid: metadata.uid,
    ...(block ? { blockOwnerDeletion: true } : {}),
  }));
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'default', name, ownerReferences },
  };
}

suite('controllers of the cluster', ({ test, cleanup }) => {
  const start = async (options: { graceMs?: number; quarantineMs?: number } = {}) => {
    const plane = await startControlPlane();
    cleanup(() => plane.close());
    await plane.run(allControllers({ clusterCidr: '10.42.0.0/16', rootCa: CA, ...options }));
    return plane;
  };

  test('a deleted Deployment takes its ReplicaSets and pods along', async () => {
    const plane = await start();
    await plane.playNode('node1');
    await plane.client.create('deployments', web(3));
    await podsReady(plane, 3);
    await plane.client.remove('deployments', WEB, { propagationPolicy: 'Background' });
    await eventually(async () => {
      const sets = await plane.client.list('replicasets', { namespace: 'default' });
      const pods = await plane.client.list('pods', { namespace: 'default' });
      return sets.items.length + pods.items.length === 0;
    });
  });

  test('orphaned ReplicaSets stay and are adopted by the next Deployment', async () => {
    const plane = await start();
    await plane.playNode('node1');
    await plane.client.create('deployments', web(2));
    const before = await podsReady(plane, 2);
    await plane.client.remove('deployments', WEB, { propagationPolicy: 'Orphan' });
    await eventually(() => isGone(plane, 'deployments', WEB));
    const { items } = await plane.client.list<ReplicaSet>('replicasets', { namespace: 'default' });
    assert.is(items.length, 1);
    assert.is(items[0]?.metadata.ownerReferences?.length ?? 0, 0);
    await plane.client.create('deployments', web(2));
    await eventually(async () => {
      const sets = await plane.client.list<ReplicaSet>('replicasets', { namespace: 'default' });
      return sets.items[0]?.metadata.ownerReferences?.length === 1;
    });
    const after = await podsReady(plane, 2);
    const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name).sort();
    assert.equal(names(after), names(before));
  });

  test('a foreground deletion waits for the dependents that block it', async () => {
    const plane = await start();
    const { client } = plane;
    const owner = await client.create<ConfigMap>('configmaps', configMap('owner'));
    const held = configMap('held', [owner], true);
    await client.create<ConfigMap>('configmaps', {
      ...held,
      metadata: { ...held.metadata, finalizers: ['example.com/hold'] },
    });
    await client.create<ConfigMap>('configmaps', configMap('free', [owner]));
    await client.remove('configmaps', owner.metadata, { propagationPolicy: 'Foreground' });
    await eventually(() => isGone(plane, 'configmaps', { namespace: 'default', name: 'free' }));
    const waiting = await client.get('configmaps', owner.metadata);
    assert.ok(waiting.metadata.deletionTimestamp);
    const ref = { namespace: 'default', name: 'held' };
    await client.patch('configmaps', ref, { metadata: { finalizers: null } }, { type: 'merge' });
    await eventually(() => isGone(plane, 'configmaps', owner.metadata));
    assert.ok(await isGone(plane, 'configmaps', ref));
  });

  test('an object goes only with the last of its owners', async () => {
    const plane = await start();
    const { client } = plane;
    const one = await client.create<ConfigMap>('configmaps', configMap('one'));
    const two = await client.create<ConfigMap>('configmaps', configMap('two'));
    const both = await client.create<ConfigMap>('configmaps', configMap('both', [one, two]));
    await client.remove('configmaps', one.metadata);
    await eventually(async () => {
      const found = await client.get('configmaps', both.metadata);
      return found.metadata.ownerReferences?.length === 1;
    });
    await client.remove('configmaps', two.metadata);
    await eventually(() => isGone(plane, 'configmaps', both.metadata));
  });

  test('namespaces get what pods need and take all they hold along', async () => {
    const plane = await start();
    const { client } = plane;
    await plane.playNode('node1');
    const metadata = { name: 'shop' };
    const shop = { apiVersion: 'v1', kind: 'Namespace', metadata, spec: {} };
    await client.create<Namespace>('namespaces', shop);
    await eventually(async () => {
      const inShop = { namespace: 'shop', name: 'kube-root-ca.crt' };
      const account = await isGone(plane, 'serviceaccounts', {
        namespace: 'shop',
        name: 'default',
      });
      return !account && !(await isGone(plane, 'configmaps', inShop));
    });
    const draft = web(2);
    await client.create<Deployment>('deployments', {
      ...draft,
      metadata: { name: 'web', namespace: 'shop' },
    });
    await eventually(async () => {
      const { items } = await client.list<Pod>('pods', { namespace: 'shop' });
      return items.length === 2 && items.every(({ status }) => status?.phase === 'Running');
    });
    await client.remove('namespaces', metadata);
    await eventually(() => isGone(plane, 'namespaces', metadata));
    const { items } = await client.list('deployments', { namespace: 'shop' });
    assert.is(items.length, 0);
  });

  test('each node gets its own share of pod addresses', async () => {
    const plane = await start();
    await Promise.all(['node1', 'node2', 'node3'].map((name) => plane.playNode(name)));
    const cidrs = async () => {
      const { items } = await plane.client.list<Node>('nodes');
      return items.flatMap(({ spec }) => spec?.podCIDR ?? []).sort();
    };
    await eventually(async () => (await cidrs()).length === 3);
    assert.equal(await cidrs(), ['10.42.0.0/22', '10.42.4.0/22', '10.42.8.0/22']);
  });

  test('a silent node is marked, and its pods are replaced elsewhere', async () => {
    const plane = await start({ graceMs: 500 });
    const { client } = plane;
    const metadata = { name: 'kube-node-lease' };
    await client.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata });
    const beat = async (name: string) => {
      const renewTime = new Date().toISOString().replace('Z', '000Z');
      const ref = { namespace: 'kube-node-lease', name };
      const lease = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: ref,
        spec: { renewTime },
      };
      const held = await client.get<Lease>('leases', ref).catch(() => undefined);
      if (held) await client.update<Lease>('leases', { ...held, spec: { renewTime } });
      else await client.create<Lease>('leases', lease);
    };
    const recover = async (name: string) => {
      const status = { conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }] };
      await client.patch(
        'nodes',
        { name },
        { status },
        { type: 'strategic', subresource: 'status' },
      );
    };
    await plane.playNode('node1');
    const stop = await plane.playNode('node2');
    const timer = setInterval(() => void beat('node1').catch(() => undefined), 50);
    cleanup(() => clearInterval(timer));
    const second = setInterval(() => void beat('node2').catch(() => undefined), 50);
    cleanup(() => clearInterval(second));
    await client.create('deployments', web(4, 0));
    await podsReady(plane, 4);
    clearInterval(second);
    stop();
    let pods: readonly Pod[] = [];
    await eventually(
      async () => {
        ({ items: pods } = await client.list<Pod>('pods', { namespace: 'default' }));
        const here = pods.filter(({ spec }) => spec.nodeName === 'node1');
        return here.filter(({ status }) => status?.phase === 'Running').length === 4;
      },
      () => pods.map(({ spec, status }) => [spec.nodeName, status?.phase]),
    );
    const node = await client.get<Node>('nodes', { name: 'node2' });
    const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
    assert.is(ready?.status, 'Unknown');
    assert.is(ready?.message, 'Kubelet stopped posting node status.');
    const taints = (node.spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`);
    assert.equal(taints, [
      'node.kubernetes.io/unreachable:NoSchedule',
      'node.kubernetes.io/unreachable:NoExecute',
    ]);
    const third = setInterval(() => void beat('node2').catch(() => undefined), 50);
    cleanup(() => clearInterval(third));
    await beat('node2');
    await recover('node2');
    await eventually(async () => {
      const back = await client.get<Node>('nodes', { name: 'node2' });
      return (back.spec?.taints ?? []).length === 0;
    });
  });

  test('evictions are limited by a disruption budget', async () => {
    const plane = await start();
    const { client } = plane;
    await plane.playNode('node1');
    await client.create('deployments', web(3));
    const pods = await podsReady(plane, 3);
    const ref = { namespace: 'default', name: 'budget' };
    await client.create<PodDisruptionBudget>('poddisruptionbudgets', {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: ref,
      spec: { maxUnavailable: '40%', selector: { matchLabels: { app: 'web' } } },
    });
    let status: PodDisruptionBudget['status'];
    await eventually(
      async () => {
        ({ status } = await client.get<PodDisruptionBudget>('poddisruptionbudgets', ref));
        return status?.disruptionsAllowed === 2;
      },
      () => status,
    );
    assert.equal([status?.expectedPods, status?.desiredHealthy, status?.currentHealthy], [3, 1, 3]);
    await client.patch(
      'poddisruptionbudgets',
      ref,
      { spec: { maxUnavailable: 0 } },
      { type: 'merge' },
    );
    await eventually(async () => {
      const found = await client.get<PodDisruptionBudget>('poddisruptionbudgets', ref);
      return found.status?.disruptionsAllowed === 0;
    });
    const [pod] = pods;
    assert.ok(pod);
    const { name } = pod.metadata;
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { namespace: 'default', name },
    };
    const refused = await rejects(client.createSub('pods', pod.metadata, 'eviction', eviction));
    assert.ok(isReason(refused, 'TooManyRequests'));
  });

  test('a ReplicationController keeps its pods', async () => {
    const plane = await start();
    await plane.playNode('node1');
    const ref = { namespace: 'default', name: 'old' };
    const labels = { app: 'old' };
    await plane.client.create<ReplicationController>('replicationcontrollers', {
      apiVersion: 'v1',
      kind: 'ReplicationController',
      metadata: ref,
      spec: {
        replicas: 2,
        selector: labels,
        template: {
          metadata: { labels },
          spec: { containers: [{ name: 'a', image: 'mini/hello' }] },
        },
      },
    });
    await podsReady(plane, 2);
    await eventually(async () => {
      const found = await plane.client.get<ReplicationController>('replicationcontrollers', ref);
      return found.status?.availableReplicas === 2;
    });
  });

  test('pods of a node that was removed are removed too', async () => {
    const plane = await start({ quarantineMs: 100 });
    const stop = await plane.playNode('node1');
    await plane.client.create('deployments', web(2));
    await podsReady(plane, 2);
    stop();
    await plane.playNode('node2');
    await plane.client.remove('nodes', { name: 'node1' });
    await eventually(async () => {
      const { items } = await plane.client.list<Pod>('pods', { namespace: 'default' });
      return items.length === 2 && items.every(({ spec }) => spec.nodeName === 'node2');
    });
    const error = await rejects(plane.client.get('nodes', { name: 'node1' }));
    assert.ok(isReason(error, 'NotFound'));
  });
});
