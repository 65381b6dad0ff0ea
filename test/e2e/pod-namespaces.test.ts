/** User namespaces, shared process namespaces, recursive read-only mounts and mount propagation of pods. */

import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;
const RANGE = 65_536;
/** What the process that holds a shared process namespace may cost. */
const REAPER_MAX_KB = 100;

interface Given {
  readonly spec?: object;
  readonly container?: object;
  readonly more?: readonly object[];
}

function pod(name: string, { spec, container, more = [] }: Given = {}) {
  const sleeper = { image: BUSYBOX, command: ['sleep', '1000'] };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        { ...sleeper, name: 'c', ...container },
        ...more.map((one) => ({ ...sleeper, ...one })),
      ],
      ...spec,
    },
  };
}

function ready(cluster: Cluster, ...names: readonly string[]): Promise<string> {
  const pods = names.map((name) => `pod/${name}`);
  return cluster.kubectl('wait', '--for=condition=Ready', '--timeout=60s', ...pods);
}

function sh(cluster: Cluster, name: string, script: string, container = 'c'): Promise<string> {
  return cluster.kubectl('exec', name, '-c', container, '--', 'sh', '-c', script);
}

function field(cluster: Cluster, name: string, path: string): Promise<string> {
  return cluster.kubectl('get', 'pod', name, '-o', `jsonpath={${path}}`);
}

/** First of the host's ids that a pod has. */
async function firstId(cluster: Cluster, name: string): Promise<number> {
  const map = (await sh(cluster, name, 'cat /proc/self/uid_map')).trim().split(/\s+/).map(Number);
  assert.equal([map[0], map[2]], [0, RANGE], String(map));
  return map[1] ?? 0;
}

suite('e2e/pod namespaces', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(1));

  const users = async () => {
    const cluster = await shared.get();
    const data = { key: 'value' };
    const volumes = [
      { name: 'empty', emptyDir: {} },
      { name: 'cfg', configMap: { name: 'cfg' } },
      { name: 'sec', secret: { secretName: 'sec', defaultMode: 0o400 } },
    ];
    const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
    const containers = { spec: { hostUsers: false, volumes }, container: { volumeMounts } };
    await cluster.apply(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cfg' }, data },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'sec' }, stringData: data },
      pod('users', containers),
      pod('users-too', { spec: { hostUsers: false } }),
    );
    await ready(cluster, 'users', 'users-too');
    const script = [
      'id -u; cat /cfg/key /sec/key; touch /empty/made /made; stat -c %u /made /empty/made /bin /sec/key',
      'echo done > /dev/termination-log; hostname; cat /var/run/secrets/kubernetes.io/serviceaccount/namespace',
      'echo; mount -t tmpfs none /mnt 2>&1 | tail -1; ls /sys/class/net; echo x > /dev/shm/x; stat -c %u /dev/shm',
    ].join(';');
    const output = await sh(cluster, 'users', script);
    const owners = ['0', 'valuevalue0', '0', '0', '0', 'users', 'default'];
    assert.equal(output.split('\n').slice(0, 7), owners, output);
    assert.match(output, /lo\n0\n$/, output);
    const [one, two] = [await firstId(cluster, 'users'), await firstId(cluster, 'users-too')];
    assert.is.not(one, two);
    for (const id of [one, two]) assert.ok(id >= RANGE && id % RANGE === 0, String(id));
    const seen = await cluster.one.ok(['sh', '-c', 'stat -c %u /proc/[0-9]*']);
    for (const id of [one, two]) assert.ok(seen.split('\n').includes(String(id)), seen);
    for (const field_ of ['hostNetwork', 'hostPID', 'hostIPC']) {
      const spec = { hostUsers: false, [field_]: true };
      const { code, stderr } = await cluster.try(['apply', '-f', '-'], {
        input: JSON.stringify(pod('refused', { spec })),
      });
      assert.ok(code !== 0 && stderr.includes('when `hostUsers` is false'), stderr);
    }
    return { cluster, one, two };
  };

  test(
    'hostUsers: false gives each pod ids of its own, that own its root and volumes',
    async () => {
      const { cluster, one, two } = await users();
      // Given back when the pod has gone, and kept from those that stay.
      await cluster.kubectl('delete', 'pod', 'users', '--wait=true', '--timeout=60s');
      await cluster.apply(pod('users-again', { spec: { hostUsers: false } }));
      await ready(cluster, 'users-again');
      assert.is(await firstId(cluster, 'users-again'), one);
      assert.is(await firstId(cluster, 'users-too'), two);
    },
    TIMEOUT_MS,
  );

  test(
    'shareProcessNamespace: containers see each other and outlive each other',
    async () => {
      const cluster = await shared.get();
      const more = [{ name: 'other', command: ['sh', '-c', '(sleep 3 &) ; exec sleep 2000'] }];
      await cluster.apply(
        pod('sharing', { spec: { shareProcessNamespace: true }, more }),
        pod('sharing-users', { spec: { shareProcessNamespace: true, hostUsers: false }, more }),
      );
      await ready(cluster, 'sharing', 'sharing-users');
      for (const name of ['sharing', 'sharing-users']) {
        const listing = await sh(cluster, name, 'ps -o pid,args');
        assert.match(listing, /^\s*1 .*mini-runtime reaper$/m);
        assert.match(listing, /sleep 1000$/m);
        assert.match(listing, /sleep 2000$/m);
        assert.match(
          await sh(cluster, name, 'ls /proc/1/root/ 2>&1; true'),
          /Permission denied|^$/,
        );
        const ids = '.status.containerStatuses[*].containerID';
        const [, other] = (await field(cluster, name, ids)).split(' ');
        const [, pid] = /^\s*(\d+) .*sleep 1000$/m.exec(listing) ?? [];
        await sh(cluster, name, `kill -9 ${pid}`, 'other');
        await cluster.until(`a container of ${name} to be started again`, async () => {
          const path = '.status.containerStatuses[*].restartCount';
          return (await field(cluster, name, path)) === '1 0';
        });
        await ready(cluster, name);
        assert.is((await field(cluster, name, ids)).split(' ')[1], other);
        await cluster.until('the orphan to be buried', async () => {
          const states = await sh(cluster, name, 'cat /proc/[0-9]*/stat 2>/dev/null; true');
          return !/\) Z /.test(states) && !/sleep 3$/m.test(await sh(cluster, name, 'ps -o args'));
        });
      }
      const rollups = await cluster.one.ok([
        'sh',
        '-c',
        'for p in $(pgrep -f "^mini-runtime reaper"); do cat /proc/$p/smaps_rollup; done',
      ]);
      const sizes = [...rollups.matchAll(/^Private_Dirty:\s+(\d+) kB/gm)].map(([, kb]) =>
        Number(kb),
      );
      assert.is(sizes.length, 2, rollups);
      for (const kb of sizes) assert.ok(kb < REAPER_MAX_KB, `${kb} kB`);
    },
    TIMEOUT_MS,
  );

  test(
    'recursive read-only mounts, and what mounts come through',
    async () => {
      const cluster = await shared.get();
      const { one } = cluster;
      await one.ok(['sh', '-c', 'mkdir -p /run/tree/sub && mount -t tmpfs sub /run/tree/sub']);
      await one.ok([
        'sh',
        '-c',
        'mkdir -p /run/shared && mount -t tmpfs top /run/shared && mount --make-shared /run/shared',
      ]);
      const volumes = [
        { name: 'tree', hostPath: { path: '/run/tree' } },
        { name: 'shared', hostPath: { path: '/run/shared' } },
      ];
      const tree = { name: 'tree', readOnly: true };
      const volumeMounts = [
        { ...tree, mountPath: '/whole', recursiveReadOnly: 'Enabled' },
        { ...tree, mountPath: '/maybe', recursiveReadOnly: 'IfPossible' },
        { ...tree, mountPath: '/top' },
        { name: 'shared', mountPath: '/none' },
        { name: 'shared', mountPath: '/down', mountPropagation: 'HostToContainer' },
        { name: 'shared', mountPath: '/both', mountPropagation: 'Bidirectional' },
      ];
      const container = { volumeMounts, securityContext: { privileged: true } };
      await cluster.apply(pod('mounts', { spec: { volumes }, container }));
      await ready(cluster, 'mounts');
      const write =
        'for d in whole maybe top; do touch /$d/sub/$d 2>/dev/null && echo $d; done; true';
      assert.is(await sh(cluster, 'mounts', write), 'top\n');
      const path = '.status.containerStatuses[0].volumeMounts';
      const status: unknown = JSON.parse(await field(cluster, 'mounts', path));
      const named = { name: 'tree', readOnly: true };
      assert.equal((status as object[]).slice(0, 3), [
        { ...named, mountPath: '/whole', recursiveReadOnly: 'Enabled' },
        { ...named, mountPath: '/maybe', recursiveReadOnly: 'Enabled' },
        { ...named, mountPath: '/top', recursiveReadOnly: 'Disabled' },
      ]);
      await one.ok([
        'sh',
        '-c',
        'mkdir /run/shared/late && mount -t tmpfs late /run/shared/late && touch /run/shared/late/x',
      ]);
      assert.is(
        await sh(cluster, 'mounts', 'ls /none/late /down/late /both/late'),
        '/both/late:\nx\n\n/down/late:\nx\n\n/none/late:\n',
      );
      await sh(
        cluster,
        'mounts',
        'mkdir /both/up && mount -t tmpfs up /both/up && touch /both/up/y',
      );
      assert.is(await one.ok(['ls', '/run/shared/up']), 'y\n');
      await cluster.kubectl('delete', 'pod', 'mounts', '--wait=true', '--timeout=60s');
      await one.ok([
        'sh',
        '-c',
        'umount /run/shared/up /run/shared/late && umount /run/shared /run/tree/sub',
      ]);
    },
    TIMEOUT_MS,
  );

  test('leaves nothing', () => shared.close(), TIMEOUT_MS);
});
