/** A node that runs short of memory or disk: its conditions, which pods go, and what they and new ones are told. */

import * as assert from 'uvu/assert';
import type { Sensors } from '../../../pkg/agent/eviction/manager.ts';
import type { Observation } from '../../../pkg/agent/eviction/signals.ts';
import { parseKubeletArgs, type Signal } from '../../../pkg/agent/node/kubelet-args.ts';
import type { Event, Node, Pod } from '../../../pkg/api/generated/types.ts';
import { suite } from '../../harness/suite.ts';
import { createFakeEngine } from './fake-engine.ts';
import { NODE, startNodeWith } from './test-node.ts';

const MIB = 2 ** 20;
const isRunning = ({ status }: Pod) => status?.phase === 'Running';
const isFailed = ({ status }: Pod) => status?.phase === 'Failed';

suite('agent: evictions', ({ test, cleanup }) => {
  /** A node whose free memory and disk are what the test says. */
  const start = async (...args: readonly string[]) => {
    const free = new Map<Signal, Observation>([
      ['memory.available', { available: 900 * MIB, capacity: 1000 * MIB }],
      ['nodefs.available', { available: 90 * MIB, capacity: 100 * MIB }],
    ]);
    const memory = new Map<string, number>();
    const volumes = new Map<string, number>();
    let wake: () => void = () => undefined;
    // What an eviction frees is free by the next look, whenever that is.
    let isRelieved = () => false;
    const ample = new Map(free);
    const sensors: Sensors = {
      observe: async () => new Map(isRelieved() ? ample : free),
      usage: async (pod) => ({
        pod,
        memoryBytes: memory.get(pod.metadata.name) ?? 0,
        pids: 1,
        diskBytes: 0,
        diskInodes: 0,
        containers: [{ name: 'c0', memoryBytes: memory.get(pod.metadata.name) ?? 0, diskBytes: 0 }],
      }),
      disk: async ({ metadata }) => {
        const bytes = volumes.get(metadata.name) ?? 0;
        const used = { bytes, inodes: 1 };
        return { total: used, containers: new Map(), volumes: new Map([['v', used]]) };
      },
      memoryUsage: async () => 0,
      watchMemory(onShort) {
        wake = onShort;
        return () => undefined;
      },
    };
    const limits = parseKubeletArgs(['eviction-pressure-transition-period=1ms', ...args]);
    const node = await startNodeWith(createFakeEngine(), { sensors, limits });
    cleanup(() => node.close());
    isRelieved = () => node.engine.stops.length > 0;
    const condition = async (type: string) => {
      const { status } = await node.client.get<Node>('nodes', { name: NODE });
      return status?.conditions?.find((one) => one.type === type);
    };
    const until = async (what: string, check: () => Promise<boolean>) => {
      for (let tries = 0; !(await check()); tries += 1) {
        if (tries > 500) throw new Error(`waited too long for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    return { node, free, memory, volumes, condition, until, look: () => wake() };
  };

  test('the largest user above its request goes, with reason, message, condition and events', async () => {
    const { node, free, memory, condition, until, look } = await start();
    const asking = (request: string) => ({
      containers: [{ resources: { requests: { memory: request } } }],
    });
    await node.createPod('greedy', asking('10Mi'));
    await node.createPod('modest', asking('500Mi'));
    for (const name of ['greedy', 'modest']) await node.podWhen(name, isRunning);
    memory.set('greedy', 400 * MIB).set('modest', 450 * MIB);
    free.set('memory.available', { available: 50 * MIB, capacity: 1000 * MIB });
    look();
    const message =
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container c0 was using 400Mi, request is 10Mi, has larger consumption of memory. ';
    const { status, metadata } = await node.podWhen('greedy', isFailed);
    assert.equal([status?.reason, status?.message], ['Evicted', message]);
    const target = status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
    assert.equal([target?.status, target?.reason], ['True', 'TerminationByKubelet']);
    assert.is(status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 143);
    assert.equal(node.engine.stops.at(-1)?.graceMs, 1000);
    await until('the event', async () =>
      (await node.events('greedy')).some(
        (event) => event.reason === 'Evicted' && event.message === message,
      ),
    );
    await until('the event of the node', async () => {
      const { items } = await node.client.list<Event>('events', { namespace: 'default' });
      return items.some(
        ({ reason, message: text, involvedObject }) =>
          reason === 'EvictionThresholdMet' &&
          text === 'Attempting to reclaim memory' &&
          involvedObject.kind === 'Node',
      );
    });
    assert.is((await node.podWhen('modest', () => true)).status?.phase, 'Running');
    assert.is(node.engine.listSandboxes().length, 1);
    look();
    await until('the end of the pressure', async () => {
      look();
      return (await condition('MemoryPressure'))?.status === 'False';
    });
    assert.ok(metadata.uid);
  });

  test('under pressure best-effort pods are refused, and others are not', async () => {
    const { node, free, condition, until, look } = await start(
      'eviction-hard=pid.available<1',
      'eviction-soft=memory.available<100Mi',
      'eviction-soft-grace-period=memory.available=1h',
    );
    free.set('memory.available', { available: 50 * MIB, capacity: 1000 * MIB });
    look();
    await until(
      'the condition',
      async () => (await condition('MemoryPressure'))?.status === 'True',
    );
    assert.is((await condition('MemoryPressure'))?.reason, 'KubeletHasInsufficientMemory');
    assert.is((await condition('DiskPressure'))?.status, 'False');
    await node.createPod('nothing');
    const { status } = await node.podWhen('nothing', isFailed);
    assert.is(status?.reason, 'Evicted');
    assert.is(status?.message, 'Pod was rejected: The node had condition: [MemoryPressure]. ');
    await node.createPod('something', {
      containers: [{ resources: { requests: { memory: '1Mi' } } }],
    });
    await node.podWhen('something', isRunning);
  });

  test('a pod that fills its volume beyond the limit goes', async () => {
    const { node, volumes, look } = await start();
    await node.createPod('full', {
      spec: { volumes: [{ name: 'v', emptyDir: { sizeLimit: '1Mi' } }] },
    });
    await node.podWhen('full', isRunning);
    volumes.set('full', 2 * MIB);
    look();
    const { status } = await node.podWhen('full', isFailed);
    assert.is(status?.reason, 'Evicted');
    assert.is(status?.message, 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ');
  });

  test('reserves resources and keeps the cgroups of pods', async () => {
    const { node, until } = await start('kube-reserved=cpu=100m,memory=64Mi', 'pod-max-pids=99');
    await until('allocatable', async () => {
      const { status } = await node.client.get<Node>('nodes', { name: NODE });
      const [all, free] = [status?.capacity, status?.allocatable];
      return all?.['cpu'] !== undefined && free?.['cpu'] === `${Number(all['cpu']) * 1000 - 100}m`;
    });
    const root = '/mini-no-such-cgroup';
    const resources = { requests: { cpu: '250m' }, limits: { cpu: '500m', memory: '64Mi' } };
    const { metadata } = await node.createPod('burst', { containers: [{ resources }] });
    await node.podWhen('burst', isRunning);
    assert.equal(node.engine.cgroups.get(`${root}/burstable/pod${metadata.uid}`), {
      cpuShares: 256,
      cpuQuotaUs: 50_000,
      cpuPeriodUs: 100_000,
      memoryLimitBytes: 64 * MIB,
      pidsLimit: 99,
    });
    await until('the weight of burstable pods', async () =>
      [256].includes(node.engine.cgroups.get(`${root}/burstable`)?.cpuShares ?? 0),
    );
    assert.is(node.engine.cgroups.get(`${root}/besteffort`)?.cpuShares, 2);
    await node.client.remove('pods', { namespace: 'default', name: 'burst' });
    await node.goneWhen('burst');
    await until('the end of the cgroup', async () =>
      [...node.engine.cgroups.keys()].every((path) => !path.includes('/pod')),
    );
    await until(
      'the weight without pods',
      async () => node.engine.cgroups.get(`${root}/burstable`)?.cpuShares === 2,
    );
  });
});
