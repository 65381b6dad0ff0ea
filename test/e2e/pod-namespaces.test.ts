/** User namespaces, shared process namespaces, recursive read-only mounts, mount propagation, and other runtimes of pods. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { BUSYBOX, Cluster, SharedCluster } from '../harness/cluster.ts';
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

/** Debian 12's crun refuses a machine that has cgroup v2 beside v1: it is shown none. */
const CRUN = `#!/bin/sh
exec unshare --mount sh -c 'while umount /sys/fs/cgroup/unified 2>/dev/null; do :; done; exec crun "$@"' crun "$@"
`;

function runtimeFlags(scratch: string): readonly string[] {
  const crun = join(scratch, 'crun');
  writeFileSync(crun, CRUN, { mode: 0o755 });
  return ['--runtime', 'runc=/usr/sbin/runc', '--runtime', `crun=${crun}`];
}

const RUNTIMES = ['runc', 'crun'] as const;

function runtimeClass(name: string, podFixed?: object) {
  const overhead = podFixed && { podFixed };
  return {
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name },
    handler: name,
    ...(overhead && { overhead }),
  };
}

/** Asks for what a runtime has to give: limits, hooks, probes, volumes that it cannot mount itself. */
function wanting(name: string) {
  const volumes = [
    { name: 'told', hostPath: { path: '/run/told', type: 'DirectoryOrCreate' } },
    { name: 'empty', emptyDir: {} },
  ];
  const volumeMounts = [
    { name: 'told', mountPath: '/told' },
    { name: 'empty', mountPath: '/sub', subPath: 'below/here' },
    { name: 'told', mountPath: '/whole', readOnly: true, recursiveReadOnly: 'Enabled' },
  ];
  const container = {
    command: [
      'sh',
      '-c',
      `trap "echo asked >> /told/${name}; exit 0" TERM; echo hello; touch /sub/file; while :; do sleep 0.1; done`,
    ],
    resources: { limits: { memory: '64Mi', cpu: '500m' } },
    readinessProbe: { exec: { command: ['test', '-e', '/sub/file'] }, periodSeconds: 1 },
    lifecycle: { preStop: { exec: { command: ['sh', '-c', `echo before > /told/${name}`] } } },
    volumeMounts,
  };
  const init = { name: 'i', image: BUSYBOX, command: ['true'] };
  const spec = {
    runtimeClassName: name,
    terminationGracePeriodSeconds: 30,
    initContainers: [init],
    volumes,
  };
  return pod(`by-${name}`, { spec, container });
}

/** In a user namespace and a shared process namespace; and one that wants more memory than it may have. */
function special(name: string) {
  const spec = { runtimeClassName: name };
  const hog = {
    command: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=64M', 'count=1'],
    resources: { limits: { memory: '24Mi' } },
  };
  return [
    pod(`users-${name}`, { spec: { ...spec, hostUsers: false, shareProcessNamespace: true } }),
    pod(`hog-${name}`, { spec: { ...spec, restartPolicy: 'Never' }, container: hog }),
  ];
}

suite('e2e/pod namespaces', ({ test }) => {
  const scratch = mkdtempSync(join(tmpdir(), 'mini-runtimes-'));
  const flags = runtimeFlags(scratch);
  const shared = new SharedCluster(async () => {
    const cluster = await Cluster.start(...flags);
    await cluster.importBusybox();
    return cluster;
  });

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

  const podsOfRuntimes = async () => {
    const cluster = await shared.get();
    const handlers = await cluster.kubectl(
      'get',
      'node',
      'one',
      '-o',
      'jsonpath={.status.runtimeHandlers[*].name}',
    );
    assert.is(handlers.trim(), 'crun mini runc');
    const podFixed = { cpu: '10m', memory: '8Mi' };
    await cluster.apply(
      ...[...RUNTIMES, 'ghost'].map((name) => runtimeClass(name, podFixed)),
      runtimeClass('mini'),
    );
    await cluster.apply(
      ...RUNTIMES.flatMap((name) => [wanting(name), ...special(name)]),
      pod('by-mini', { spec: { runtimeClassName: 'mini' } }),
      pod('by-ghost', { spec: { runtimeClassName: 'ghost' } }),
    );
    await ready(cluster, 'by-mini', ...RUNTIMES.flatMap((name) => [`by-${name}`, `users-${name}`]));
    assert.equal(JSON.parse(await field(cluster, 'by-runc', '.spec.overhead')), podFixed);
    assert.is(await field(cluster, 'by-mini', '.spec.overhead'), '');
    for (const name of RUNTIMES) {
      assert.is(await cluster.kubectl('logs', `by-${name}`), 'hello\n');
      const write = 'touch /whole/x 2>/dev/null || echo refused';
      assert.is(await sh(cluster, `by-${name}`, write), 'refused\n');
      // Its size comes with it, or right after.
      const sized = 'until [ "$(stty size)" = "30 100" ]; do sleep 0.1; done; tty';
      const words = ['exec', '-it', `by-${name}`, '--', 'sh', '-c', sized];
      const terminal = cluster.startTerminal(...words);
      assert.is(await terminal.exited, 0, terminal.output());
      assert.match(terminal.output(), /\/dev\/pts\/0/);
      await cluster.refused(/not found/, 'exec', `by-${name}`, '--', 'nope');
      const { code } = await cluster.try(['exec', `by-${name}`, '--', 'sh', '-c', 'exit 9']);
      assert.is(code, 9);
      assert.match(
        await sh(cluster, `users-${name}`, 'cat /proc/self/uid_map; ps'),
        /^ +0 +\d{5,}.*sleep 1000/s,
      );
      await cluster.until(
        `hog-${name} to be ended`,
        async () =>
          (await field(cluster, `hog-${name}`, '.status.containerStatuses[0].state.terminated')) !==
          '',
      );
      const ended = JSON.parse(
        await field(cluster, `hog-${name}`, '.status.containerStatuses[0].state.terminated'),
      );
      assert.equal([ended.reason, ended.exitCode], ['OOMKilled', 137]);
    }
    const words =
      'Failed to create pod sandbox: failed to get sandbox runtime: no runtime for "ghost" is configured';
    await cluster.until('the event of a runtime that is not there', async () =>
      (
        await cluster.kubectl(
          'get',
          'events',
          '--field-selector=reason=FailedCreatePodSandBox,involvedObject.name=by-ghost',
          '-o',
          'jsonpath={.items[*].message}',
        )
      ).includes(words),
    );
    assert.is(await field(cluster, 'by-ghost', '.status.phase'), 'Pending');
  };

  const resizedAndRestarted = async () => {
    const cluster = await shared.get();
    const limit = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes';
    const patch = {
      spec: {
        containers: [
          { name: 'c', resources: { limits: { memory: '96Mi' }, requests: { memory: '96Mi' } } },
        ],
      },
    };
    const ids = () =>
      Promise.all(
        RUNTIMES.map((name) =>
          field(cluster, `by-${name}`, '.status.containerStatuses[0].containerID'),
        ),
      );
    for (const [at, container] of (await ids()).entries()) {
      const id = container.replace(/^.*\/\//, '');
      await cluster.one.ok(['sh', '-c', `kill -9 $(pgrep -f '[s]him ${id}')`]);
      await cluster.until(
        'the container to be started again',
        async () =>
          (await field(
            cluster,
            `by-${RUNTIMES[at]}`,
            '.status.containerStatuses[0].restartCount',
          )) === '1',
      );
    }
    await ready(cluster, ...RUNTIMES.map((name) => `by-${name}`));
    const before = await ids();
    for (const name of RUNTIMES) {
      await cluster.kubectl(
        'patch',
        'pod',
        `by-${name}`,
        '--subresource=resize',
        '-p',
        JSON.stringify(patch),
      );
      await cluster.until(
        'the new limit',
        async () => Number(await sh(cluster, `by-${name}`, limit)) === 96 * 2 ** 20,
      );
    }
    await cluster.kubectl('delete', 'runtimeclass', ...RUNTIMES);
    await cluster.server?.kill('SIGKILL');
    cluster.startServer(...flags);
    await cluster.nodeReady('one');
    await cluster.until('the node to answer', () => sh(cluster, 'by-runc', 'echo up'));
    assert.equal(await ids(), before);
    const again = { ...wanting('runc'), metadata: { name: 'late' } };
    const { code, stderr } = await cluster.try(['apply', '-f', '-'], {
      input: JSON.stringify(again),
    });
    assert.is(code, 1);
    assert.match(stderr, /pods "late" is forbidden: pod rejected: RuntimeClass "runc" not found/);
    await cluster.kubectl('delete', 'pods', '--all', '--timeout=90s');
    for (const name of RUNTIMES)
      assert.is(await cluster.one.ok(['cat', `/run/told/${name}`]), 'before\nasked\n');
    assert.is(
      await cluster.one.ok(['sh', '-c', 'ls /run/mini/handlers/* /run/mini/containers']),
      '/run/mini/containers:\n\n/run/mini/handlers/crun:\n\n/run/mini/handlers/runc:\n',
    );
  };

  test('pods of other runtimes have all that pods have', podsOfRuntimes, TIMEOUT_MS);
  test(
    'they start again, are resized, outlive the node and their class, and leave nothing',
    resizedAndRestarted,
    TIMEOUT_MS,
  );

  test(
    'leaves nothing',
    async () => {
      rmSync(scratch, { recursive: true });
      await shared.close();
    },
    TIMEOUT_MS,
  );
});
