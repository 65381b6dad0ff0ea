/** What of a node pods get: reservations, cgroups, and what happens when a node runs short. */

import * as assert from 'uvu/assert';
import type {
  Container,
  Pod,
  PodSpec,
  ResourceRequirements,
} from '../../pkg/api/generated/types.ts';
import { bytes } from '../../pkg/api/quantity.ts';
import { BUSYBOX, Cluster, SharedCluster } from '../harness/cluster.ts';
import { podsOf } from '../harness/pods-of.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;
const MIB = 2 ** 20;
/** The second host has so much memory and disk, and gives up pods early. */
const HOST_MEMORY_BYTES = 1200 * MIB;
const DISK = 'size=96m,nr_inodes=4096';
const EVICTION_ARGS = [
  'eviction-hard=memory.available<750Mi,nodefs.available<10%,nodefs.inodesFree<10%',
  'eviction-minimum-reclaim=memory.available=1Mi',
  'eviction-pressure-transition-period=1s',
  'container-log-max-size=16Ki',
  'container-log-max-files=3',
  'allowed-unsafe-sysctls=net.core.somaxconn',
];

function podOf(name: string, container: Partial<Container>, spec: Partial<PodSpec> = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'c', image: BUSYBOX, command: ['sleep', '1000'], ...container }],
      ...spec,
    },
  };
}

const sized = (requests: object, limits?: object) => ({
  resources: { requests, ...(limits ? { limits } : {}) } as ResourceRequirements,
});
const conditionOf = ({ status }: Pod, type: string) =>
  status?.conditions?.find((one) => one.type === type);

async function startCluster(): Promise<Cluster> {
  const cluster = new Cluster();
  try {
    await cluster.addHost('one');
    const args = ['kube-reserved=cpu=100m,memory=100Mi', 'pod-max-pids=500'];
    cluster.startServer('--max-pods=30', ...args.map((arg) => `--kubelet-arg=${arg}`));
    await cluster.nodeReady('one');
    const two = await cluster.addHost('two');
    const limit = `if [ -f /sys/fs/cgroup/memory.max ]; then echo ${HOST_MEMORY_BYTES} > /sys/fs/cgroup/memory.max; else echo ${HOST_MEMORY_BYTES} > /sys/fs/cgroup/memory/memory.limit_in_bytes; fi`;
    await two.ok(['sh', '-c', limit]);
    await two.ok(['mount', '-t', 'tmpfs', '-o', DISK, 'tmpfs', '/var/lib/mini']);
    await cluster.join(two, ...EVICTION_ARGS.map((arg) => `--kubelet-arg=${arg}`));
    await cluster.importBusybox();
    return cluster;
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

suite('e2e/node-resources', ({ test }) => {
  const shared = new SharedCluster(startCluster);
  const start = async () => {
    const cluster = await shared.get();
    /** The second node's condition is over. */
    const relieved = (type: string) => {
      const path = `jsonpath={.status.conditions[?(@.type=="${type}")].status}`;
      const isOver = async () =>
        (await cluster.kubectl('get', 'node', 'two', '-o', path)) === 'False';
      return cluster.until(`the end of ${type}`, isOver, 60_000);
    };
    return { ...podsOf(cluster), relieved };
  };

  test(
    'what is reserved is not allocatable; pods lie in the cgroups of their class',
    async () => {
      const { cluster, get, ready, cgroup } = await start();
      const { status } = JSON.parse(await cluster.kubectl('get', 'node', 'one', '-o', 'json'));
      const { capacity, allocatable } = status;
      assert.is(capacity.pods, '30');
      assert.is(allocatable.cpu, `${Number(capacity.cpu) * 1000 - 100}m`);
      const kib = (text: string) => bytes(text) / 1024;
      assert.is(kib(capacity.memory) - kib(allocatable.memory), 200 * 1024);
      const all = await cgroup('', 'memory.limit_in_bytes', 'memory.max');
      assert.is(Math.floor(Number(all) / 1024), kib(capacity.memory) - 100 * 1024);
      const two = JSON.parse(await cluster.kubectl('get', 'node', 'two', '-o', 'json'));
      assert.is(
        two.status.capacity.memory,
        `${HOST_MEMORY_BYTES / MIB}Mi`,
        'the limit of its cgroup',
      );

      const whole = { requests: { cpu: '50m', memory: '16Mi' }, limits: { memory: '64Mi' } };
      await cluster.apply(
        podOf('sure', sized({ cpu: '100m', memory: '32Mi' }, { cpu: '100m', memory: '32Mi' }), {
          nodeName: 'one',
        }),
        podOf('maybe', sized({ cpu: '200m' }, { memory: '48Mi' }), { nodeName: 'one' }),
        podOf('last', {}, { nodeName: 'one' }),
        podOf('whole', {}, { nodeName: 'one', resources: whole }),
      );
      await ready('sure', 'maybe', 'last', 'whole');
      const uid = async (name: string) => (await get(name)).metadata.uid;
      const sure = `/pod${await uid('sure')}`;
      assert.is(await cgroup(sure, 'memory.limit_in_bytes', 'memory.max'), String(32 * MIB));
      assert.match(await cgroup(sure, 'cpu.cfs_quota_us', 'cpu.max'), /^10000( 100000)?$/);
      const maybe = `/burstable/pod${await uid('maybe')}`;
      assert.is(await cgroup(maybe, 'memory.limit_in_bytes', 'memory.max'), String(48 * MIB));
      assert.match(await cgroup(maybe, 'cpu.shares', 'cpu.weight'), /^(204|29)$/);
      assert.is(await cgroup(maybe, 'pids.max', 'pids.max'), '500');
      const last = `/besteffort/pod${await uid('last')}`;
      assert.match(await cgroup(last, 'cpu.shares', 'cpu.weight'), /^[12]$/);
      const pod = `/burstable/pod${await uid('whole')}`;
      assert.is(await cgroup(pod, 'memory.limit_in_bytes', 'memory.max'), String(64 * MIB));
      const score = await cluster.kubectl('exec', 'last', '--', 'cat', '/proc/1/oom_score_adj');
      assert.is(score.trim(), '1000');
      await cluster.until('the weight of burstable pods', async () =>
        /^(255|256|34|35)$/.test(await cgroup('/burstable', 'cpu.shares', 'cpu.weight')),
      );
      const described = await cluster.kubectl('describe', 'node', 'one');
      assert.match(described, /default +maybe +200m \(\d+%\) +0 \(0%\) +48Mi \(0%\) +48Mi \(0%\)/);
      assert.match(described, /Allocated resources:[\s\S]*cpu +300m \(\d+%\) +100m \(\d+%\)/);
      await cluster.kubectl('delete', 'pod', '--all', '--wait=false');
    },
    TIMEOUT_MS,
  );

  test(
    'a node that runs short evicts the pods that take most, says so, goes on and recovers',
    async () => {
      const { cluster, when, ready, relieved } = await start();
      const on = { nodeName: 'two' };
      const run = (script: string) => ({ command: ['sh', '-c', `${script}; sleep 1000`] });
      const evicted = async (name: string, message: RegExp) => {
        const pod = await when(name, ({ status }) => status?.phase === 'Failed');
        assert.is(pod.status?.reason, 'Evicted');
        assert.match(pod.status?.message ?? '', message);
        assert.is(conditionOf(pod, 'DisruptionTarget')?.reason, 'TerminationByKubelet');
      };
      const modest = sized({ memory: '64Mi', 'ephemeral-storage': '8Mi' });
      await cluster.apply(podOf('modest', modest, on));
      await ready('modest');

      const volumes = [{ name: 'fill', emptyDir: { medium: 'Memory' } }];
      const volumeMounts = [{ name: 'fill', mountPath: '/fill' }];
      const memory = run('dd if=/dev/zero of=/fill/x bs=1M count=450');
      const limits = { 'ephemeral-storage': '4Mi' };
      const over = run('dd if=/dev/zero of=/x bs=1M count=6');
      const inodes = run('i=0; while touch /tmp/$i; do i=$((i+1)); done');
      await cluster.apply(
        podOf(
          'greedy',
          { ...memory, volumeMounts, ...sized({ memory: '8Mi' }) },
          { ...on, volumes },
        ),
        podOf('limited', { ...over, ...sized({ memory: '1Mi' }, limits) }, on),
        podOf('files', { ...inodes, ...sized({ memory: '1Mi' }) }, on),
      );
      await evicted(
        'greedy',
        /^The node was low on resource: memory\. Threshold quantity: 750Mi, available: \d+Ki\. Container c was using \d+Ki, request is 8Mi, has larger consumption of memory\. $/,
      );
      await evicted(
        'limited',
        /^Pod ephemeral local storage usage exceeds the total limit of containers 4Mi\. $/,
      );
      await evicted('files', /^The node was low on resource: inodes\. Threshold quantity: \d+, /);
      await cluster.kubectl('delete', 'pod', 'greedy', 'limited', 'files');
      await relieved('MemoryPressure');
      await relieved('DiskPressure');

      await cluster.apply(podOf('bytes', run('dd if=/dev/zero of=/x bs=1M'), on));
      await evicted('bytes', /^The node was low on resource: ephemeral-storage\. Threshold quan/);
      await cluster.kubectl('delete', 'pod', 'bytes');
      await relieved('DiskPressure');
      const messages = await cluster.kubectl(
        'get',
        'events',
        '--field-selector=reason=EvictionThresholdMet',
        '-o',
        'jsonpath={.items[*].message}',
      );
      for (const resource of ['memory', 'inodes', 'ephemeral-storage'])
        assert.match(messages, new RegExp(`Attempting to reclaim ${resource}`));
      assert.match(
        await cluster.kubectl('get', 'pod', 'modest', '--no-headers'),
        /1\/1 +Running +0 /,
      );
      const metrics = await cluster.kubectl('get', '--raw', '/api/v1/nodes/two/proxy/metrics');
      for (const signal of ['memory.available', 'nodefs.available', 'ephemeralpodfs.limit'])
        assert.match(metrics, new RegExp(`kubelet_evictions{eviction_signal="${signal}"} [1-9]`));
      await cluster.apply(podOf('again', {}, on));
      await ready('again');
      assert.match(await cluster.kubectl('exec', 'again', '--', 'echo', 'well'), /well/);
      await cluster.kubectl('delete', 'pod', '--all');
    },
    TIMEOUT_MS,
  );

  test(
    'settings of the kubelet are in force, and told',
    async () => {
      const { cluster, when, ready } = await start();
      const config = await cluster.kubectl('get', '--raw', '/api/v1/nodes/two/proxy/configz');
      const { kubeletconfig } = JSON.parse(config);
      assert.is(kubeletconfig.containerLogMaxSize, '16384');
      assert.is(kubeletconfig.containerLogMaxFiles, 3);
      assert.equal(kubeletconfig.evictionMinimumReclaim, { 'memory.available': '1Mi' });
      const command = ['sh', '-c', 'seq 1 20000; sleep 1000'];
      const sysctls = [{ name: 'net.core.somaxconn', value: '77' }];
      const spec = { nodeName: 'two', securityContext: { sysctls } };
      await cluster.apply(podOf('told', { command }, spec));
      await ready('told');
      const read = ['exec', 'told', '--', 'cat', '/proc/sys/net/core/somaxconn'];
      assert.is(await cluster.kubectl(...read), '77\n');
      const { metadata } = await when('told', () => true);
      const logs = `/var/lib/mini/pods-logs/default_told_${metadata.uid}/c`;
      await cluster.until('the last line', async () =>
        /20000$/.test((await cluster.kubectl('logs', 'told', '--tail=1')).trim()),
      );
      const [, two] = cluster.hosts;
      const names = ((await two?.ok(['ls', logs])) ?? '').trim().split('\n');
      assert.is(names.length, 3, names.join(' '));
      await cluster.kubectl('delete', 'pod', 'told');
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
