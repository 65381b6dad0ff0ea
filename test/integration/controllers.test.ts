/** Deployments and ReplicaSets end to end: real API server on the memory store, real scheduler, played nodes. */

import * as assert from 'uvu/assert';
import type { Deployment, Pod, ReplicaSet } from '../../pkg/api/generated/types.ts';
import type { Draft } from '../../pkg/api/meta.ts';
import { deployment } from '../../pkg/controllers/deployment.ts';
import { replicaset } from '../../pkg/controllers/replicaset.ts';
import { suite } from '../harness/suite.ts';
import { type ControlPlane, eventually, startControlPlane } from './control-plane.ts';

const REF = { namespace: 'default', name: 'web' };

function web(replicas: number, image = 'mini/hello:1'): Draft<Deployment> {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: 'default', name: 'web' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'web', image }] },
      },
    },
  };
}

function isRolledOut({ metadata, spec, status }: Deployment): boolean {
  return (
    status?.observedGeneration === metadata.generation &&
    (status?.updatedReplicas ?? 0) === spec.replicas &&
    (status?.replicas ?? 0) === spec.replicas &&
    (status?.availableReplicas ?? 0) === spec.replicas
  );
}

async function rolledOut({ client }: ControlPlane): Promise<Deployment> {
  let found = await client.get<Deployment>('deployments', REF);
  await eventually(
    async () => {
      found = await client.get<Deployment>('deployments', REF);
      return isRolledOut(found);
    },
    () => found.status,
  );
  return found;
}

async function setTemplate({ client }: ControlPlane, image: string): Promise<void> {
  const containers = [{ name: 'web', image }];
  const patch = { spec: { template: { spec: { containers } } } };
  await client.patch('deployments', REF, patch, { type: 'strategic' });
}

function reasonOf({ status }: Deployment, type: string): string | undefined {
  return status?.conditions?.find((condition) => condition.type === type)?.reason;
}

async function images({ client }: ControlPlane): Promise<(string | undefined)[]> {
  const { items } = await client.list<Pod>('pods', { namespace: 'default' });
  return items.map(({ spec }) => spec.containers[0]?.image);
}

suite('deployments on a control plane', ({ test, cleanup }) => {
  const start = async () => {
    const plane = await startControlPlane();
    cleanup(() => plane.close());
    await plane.playNode('node1');
    await plane.playNode('node2');
    await plane.run([deployment, replicaset]);
    return plane;
  };

  test('creates, spreads and reports the pods', async () => {
    const plane = await start();
    await plane.client.create('deployments', web(4));
    const found = await rolledOut(plane);
    assert.is(found.metadata.annotations?.['deployment.kubernetes.io/revision'], '1');
    const conditions = Object.fromEntries((found.status?.conditions ?? []).map((c) => [c.type, c]));
    assert.is(conditions['Available']?.reason, 'MinimumReplicasAvailable');
    assert.is(conditions['Progressing']?.reason, 'NewReplicaSetAvailable');
    const { items } = await plane.client.list<Pod>('pods', { namespace: 'default' });
    assert.is(items.length, 4);
    assert.is(items.filter(({ spec }) => spec.nodeName === 'node1').length, 2);
  });

  test('rolls a new template out within the limits and back again', async () => {
    const plane = await start();
    await plane.client.create('deployments', web(4));
    await rolledOut(plane);
    let least = 4;
    let most = 0;
    plane.informers.subscribe<Pod>('pods', () => {
      const pods = plane.informers.list<Pod>('pods', 'default');
      const alive = pods.filter(({ metadata }) => !metadata.deletionTimestamp);
      const ready = alive.filter(({ status }) =>
        status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      );
      least = Math.min(least, ready.length);
      most = Math.max(most, alive.length);
    });
    await setTemplate(plane, 'mini/hello:2');
    const second = await rolledOut(plane);
    assert.is(second.metadata.annotations?.['deployment.kubernetes.io/revision'], '2');
    assert.ok(least >= 3, `only ${least} were ready`);
    assert.ok(most <= 5, `${most} pods at once`);
    await setTemplate(plane, 'mini/hello:1');
    const third = await rolledOut(plane);
    assert.is(third.metadata.annotations?.['deployment.kubernetes.io/revision'], '3');
    const { items } = await plane.client.list<ReplicaSet>('replicasets', { namespace: 'default' });
    assert.is(items.length, 2);
    const [active] = items.filter(({ spec }) => spec.replicas === 4);
    assert.is(active?.metadata.annotations?.['deployment.kubernetes.io/revision-history'], '1');
  });

  test('replaces a deleted pod', async () => {
    const plane = await start();
    await plane.client.create('deployments', web(2));
    await rolledOut(plane);
    const before = await plane.client.list<Pod>('pods', { namespace: 'default' });
    const [victim] = before.items;
    assert.ok(victim);
    await plane.client.remove('pods', victim.metadata);
    await eventually(async () => {
      const { items } = await plane.client.list<Pod>('pods', { namespace: 'default' });
      const names = items.map(({ metadata }) => metadata.name);
      return items.length === 2 && !names.includes(victim.metadata.name);
    });
    await rolledOut(plane);
  });

  test('a paused Deployment is resized but not rolled out until it is resumed', async () => {
    const plane = await start();
    const { client } = plane;
    await client.create('deployments', web(2));
    await rolledOut(plane);
    await client.patch('deployments', REF, { spec: { paused: true } }, { type: 'merge' });
    await setTemplate(plane, 'mini/hello:2');
    await client.patch('deployments', REF, { spec: { replicas: 3 } }, { type: 'merge' });
    await eventually(async () => {
      const { status } = await client.get<Deployment>('deployments', REF);
      return status?.availableReplicas === 3;
    });
    const paused = await client.get<Deployment>('deployments', REF);
    assert.is(reasonOf(paused, 'Progressing'), 'DeploymentPaused');
    assert.is((await images(plane)).join(' '), 'mini/hello:1 mini/hello:1 mini/hello:1');
    await client.patch('deployments', REF, { spec: { paused: false } }, { type: 'merge' });
    const resumed = await rolledOut(plane);
    assert.is(reasonOf(resumed, 'Progressing'), 'NewReplicaSetAvailable');
    assert.is((await images(plane)).join(' '), 'mini/hello:2 mini/hello:2 mini/hello:2');
  });

  test('Recreate ends all old pods before the first new one', async () => {
    const plane = await start();
    const draft = web(2);
    const { client, informers } = plane;
    await client.create<Deployment>('deployments', {
      ...draft,
      spec: { ...draft.spec, strategy: { type: 'Recreate' } },
    });
    await rolledOut(plane);
    let isMixed = false;
    informers.subscribe<Pod>('pods', () => {
      const seen = informers
        .list<Pod>('pods', 'default')
        .map(({ spec }) => spec.containers[0]?.image);
      if (new Set(seen).size > 1) isMixed = true;
    });
    await setTemplate(plane, 'mini/hello:2');
    await rolledOut(plane);
    assert.is(isMixed, false);
    assert.is((await images(plane)).join(' '), 'mini/hello:2 mini/hello:2');
  });

  test('a rollout that cannot progress is reported, and a resize in its middle shared out', async () => {
    const plane = await start();
    const { client } = plane;
    const draft = web(4);
    const spec = {
      ...draft.spec,
      progressDeadlineSeconds: 1,
      minReadySeconds: 0,
      revisionHistoryLimit: 1,
    };
    await client.create<Deployment>('deployments', { ...draft, spec });
    await rolledOut(plane);
    const stuck = { spec: { template: { spec: { nodeSelector: { no: 'where' } } } } };
    await client.patch('deployments', REF, stuck, { type: 'merge' });
    await eventually(async () => {
      const found = await client.get<Deployment>('deployments', REF);
      return reasonOf(found, 'Progressing') === 'ProgressDeadlineExceeded';
    });
    await client.patch('deployments', REF, { spec: { replicas: 8 } }, { type: 'merge' });
    let sizes: (number | undefined)[] = [];
    await eventually(
      async () => {
        const { items } = await client.list<ReplicaSet>('replicasets', { namespace: 'default' });
        sizes = items.map((rs) => rs.spec.replicas).sort();
        return JSON.stringify(sizes) === '[4,6]';
      },
      () => sizes,
    );
    const undo = { spec: { template: { spec: { nodeSelector: null } } } };
    await client.patch('deployments', REF, undo, { type: 'merge' });
    await rolledOut(plane);
    await setTemplate(plane, 'mini/hello:3');
    await rolledOut(plane);
    await eventually(async () => {
      const { items } = await client.list<ReplicaSet>('replicasets', { namespace: 'default' });
      return items.length === 2;
    });
  });

  test('scales from 0 to 100 and back', async () => {
    const plane = await start();
    await plane.client.create('deployments', web(0));
    await rolledOut(plane);
    const resize = (replicas: number) =>
      plane.client.patch('deployments', REF, { spec: { replicas } }, { type: 'merge' });
    const cpu = process.cpuUsage();
    const began = performance.now();
    await resize(100);
    await rolledOut(plane);
    if (process.env['MINI_TEST_LOG']) {
      const { user, system } = process.cpuUsage(cpu);
      process.stderr.write(
        `100 pods: ${performance.now() - began} ms, cpu ${(user + system) / 1000} ms\n`,
      );
    }
    await resize(0);
    await rolledOut(plane);
    const { items } = await plane.client.list<Pod>('pods', { namespace: 'default' });
    assert.is(items.length, 0);
  });
});
