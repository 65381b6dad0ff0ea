/** Pods whose resources change while they run: what is granted, what waits, what needs a restart, what is told. */

import * as assert from 'uvu/assert';
import { parseKubeletArgs } from '../../../pkg/agent/node/kubelet-args.ts';
import type { Container, Pod } from '../../../pkg/api/generated/types.ts';
import { suite } from '../../harness/suite.ts';
import { createFakeEngine } from './fake-engine.ts';
import { startNodeWith } from './test-node.ts';

const MIB = 2 ** 20;
const isRunning = ({ status }: Pod) => status?.phase === 'Running';
const conditionOf = ({ status }: Pod, type: string) =>
  status?.conditions?.find((one) => one.type === type);
const cpuOf = ({ status }: Pod, at = 0) =>
  status?.containerStatuses?.[at]?.resources?.requests?.['cpu'];

type Sizes = Readonly<Record<string, string>>;
const sized = (requests: Sizes, limits?: Sizes): Partial<Container> => ({
  resources: { requests, ...(limits ? { limits } : {}) },
});

suite('agent: in-place resize', ({ test, cleanup }) => {
  /** A node with one processor for pods. */
  const start = async (memoryUsed: () => number = () => 0) => {
    const { availableParallelism } = await import('node:os');
    const limits = parseKubeletArgs([
      `kube-reserved=cpu=${availableParallelism() - 1}`,
      'eviction-hard=pid.available<1',
    ]);
    const sensors = { memoryUsage: async () => memoryUsed() };
    const node = await startNodeWith(createFakeEngine(), { limits, sensors });
    cleanup(() => node.close());
    const resize = (name: string, containers: readonly Partial<Container>[]) =>
      node.client.patch<Pod>(
        'pods',
        { namespace: 'default', name },
        { spec: { containers: containers.map((one, at) => ({ name: `c${at}`, ...one })) } },
        { type: 'strategic', subresource: 'resize' },
      );
    return { node, resize };
  };

  test('a running container gets its new resources and goes on', async () => {
    const { node, resize } = await start();
    await node.createPod('one', { containers: [sized({ cpu: '100m', memory: '20Mi' })] });
    const before = await node.podWhen('one', isRunning);
    assert.equal(before.status?.containerStatuses?.[0]?.resources, {
      requests: { cpu: '100m', memory: '20Mi' },
    });
    assert.equal(before.status?.containerStatuses?.[0]?.allocatedResources, {
      cpu: '100m',
      memory: '20Mi',
    });
    const limits = { cpu: '400m', memory: '64Mi' };
    await resize('one', [sized({ cpu: '200m', memory: '20Mi' }, limits)]);
    const after = await node.podWhen('one', (pod) => cpuOf(pod) === '200m');
    assert.equal(after.status?.containerStatuses?.[0]?.resources, {
      limits,
      requests: { cpu: '200m', memory: '20Mi' },
    });
    assert.is(after.status?.containerStatuses?.[0]?.restartCount, 0);
    assert.is(after.status?.qosClass, 'Burstable');
    assert.is(after.metadata.generation, 2);
    assert.is(after.status?.observedGeneration, 2);
    for (const type of ['PodResizePending', 'PodResizeInProgress'])
      assert.is(conditionOf(after, type), undefined);
    const expected = {
      cpuShares: 204,
      cpuQuotaUs: 40_000,
      cpuPeriodUs: 100_000,
      memoryLimitBytes: 64 * MIB,
    };
    assert.equal(node.engine.updates.at(-1)?.resources, { ...expected, maySwap: false });
    const { uid } = after.metadata;
    const pod = node.engine.cgroups.get(`/mini-no-such-cgroup/burstable/pod${uid}`);
    assert.equal(pod, { ...expected, pidsLimit: 16_384 });
    await node.whenTold('one', 'ResizeStarted', /^Pod resize started: .*"generation":2/);
    await node.whenTold('one', 'ResizeCompleted', /^Pod resize completed: .*"cpu":"200m"/);
  });

  test('what the node has not waits for room, what it never has is infeasible', async () => {
    const { node, resize } = await start();
    await node.createPod('first', { containers: [sized({ cpu: '600m' })] });
    await node.createPod('second', { containers: [sized({ cpu: '200m' })] });
    for (const name of ['first', 'second']) await node.podWhen(name, isRunning);
    await resize('second', [sized({ cpu: '5' })]);
    const infeasible = await node.podWhen('second', (pod) =>
      Boolean(conditionOf(pod, 'PodResizePending')),
    );
    const pending = conditionOf(infeasible, 'PodResizePending');
    assert.equal(
      [pending?.status, pending?.reason, pending?.message, pending?.observedGeneration],
      [
        'True',
        'Infeasible',
        "Node didn't have enough capacity: cpu, requested: 5000, capacity: 1000",
        2,
      ],
    );
    assert.is(cpuOf(infeasible), '200m');
    await node.whenTold(
      'second',
      'ResizeInfeasible',
      /^Pod resize Infeasible: .*"error":"Node didn/,
    );
    await resize('second', [sized({ cpu: '700m' })]);
    const deferred = await node.podWhen(
      'second',
      (pod) => conditionOf(pod, 'PodResizePending')?.reason === 'Deferred',
    );
    assert.is(
      conditionOf(deferred, 'PodResizePending')?.message,
      "Node didn't have enough resource: cpu, requested: 700, used: 600, capacity: 1000",
    );
    await node.restart();
    await node.podWhen('second', (pod) => cpuOf(pod) === '200m');
    assert.equal(node.engine.updates, []);
    await node.client.remove('pods', { namespace: 'default', name: 'first' });
    const granted = await node.podWhen('second', (pod) => cpuOf(pod) === '700m');
    assert.is(conditionOf(granted, 'PodResizePending'), undefined);
    assert.is(node.engine.updates.at(-1)?.resources.cpuShares, 716);
  });

  test('a container whose policy asks for it is started anew', async () => {
    const { node, resize } = await start();
    const resizePolicy = [
      { resourceName: 'memory', restartPolicy: 'RestartContainer' },
      { resourceName: 'cpu', restartPolicy: 'NotRequired' },
    ];
    await node.createPod('again', {
      containers: [
        { ...sized({ cpu: '100m', memory: '20Mi' }), resizePolicy },
        sized({ cpu: '100m' }),
      ],
    });
    await node.podWhen('again', isRunning);
    await resize('again', [sized({ cpu: '150m' }), sized({ cpu: '100m' })]);
    const first = await node.podWhen('again', (pod) => cpuOf(pod) === '150m');
    assert.is(first.status?.containerStatuses?.[0]?.restartCount, 0);
    await resize('again', [sized({ memory: '30Mi' }), sized({ cpu: '120m' })]);
    const second = await node.podWhen(
      'again',
      (pod) =>
        pod.status?.containerStatuses?.[0]?.restartCount === 1 &&
        pod.status.containerStatuses[0].resources?.requests?.['memory'] === '30Mi' &&
        cpuOf(pod, 1) === '120m' &&
        !conditionOf(pod, 'PodResizeInProgress'),
    );
    assert.is(second.status?.containerStatuses?.[1]?.restartCount, 0);
    await node.whenTold('again', 'Killing', /^Container c0 resize requires restart$/);
  });

  test('memory that is in use is not taken away', async () => {
    let used = 50 * MIB;
    const { node, resize } = await start(() => used);
    const request = { cpu: '10m', memory: '8Mi' };
    await node.createPod('used', { containers: [sized(request, { memory: '64Mi' })] });
    await node.podWhen('used', isRunning);
    await resize('used', [sized(request, { memory: '32Mi' })]);
    const stuck = await node.podWhen(
      'used',
      (pod) => conditionOf(pod, 'PodResizeInProgress')?.reason === 'Error',
    );
    assert.is(
      conditionOf(stuck, 'PodResizeInProgress')?.message,
      `attempting to set pod memory limit (${32 * MIB}) below current usage (${50 * MIB})`,
    );
    assert.is(stuck.status?.containerStatuses?.[0]?.resources?.limits?.['memory'], '64Mi');
    used = 10 * MIB;
    // A restarted agent knows what it had granted and goes on with it.
    await node.restart();
    const done = await node.podWhen(
      'used',
      (pod) => pod.status?.containerStatuses?.[0]?.resources?.limits?.['memory'] === '32Mi',
    );
    assert.is(conditionOf(done, 'PodResizeInProgress'), undefined);
    assert.is(node.engine.updates.at(-1)?.resources.memoryLimitBytes, 32 * MIB);
  });

  test('what the kernel refuses is tried again', async () => {
    const { node, resize } = await start();
    await node.createPod('refused', { containers: [sized({ cpu: '100m' })] });
    await node.podWhen('refused', isRunning);
    node.engine.updateError = 'write cpu.max: Device or resource busy';
    await resize('refused', [sized({ cpu: '200m' })]);
    const stuck = await node.podWhen(
      'refused',
      (pod) => conditionOf(pod, 'PodResizeInProgress')?.reason === 'Error',
    );
    assert.is(
      conditionOf(stuck, 'PodResizeInProgress')?.message,
      'write cpu.max: Device or resource busy',
    );
    assert.is(cpuOf(stuck), '100m');
    await node.whenTold('refused', 'ResizeError', /Device or resource busy/);
    node.engine.updateError = '';
    const done = await node.podWhen('refused', (pod) => cpuOf(pod) === '200m');
    assert.is(conditionOf(done, 'PodResizeInProgress'), undefined);
    assert.ok(node.engine.updates.length >= 2);
  });

  test('a pod as a whole is resized', async () => {
    const { node, resize } = await start();
    const resources = { requests: { cpu: '100m' }, limits: { cpu: '200m', memory: '64Mi' } };
    await node.createPod('whole', { spec: { resources } });
    const { metadata } = await node.podWhen('whole', isRunning);
    const path = `/mini-no-such-cgroup/burstable/pod${metadata.uid}`;
    assert.is(node.engine.cgroups.get(path)?.memoryLimitBytes, 64 * MIB);
    const patch = { spec: { resources: { limits: { cpu: '300m', memory: '128Mi' } } } };
    const ref = { namespace: 'default', name: 'whole' };
    await node.client.patch('pods', ref, patch, { type: 'strategic', subresource: 'resize' });
    const { status } = await node.podWhen(
      'whole',
      (pod) => pod.status?.resources?.limits?.['memory'] === '128Mi',
    );
    assert.equal(status?.resources?.limits, { cpu: '300m', memory: '128Mi' });
    assert.equal(node.engine.cgroups.get(path), {
      cpuShares: 102,
      cpuQuotaUs: 30_000,
      cpuPeriodUs: 100_000,
      memoryLimitBytes: 128 * MIB,
      pidsLimit: 16_384,
    });
    const refused = await resize('whole', [{ image: 'other:1' }]);
    assert.is(refused.spec.containers[0]?.image, 'known:1', 'a resize changes nothing else');
  });
});
