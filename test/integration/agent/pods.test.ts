/** Pods on a node: a real API server and agent, containers played by a fake engine. */

import { mkdir, readdir, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Node, Pod } from '../../../pkg/api/generated/types.ts';
import { suite } from '../../harness/suite.ts';
import { NODE, startTestNode } from './test-node.ts';

const isRunning = ({ status }: Pod) => status?.phase === 'Running';
const reason = ({ status }: Pod, index = 0) =>
  status?.containerStatuses?.[index]?.state?.waiting?.reason;
const condition = ({ status }: Pod, type: string) =>
  status?.conditions?.find((one) => one.type === type)?.status;

suite('agent: pods on a node', ({ test, cleanup }) => {
  const start = async () => {
    const node = await startTestNode();
    cleanup(() => node.close());
    return node;
  };

  test('registers a node that becomes Ready when its pod network is there', async () => {
    const { client, directory } = await start();
    const isTmpfs = (await statfs(directory)).type === 0x01021994;
    for (let tries = 0; ; tries += 1) {
      const node = await client.get<Node>('nodes', { name: NODE });
      const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready?.status !== 'True' && tries < 200) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      assert.is(ready?.reason, 'KubeletReady');
      assert.is(/lie on a disk: .* is no tmpfs/.test(ready?.message ?? ''), !isTmpfs);
      assert.is(node.metadata.labels?.['zone'], 'a');
      assert.is(node.status?.capacity?.['pods'], '500');
      assert.match(node.status?.nodeInfo?.containerRuntimeVersion ?? '', /^mini:\/\//);
      break;
    }
    const lease = await client.get('leases', { namespace: 'kube-node-lease', name: NODE });
    assert.is(lease.metadata.name, NODE);
  });

  test('a node that was taken for dead says at once that it is not', async () => {
    const { client, podWhen: _ } = await start();
    const nodeWhen = async (is: (node: Node) => boolean) => {
      for (let tries = 0; tries < 400; tries += 1) {
        const node = await client.get<Node>('nodes', { name: NODE });
        if (is(node)) return node;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      throw new Error('the node stays as it is');
    };
    const isReady = ({ status }: Node) =>
      status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
    const node = await nodeWhen(isReady);
    const conditions = (node.status?.conditions ?? []).map((one) => ({
      ...one,
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
    }));
    const dead = { ...node, status: { ...node.status, conditions } };
    await client.updateStatus<Node>('nodes', dead);
    const alive = await nodeWhen(isReady);
    assert.equal(
      alive.status?.conditions?.map(({ type, status }) => [type, status]).sort(),
      node.status?.conditions?.map(({ type, status }) => [type, status]).sort(),
    );
  });

  test('a pod becomes Running and Ready with its address, and is removed when it is deleted', async () => {
    const node = await start();
    await node.createPod('web');
    const pod = await node.podWhen('web', isRunning);
    assert.match(pod.status?.podIP ?? '', /^10\.42\.0\./);
    assert.is(pod.status?.hostIP, '192.0.2.1');
    assert.is(pod.status?.qosClass, 'BestEffort');
    const [status] = pod.status?.containerStatuses ?? [];
    assert.ok(status?.ready && status.started && status.state?.running?.startedAt);
    assert.match(status.containerID ?? '', /^mini:\/\/[0-9a-f]{64}$/);
    for (const type of [
      'Ready',
      'ContainersReady',
      'Initialized',
      'PodReadyToStartContainers',
      'PodScheduled',
    ]) {
      assert.is(condition(pod, type), 'True', type);
    }
    await node.client.remove(
      'pods',
      { namespace: 'default', name: 'web' },
      { gracePeriodSeconds: 7 },
    );
    await node.goneWhen('web');
    assert.equal(
      node.engine.stops.map(({ graceMs }) => graceMs),
      [7000],
    );
    assert.is(node.engine.listSandboxes().length, 0);
    const events = (await node.events('web')).map((event) => event.reason);
    assert.equal(events.sort(), ['Created', 'Killing', 'Pulled', 'Started']);
  });

  test('containers that fail are restarted with back-off, and the previous end is shown', async () => {
    const node = await start();
    await node.createPod('crash', { containers: [{ command: ['exit', '3'] }] });
    const pod = await node.podWhen('crash', (one) => reason(one) === 'CrashLoopBackOff');
    const [status] = pod.status?.containerStatuses ?? [];
    assert.is(status?.restartCount, 1);
    assert.is(status?.lastState?.terminated?.exitCode, 3);
    assert.is(status?.lastState?.terminated?.reason, 'Error');
    assert.match(
      status?.state?.waiting?.message ?? '',
      /^back-off 10s restarting failed container=c0 pod=crash_default\(/,
    );
    assert.is(condition(pod, 'Ready'), 'False');
  });

  test('a pod that is not restarted ends as Succeeded or Failed, and gives its network back', async () => {
    const node = await start();
    await node.createPod('good', {
      containers: [{ command: ['exit', '0'] }],
      spec: { restartPolicy: 'Never' },
    });
    await node.createPod('bad', {
      containers: [{ command: ['exit', '5'] }],
      spec: { restartPolicy: 'Never' },
    });
    const good = await node.podWhen('good', ({ status }) => status?.phase === 'Succeeded');
    const bad = await node.podWhen('bad', ({ status }) => status?.phase === 'Failed');
    assert.is(good.status?.containerStatuses?.[0]?.state?.terminated?.reason, 'Completed');
    assert.is(bad.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 5);
    await node.podWhen('bad', () => node.engine.listSandboxes().length === 0);
    assert.is(condition(good, 'Ready'), 'False');
  });

  test('init containers run one after another before the others', async () => {
    const node = await start();
    await node.createPod('init', {
      spec: {
        initContainers: [
          { name: 'i0', image: 'known:1', command: ['exit', '0'] },
          { name: 'i1', image: 'known:1' },
        ],
      },
    });
    const waiting = await node.podWhen(
      'init',
      ({ status }) => status?.initContainerStatuses?.[1]?.state?.running !== undefined,
    );
    assert.is(waiting.status?.phase, 'Pending');
    assert.is(reason(waiting), 'PodInitializing');
    assert.is(condition(waiting, 'Initialized'), 'False');
    const running = node.engine.listContainers().find(({ status }) => status === 'running');
    node.engine.exit(running?.id ?? '', 0);
    const pod = await node.podWhen('init', isRunning);
    assert.equal(
      pod.status?.initContainerStatuses?.map((s) => s.state?.terminated?.exitCode),
      [0, 0],
    );
    assert.is(condition(pod, 'Initialized'), 'True');
  });

  test('an image that cannot be had is named, and the pull is put off', async () => {
    const node = await start();
    await node.createPod('noimage', { containers: [{ image: 'missing:1' }] });
    await node.podWhen('noimage', (pod) => reason(pod) === 'ErrImagePull');
    const pod = await node.podWhen('noimage', (one) => reason(one) === 'ImagePullBackOff');
    assert.is(pod.status?.phase, 'Pending');
    await node.createPod('never', {
      containers: [{ image: 'missing:1', imagePullPolicy: 'Never' }],
    });
    await node.podWhen('never', (one) => reason(one) === 'ErrImageNeverPull');
    await node.createPod('badname', { containers: [{ image: 'BAD' }] });
    const bad = await node.podWhen('badname', (one) => reason(one) === 'InvalidImageName');
    const why =
      /^Failed to apply default image tag "BAD": couldn't parse image name "BAD": invalid r/;
    assert.match(bad.status?.containerStatuses?.[0]?.state?.waiting?.message ?? '', why);
    await node.whenTold('badname', 'InspectFailed', why);
    await node.whenTold('badname', 'Failed', /^Error: InvalidImageName$/);
    await node.whenTold('never', 'Failed', /^Error: ErrImageNeverPull$/);
    assert.not((await node.events('badname')).some((one) => one.reason === 'Pulling'));
  });

  test('a program that cannot be executed is shown with its error', async () => {
    const node = await start();
    await node.createPod('nostart', { containers: [{ command: ['fail-start'] }] });
    await node.podWhen('nostart', (pod) => reason(pod) === 'RunContainerError');
    const pod = await node.podWhen(
      'nostart',
      (one) => one.status?.containerStatuses?.[0]?.restartCount === 1,
    );
    const last = pod.status?.containerStatuses?.[0]?.lastState?.terminated;
    assert.is(last?.reason, 'StartError');
    assert.is(last?.exitCode, 128);
  });

  test('env of all sources reaches the container, and waits for what is missing', async () => {
    const node = await start();
    await node.createPod('env', {
      containers: [
        {
          command: ['run', '$(A)-$(MISSING)-$$(A)'],
          env: [
            { name: 'A', value: 'a' },
            { name: 'B', value: 'b$(A)' },
            { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'K', valueFrom: { configMapKeyRef: { name: 'cm', key: 'k' } } },
            { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
          ],
          envFrom: [{ prefix: 'P_', secretRef: { name: 's' } }],
          resources: { limits: { cpu: '500m', memory: '64Mi' } },
        },
      ],
    });
    const blocked = await node.podWhen(
      'env',
      (pod) => reason(pod) === 'CreateContainerConfigError',
    );
    assert.match(
      blocked.status?.containerStatuses?.[0]?.state?.waiting?.message ?? '',
      /not found/,
    );
    const meta = (name: string) => ({ name, namespace: 'default' });
    await node.client.create('secrets', {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: meta('s'),
      data: { x: 'eA==' },
    } as never);
    await node.client.create('configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: meta('cm'),
      data: { k: 'v' },
    } as never);
    await node.podWhen('env', isRunning);
    const config = [...node.engine.configs.values()].at(-1);
    const env = new Map(
      config?.env.map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]),
    );
    assert.is(env.get('B'), 'ba');
    assert.is(env.get('K'), 'v');
    assert.is(env.get('P_x'), 'x');
    assert.is(env.get('CPU'), '1');
    assert.match(env.get('IP') ?? '', /^10\.42/);
    assert.equal(config?.command, ['run', 'a-$(MISSING)-$(A)']);
    assert.equal(config?.resources, {
      cpuShares: 512,
      cpuQuotaUs: 50_000,
      cpuPeriodUs: 100_000,
      memoryLimitBytes: 67_108_864,
      maySwap: false,
    });
  });

  test('a restarted agent takes its containers over, with counts and exit codes', async () => {
    const node = await start();
    await node.createPod('keep', { containers: [{}, { command: ['exit', '1'] }] });
    const before = await node.podWhen('keep', (pod) => reason(pod, 1) === 'CrashLoopBackOff');
    const ids = node.engine
      .listContainers()
      .map(({ id }) => id)
      .sort();
    await node.restart();
    node.engine.exit(
      ids.find((id) => before.status?.containerStatuses?.[0]?.containerID?.endsWith(id)) ?? '',
      9,
    );
    const after = await node.podWhen(
      'keep',
      (pod) => pod.status?.containerStatuses?.[0]?.restartCount === 1,
    );
    assert.is(after.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 9);
    assert.is(after.status?.podIP, before.status?.podIP);
    assert.is(after.status?.startTime, before.status?.startTime);
    assert.ok((after.status?.containerStatuses?.[1]?.restartCount ?? 0) >= 1);
  });

  test('pods that were deleted while the agent was away are cleaned up', async () => {
    const node = await start();
    const { metadata } = await node.createPod('orphan', {
      spec: { volumes: [{ name: 'v', emptyDir: {} }] },
    });
    await node.podWhen('orphan', isRunning);
    await node.agent().close();
    await node.client.remove(
      'pods',
      { namespace: 'default', name: 'orphan' },
      { gracePeriodSeconds: 0 },
    );
    // Killed before anything else was made of this one.
    const users = join(node.directory, 'data/storage/.users');
    await mkdir(join(users, 'pvc-1'), { recursive: true });
    await writeFile(join(users, 'pvc-1/0-0-0'), '');
    await node.restart();
    assert.equal(await readdir(users), []);
    assert.is(node.engine.listSandboxes().length, 0);
    assert.is(node.engine.listContainers().length, 0);
    const left = await stat(join(node.directory, 'data/pods', metadata.uid)).catch(() => undefined);
    assert.is(left, undefined);
  });
});
