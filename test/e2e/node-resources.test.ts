/** What of a node pods get: reservations, cgroups, resizing while they run, and what happens when a node runs short. */

import { isDeepStrictEqual } from 'node:util';
import * as assert from 'uvu/assert';
import type {
  Container,
  Pod,
  PodSpec,
  ResourceRequirements,
} from '../../pkg/api/generated/types.ts';
import { bytes } from '../../pkg/api/quantity.ts';
import { BUSYBOX, Cluster, SharedCluster } from '../harness/cluster.ts';
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

type Sizes = Readonly<Record<string, ResourceRequirements>>;

/** The same requests and limits. */
const sure = (cpu: number, mebibytes: number): ResourceRequirements => {
  const list = { cpu: `${cpu}m`, memory: `${mebibytes}Mi` };
  return { requests: list, limits: list };
};
const asked = (cpu?: number, mebibytes?: number) => ({
  ...(cpu === undefined ? {} : { cpu: `${cpu}m` }),
  ...(mebibytes === undefined ? {} : { memory: `${mebibytes}Mi` }),
});

/** Pods of the conformance suite, by name: what their containers have, and get. */
const RESIZES: Readonly<Record<string, readonly [Sizes, Sizes]>> = {
  larger: [
    { c1: sure(20, 35), c2: sure(22, 37), c3: sure(24, 39) },
    { c1: sure(25, 40), c2: sure(27, 42), c3: sure(19, 34) },
  ],
  smaller: [
    { c1: sure(20, 35), c2: sure(22, 37), c3: sure(24, 39) },
    { c1: sure(25, 40), c2: sure(17, 32), c3: sure(19, 34) },
  ],
  crossed: [
    { c1: sure(20, 35), c2: sure(22, 37), c3: sure(24, 39) },
    { c1: sure(25, 35), c2: sure(17, 42), c3: sure(29, 44) },
  ],
  various: [
    {
      c1: { requests: asked(20) },
      c2: { requests: asked(undefined, 35) },
      c3: { requests: asked(20, 35) },
      c4: { requests: asked(20) },
      c5: { requests: asked(undefined, 35) },
    },
    {
      c1: { requests: asked(25), limits: asked(35) },
      c2: { requests: asked(undefined, 30), limits: asked(undefined, 50) },
      c3: { requests: asked(20, 30) },
      c4: { requests: asked(15, 35) },
      c5: { requests: asked(20, 40) },
    },
  ],
  equivalent: [
    { c1: { requests: asked(2), limits: asked(10) } },
    { c1: { requests: asked(1), limits: asked(5) } },
  ],
};
/** A container sees its own cgroup: shares or weight, quota, memory limit. */
const LIMITS =
  'cd /sys/fs/cgroup; for f in cpu/cpu.shares cpu.weight cpu/cpu.cfs_quota_us cpu.max memory/memory.limit_in_bytes memory.max; do [ -e $f ] && head -n 1 $f; done; true';
const MIN_SHARES = 2;
const MIN_QUOTA_US = 1000;

/** Whether what a container sees of its cgroup is what it asks for; of no limit of memory, v1 has a large number. */
function isLimited(seen: string, { requests = {}, limits = {} }: ResourceRequirements): boolean {
  const [shares = '', quota = '', memory = ''] = seen.trim().split('\n');
  const milli = (text: string | undefined) => (text ? Number.parseInt(text, 10) : 0);
  const wanted = Math.max(MIN_SHARES, Math.floor((milli(requests['cpu']) * 1024) / 1000));
  const weight = Math.floor(1 + ((wanted - MIN_SHARES) * 9999) / 262_142);
  const limit = milli(limits['cpu']);
  const quotaUs = String(Math.max(MIN_QUOTA_US, limit * 100));
  return (
    [wanted, weight].includes(Number(shares)) &&
    (limit > 0 ? quota.split(' ')[0] === quotaUs : /^(-1|max 100000)$/.test(quota)) &&
    (limits['memory'] ? memory === String(bytes(limits['memory'])) : !(Number(memory) < 2 ** 62))
  );
}

suite('e2e/node-resources', ({ test }) => {
  const shared = new SharedCluster(startCluster);
  const start = async () => {
    const cluster = await shared.get();
    const get = async (name: string): Promise<Pod> =>
      JSON.parse(await cluster.kubectl('get', 'pod', name, '-o', 'json'));
    const when = (name: string, is: (pod: Pod) => boolean) =>
      cluster.until(
        `pod ${name}`,
        async () => {
          const pod = await get(name);
          return is(pod) ? pod : undefined;
        },
        60_000,
      );
    const ready = (...names: readonly string[]) =>
      cluster.kubectl(
        'wait',
        '--for=condition=Ready',
        '--timeout=60s',
        ...names.map((name) => `pod/${name}`),
      );
    /** A file of a cgroup on the first host, by its name in cgroup v1 and v2. */
    const cgroup = async (path: string, v1: string, v2: string) => {
      const controller = v1.split('.')[0];
      const script = `cat /sys/fs/cgroup/mini${path}/${v2} 2>/dev/null || cat /sys/fs/cgroup/${controller}/mini${path}/${v1}`;
      return (await cluster.one.ok(['sh', '-c', script])).trim();
    };
    const resize = (name: string, resources: object) =>
      cluster.try([
        'patch',
        'pod',
        name,
        '--subresource=resize',
        '-p',
        JSON.stringify({ spec: { containers: [{ name: 'c', resources }] } }),
      ]);
    /** The second node's condition is over. */
    const relieved = (type: string) => {
      const path = `jsonpath={.status.conditions[?(@.type=="${type}")].status}`;
      const isOver = async () =>
        (await cluster.kubectl('get', 'node', 'two', '-o', path)) === 'False';
      return cluster.until(`the end of ${type}`, isOver, 60_000);
    };
    return { cluster, get, when, ready, cgroup, resize, relieved };
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
      await cluster.kubectl('delete', 'pod', 'last', 'whole', '--wait=false');
    },
    TIMEOUT_MS,
  );

  test(
    'kubectl resizes a running pod; what cannot be is refused or waits',
    async () => {
      const { cluster, get, when, cgroup, resize } = await start();
      const before = await get('maybe');
      const id = before.status?.containerStatuses?.[0]?.containerID?.replace('mini://', '');
      const done = await resize('maybe', { requests: { cpu: '300m' }, limits: { memory: '80Mi' } });
      assert.is(done.stdout, 'pod/maybe patched\n', done.stderr);
      const after = await when(
        'maybe',
        ({ status }) => status?.containerStatuses?.[0]?.resources?.limits?.['memory'] === '80Mi',
      );
      assert.is(after.status?.containerStatuses?.[0]?.restartCount, 0);
      assert.is(after.status?.containerStatuses?.[0]?.allocatedResources?.['cpu'], '300m');
      const pod = `/burstable/pod${after.metadata.uid}`;
      for (const path of [pod, `${pod}/${id}`])
        assert.is(await cgroup(path, 'memory.limit_in_bytes', 'memory.max'), String(80 * MIB));
      assert.match(await cgroup(`${pod}/${id}`, 'cpu.shares', 'cpu.weight'), /^(307|40)$/);

      const edit = await cluster.one.run(
        [...cluster.program, 'edit', 'pod', 'maybe', '--subresource=resize'],
        { env: { KUBE_EDITOR: 'sed -i s/80Mi/90Mi/' } },
      );
      assert.is(edit.stdout, 'pod/maybe edited\n', edit.stderr);
      await when(
        'maybe',
        ({ status }) => status?.containerStatuses?.[0]?.resources?.limits?.['memory'] === '90Mi',
      );
      const qos = await resize('sure', { requests: { cpu: '50m' } });
      assert.match(qos.stderr, /Pod QOS Class may not change as a result of resizing/);
      const huge = await resize('sure', { requests: { cpu: '1k' }, limits: { cpu: '1k' } });
      assert.is(huge.code, 0, huge.stderr);
      const waiting = await when(
        'sure',
        (one) => conditionOf(one, 'PodResizePending') !== undefined,
      );
      assert.is(conditionOf(waiting, 'PodResizePending')?.reason, 'Infeasible');
      assert.match(
        conditionOf(waiting, 'PodResizePending')?.message ?? '',
        /^Node didn't have enough capacity: cpu, requested: 1000000, capacity: \d+$/,
      );
      await cluster.kubectl('delete', 'pod', 'sure', 'maybe');
    },
    TIMEOUT_MS,
  );

  test(
    'pods of several containers are resized and back, each container for itself',
    async () => {
      const { cluster, get, when, ready } = await start();
      const containersOf = (sizes: Sizes) =>
        Object.entries(sizes).map(([name, resources]) => ({ name, resources }));
      const names = Object.keys(RESIZES);
      const program = { image: BUSYBOX, command: ['sleep', '1000'] };
      await cluster.apply(
        ...Object.entries(RESIZES).map(([name, [before]]) =>
          podOf(
            name,
            {},
            {
              nodeName: 'one',
              containers: containersOf(before).map((one) => ({ ...one, ...program })),
            },
          ),
        ),
      );
      await ready(...names);
      const isResized = (sizes: Sizes) => (pod: Pod) =>
        pod.status?.observedGeneration === pod.metadata.generation &&
        ['PodResizePending', 'PodResizeInProgress'].every((type) => !conditionOf(pod, type)) &&
        Object.entries(sizes).every(([name, resources]) => {
          const found = pod.status?.containerStatuses?.find((one) => one.name === name);
          return isDeepStrictEqual(found?.resources, resources) && found?.ready;
        });
      const check = async (name: string, sizes: Sizes) => {
        const { status, spec } = await when(name, isResized(sizes));
        assert.equal(
          spec.containers.map(({ resources }) => resources),
          Object.values(sizes),
        );
        assert.ok(status?.containerStatuses?.every(({ restartCount }) => restartCount === 0));
      };
      const checkLimits = async (name: string, sizes: Sizes) => {
        const look = async ([container, resources]: readonly [string, ResourceRequirements]) => {
          const inside = ['exec', name, '-c', container, '--', 'sh', '-c', LIMITS];
          const seen = await cluster.kubectl(...inside);
          assert.ok(isLimited(seen, resources), `${name} ${container}: ${seen}`);
        };
        await Promise.all(Object.entries(sizes).map(look));
      };
      const patch = async (name: string, sizes: Sizes) => {
        const body = JSON.stringify({ spec: { containers: containersOf(sizes) } });
        await cluster.kubectl('patch', 'pod', name, '--subresource=resize', '-p', body);
      };
      for (const [name, [before, after]] of Object.entries(RESIZES)) {
        await check(name, before);
        await patch(name, after);
      }
      for (const [name, [before, after]] of Object.entries(RESIZES)) {
        await check(name, after);
        await checkLimits(name, after);
        // Limits and requests that were added cannot be taken away again.
        if (name !== 'various') await patch(name, before);
      }
      for (const [name, [before]] of Object.entries(RESIZES))
        if (name !== 'various') await check(name, before);

      const whole = await get('equivalent');
      const path = '/api/v1/namespaces/default/pods/equivalent/resize';
      const resources = { requests: asked(3, 40), limits: asked(6) };
      const containers = [{ ...whole.spec.containers[0], resources }];
      const input = JSON.stringify({ ...whole, spec: { ...whole.spec, containers } });
      const replaced = await cluster.try(['replace', '--raw', path, '-f', '-'], { input });
      assert.is(replaced.code, 0, replaced.stderr);
      await check('equivalent', { c1: resources });
      await checkLimits('equivalent', { c1: resources });
      assert.is((await get('equivalent')).metadata.generation, 4);
      await cluster.until('the same pod at both ends', async () => {
        const [pod, part] = await Promise.all(
          [path.replace('/resize', ''), path].map((at) => cluster.kubectl('get', '--raw', at)),
        );
        return pod === part;
      });
      const renamed = containersOf({ c2: sure(20, 35), c1: sure(22, 37), c3: sure(24, 39) });
      const odd = await cluster.try(
        ['replace', '--raw', path.replace('equivalent', 'larger'), '-f', '-'],
        {
          input: JSON.stringify({
            ...(await get('larger')),
            spec: { containers: renamed.map((one) => ({ ...one, ...program })) },
          }),
        },
      );
      for (const index of [0, 1])
        assert.ok(
          odd.stderr.includes(
            `spec.containers[${index}].name: Forbidden: containers may not be renamed or reordered on resize`,
          ),
          odd.stderr,
        );
      await cluster.kubectl('delete', 'pod', ...names);
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
