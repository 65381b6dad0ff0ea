/** Pods get more and less CPU and memory while they run, without a restart. */

import { isDeepStrictEqual } from 'node:util';
import * as assert from 'uvu/assert';
import type { Pod, ResourceRequirements } from '../../pkg/api/generated/types.ts';
import { bytes } from '../../pkg/api/quantity.ts';
import { BUSYBOX, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { podsOf } from '../harness/pods-of.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;
const MIB = 2 ** 20;
const PROGRAM = { image: BUSYBOX, command: ['sleep', '1000'] };

function podOf(name: string, containers: readonly object[]) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 1, containers },
  };
}

const conditionOf = ({ status }: Pod, type: string) =>
  status?.conditions?.find((one) => one.type === type);

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

suite('e2e/pod-resize', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(1));
  const start = async () => {
    const cluster = await shared.get();
    const resize = (name: string, resources: object) =>
      cluster.try([
        'patch',
        'pod',
        name,
        '--subresource=resize',
        '-p',
        JSON.stringify({ spec: { containers: [{ name: 'c', resources }] } }),
      ]);
    return { ...podsOf(cluster), resize };
  };

  test(
    'kubectl resizes a running pod; what cannot be is refused or waits',
    async () => {
      const { cluster, get, when, ready, cgroup, resize } = await start();
      await cluster.apply(
        podOf('sure', [{ ...PROGRAM, name: 'c', resources: sure(100, 32) }]),
        podOf('maybe', [
          {
            ...PROGRAM,
            name: 'c',
            resources: { requests: asked(200), limits: asked(undefined, 48) },
          },
        ]),
      );
      await ready('sure', 'maybe');
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
      await cluster.apply(
        ...Object.entries(RESIZES).map(([name, [before]]) =>
          podOf(
            name,
            containersOf(before).map((one) => ({ ...one, ...PROGRAM })),
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
            spec: { containers: renamed.map((one) => ({ ...one, ...PROGRAM })) },
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

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
