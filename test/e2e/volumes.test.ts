/** Claims as users have them: volumes that mini makes, on the node of the pod, with the size that was asked for. */

import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { attachedFiles, devicesOf } from '../harness/leaks.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;
const LONG_MS = 60_000;

function claim(name: string, storage = '32Mi', spec: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } }, ...spec },
  };
}

function pod(name: string, volume: object, spec: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 1,
      volumes: [{ name: 'v', ...volume }],
      containers: [
        {
          name: 'c',
          image: BUSYBOX,
          command: ['sh', '-c', 'exec sleep 1000'],
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
        },
      ],
      ...spec,
    },
  };
}

const using = (name: string, claimName: string, spec: object = {}) =>
  pod(name, { persistentVolumeClaim: { claimName } }, spec);

function read(cluster: Cluster, object: string, path: string): Promise<string> {
  return cluster.kubectl('get', object, '-o', `jsonpath={${path}}`);
}

function becomes(cluster: Cluster, object: string, path: string, value: string | RegExp) {
  return cluster.until(
    `${object} ${path} to be ${value}`,
    async () => {
      const text = await read(cluster, object, path);
      if (typeof value === 'string' ? text === value : value.test(text)) return true;
      throw new Error(text);
    },
    LONG_MS,
  );
}

async function ready(cluster: Cluster, ...names: readonly string[]): Promise<void> {
  const pods = names.map((name) => `pod/${name}`);
  const { code, stderr } = await cluster.try([
    'wait',
    '--for=condition=Ready',
    ...pods,
    '--timeout=60s',
  ]);
  if (code !== 0)
    throw new Error(`${stderr}\n${await cluster.kubectl('describe', ...pods)}\n${cluster.logs()}`);
}

/** A volume of an administrator for the claim of the same name. */
function localVolume(name: string, source: object, node = 'one') {
  const matchExpressions = [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }];
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: '',
      claimRef: { namespace: 'default', name },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions }] } },
      ...source,
    },
  };
}

const asking = (storage: string) =>
  JSON.stringify({ spec: { resources: { requests: { storage } } } });

/** Writes this to the beginning of a file; returns what was there. */
function exchangeStart(path: string, start: Buffer): Buffer {
  const fd = openSync(path, 'r+');
  const before = Buffer.alloc(start.length);
  readSync(fd, before, 0, before.length, 0);
  writeSync(fd, start, 0, start.length, 0);
  closeSync(fd);
  return before;
}

const inside = (cluster: Cluster, name: string, script: string) =>
  cluster.kubectl('exec', name, '--', 'sh', '-c', script);

/** Events about an object contain this. */
function told(cluster: Cluster, object: string, pattern: RegExp) {
  return cluster.until(`${pattern} about ${object}`, async () => {
    const text = await cluster.kubectl('describe', object);
    if (pattern.test(text)) return true;
    throw new Error(text);
  });
}

/** What a node tells of the volume of a claim: in its Summary, and as metrics. */
async function measured(cluster: Cluster, node: string, name: string) {
  const ask = (path: string) =>
    cluster.kubectl('get', '--raw', `/api/v1/nodes/${node}/proxy/${path}`);
  const { pods } = JSON.parse(await ask('stats/summary')) as {
    pods: { volume?: (Record<string, unknown> & { pvcRef?: object })[] }[];
  };
  const claimRef = { name, namespace: 'default' };
  const bodies = pods.flatMap(({ volume = [] }) => volume);
  const body = bodies.find(({ pvcRef }) => JSON.stringify(pvcRef) === JSON.stringify(claimRef));
  const labels = `{namespace="default",persistentvolumeclaim="${name}"}`;
  const lines = (await ask('metrics'))
    .split('\n')
    .filter((line) => line.startsWith('kubelet_volume_stats_') && line.includes(labels));
  const metrics = Object.fromEntries(
    lines.map((line) => [line.slice(21).split('{')[0] ?? '', Number(line.split(' ')[1])]),
  );
  return { body, metrics };
}

/** A pod whose container has the claim's volume as a device. */
const mapping = (name: string, claim: object, spec: object = {}) => {
  const made = pod(name, { persistentVolumeClaim: claim }, spec);
  const containers = made.spec.containers.map(({ volumeMounts: _, ...container }) => ({
    ...container,
    volumeDevices: [{ name: 'v', devicePath: '/dev/xvda' }],
  }));
  return { ...made, spec: { ...made.spec, containers } };
};

suite('e2e/volumes', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(2));
  const storage = (cluster: Cluster, node: string) => {
    const host = cluster.hosts.find(({ name }) => name === node);
    return join(host?.dir ?? '', 'data/storage');
  };

  test(
    'a claim of the default class has a volume on the node of its pod, no larger than asked for, for fsGroup',
    async () => {
      const cluster = await shared.get();
      assert.match(
        await cluster.kubectl('get', 'storageclass'),
        /local-path \(default\) +mini\/local-path +Delete +WaitForFirstConsumer +true/,
      );
      await cluster.apply(claim('data'));
      await told(
        cluster,
        'pvc/data',
        /WaitForFirstConsumer.*waiting for first consumer to be created before binding/,
      );
      const security = { securityContext: { fsGroup: 3000, runAsUser: 1000, runAsGroup: 2000 } };
      await cluster.apply(
        using('one', 'data', {
          nodeName: undefined,
          nodeSelector: { 'kubernetes.io/hostname': 'two' },
          ...security,
        }),
      );
      await ready(cluster, 'one');
      assert.match(
        await cluster.kubectl('get', 'pvc', 'data'),
        /data +Bound +pvc-\S+ +32Mi +RWO +local-path/,
      );
      assert.match(
        await cluster.kubectl('get', 'pv'),
        /pvc-\S+ +32Mi +RWO +Delete +Bound +default\/data +local-path/,
      );
      await told(
        cluster,
        'pvc/data',
        /ProvisioningSucceeded.*Successfully provisioned volume pvc-/,
      );
      const [size = '', , , group = ''] = (
        await inside(
          cluster,
          'one',
          'df -m /v | tail -1 | while read a b c; do echo $b; done; ls -ldn /v | while read m n u g r; do echo $m; echo $u; echo $g; done; echo kept > /v/kept; id -G',
        )
      ).split('\n');
      assert.ok(Number(size) > 16 && Number(size) <= 32, `${size} MiB`);
      assert.is(group, '3000');
      const full = await cluster.try([
        'exec',
        'one',
        '--',
        'sh',
        '-c',
        'dd if=/dev/zero of=/v/big bs=1M count=40',
      ]);
      assert.match(full.stderr, /No space left on device/);
      await inside(cluster, 'one', 'rm /v/big');
      const { body, metrics } = await measured(cluster, 'two', 'data');
      assert.is(body?.['name'], 'v');
      assert.ok(Number(body?.['capacityBytes']) > 2 ** 24, JSON.stringify(body));
      assert.ok(Number(body?.['capacityBytes']) <= 2 ** 25, JSON.stringify(body));
      const names = ['available_bytes', 'capacity_bytes', 'inodes', 'inodes_free', 'inodes_used'];
      assert.equal(Object.keys(metrics).sort(), [...names, 'used_bytes']);
      assert.is(metrics['capacity_bytes'], body?.['capacityBytes']);
      assert.ok(
        Object.values(metrics).every((value) => value > 0),
        JSON.stringify(metrics),
      );
      assert.is(
        readdirSync(storage(cluster, 'two')).filter((name) => name.startsWith('pvc-')).length,
        1,
      );
      assert.is(existsSync(storage(cluster, 'one')), false);
    },
    TIMEOUT_MS,
  );

  test(
    'what is in it stays: for the next pod, through restarts of agent and host; it grows; it goes with its claim, also when the node was away',
    async () => {
      const cluster = await shared.get();
      const two = cluster.hosts[1];
      if (!two) throw new Error('no second host');
      // Larger while a pod uses it.
      await cluster.kubectl('patch', 'pvc', 'data', '-p', asking('64Mi'));
      await cluster.refused(
        /field can not be less than status.capacity/,
        'patch',
        'pvc',
        'data',
        '-p',
        asking('8Mi'),
      );
      const volume = await read(cluster, 'pvc/data', '.spec.volumeName');
      await becomes(cluster, `pv/${volume}`, '.spec.capacity.storage', '64Mi');
      // The host goes down and comes back: the volume is mounted again, as large as asked for by now.
      await two.kill();
      await two.boot();
      await cluster.join(two);
      await becomes(cluster, 'pod/one', '.status.containerStatuses[0].restartCount', /^[1-9]/);
      await ready(cluster, 'one');
      assert.is(await inside(cluster, 'one', 'cat /v/kept'), 'kept\n');
      await becomes(cluster, 'pvc/data', '.status.capacity.storage', '64Mi');
      await told(cluster, 'pvc/data', /FileSystemResizeSuccessful/);
      const size = Number(
        await inside(cluster, 'one', 'df -m /v | tail -1 | while read a b c; do echo $b; done'),
      );
      assert.ok(size > 40, `${size} MiB`);
      // A claim in use waits for its pod; the next pod would not start.
      await cluster.kubectl('delete', 'pvc', 'data', '--wait=false');
      await becomes(cluster, 'pvc/data', '.status.phase', 'Bound');
      assert.match(await cluster.kubectl('get', 'pvc', 'data'), /Terminating/);
      await cluster.kubectl('delete', 'pod', 'one');
      await cluster.kubectl('wait', '--for=delete', `pv/${volume}`, '--timeout=60s');
      assert.equal(
        readdirSync(storage(cluster, 'two')).filter((name) => name.startsWith('pvc-')),
        [],
      );
      assert.equal(
        attachedFiles().filter((file) => file.includes(volume)),
        [],
      );
      // Deleted while its node is away.
      await cluster.apply(
        claim('far'),
        using('away', 'far', { nodeSelector: { 'kubernetes.io/hostname': 'two' } }),
      );
      await ready(cluster, 'away');
      const other = await read(cluster, 'pvc/far', '.spec.volumeName');
      await cluster.kubectl('delete', 'pod', 'away');
      await cluster.agents.get('two')?.kill('SIGKILL');
      await cluster.kubectl('delete', 'pvc', 'far');
      await becomes(cluster, `pv/${other}`, '.status.phase', 'Released');
      await cluster.join(two);
      await cluster.kubectl('wait', '--for=delete', `pv/${other}`, '--timeout=60s');
      assert.equal(readdirSync(join(storage(cluster, 'two'), '.images')), []);
    },
    TIMEOUT_MS,
  );

  test(
    'static volumes, ephemeral ones, read-only and shared use; what the node does not have it says, and what is damaged',
    async () => {
      const cluster = await shared.get();
      const host = cluster.one;
      const here = { nodeSelector: { 'kubernetes.io/hostname': 'one' } };
      await host.ok([
        'sh',
        '-c',
        'mkdir -p /var/lib/mini/disk/sub && echo there > /var/lib/mini/disk/file',
      ]);
      const named = (name: string) => claim(name, '1Gi', { storageClassName: '' });
      const fsGroup = { fsGroup: 3000, fsGroupChangePolicy: 'OnRootMismatch' };
      const owned = { securityContext: fsGroup };
      const groupOf = (path: string) => host.ok(['stat', '-c', '%g', `/var/lib/mini/disk/${path}`]);
      await cluster.apply(
        localVolume('disk', { local: { path: '/var/lib/mini/disk' } }),
        localVolume('gone', { local: { path: '/var/lib/mini/none' } }),
        localVolume('csi', { csi: { driver: 'csi.example.org', volumeHandle: 'x' } }),
        localVolume('nfs', { nfs: { server: '192.0.2.1', path: '/' } }),
        ...['disk', 'gone', 'csi', 'nfs'].map(named),
        claim('hurt', '16Mi'),
        using('hurt', 'hurt', here),
        using('writer', 'disk', owned),
        pod('reader', { persistentVolumeClaim: { claimName: 'disk', readOnly: true } }),
        ...['gone', 'csi', 'nfs'].map((name) => using(`of-${name}`, name)),
        pod('scratch', {
          ephemeral: { volumeClaimTemplate: { spec: claim('', '4Mi').spec } },
        }),
      );
      await ready(cluster, 'writer', 'reader', 'scratch', 'hurt');
      await inside(cluster, 'hurt', 'echo kept > /v/kept');
      assert.is(await inside(cluster, 'writer', 'cat /v/file; echo new > /v/sub/new'), 'there\n');
      assert.is(await inside(cluster, 'reader', 'cat /v/sub/new'), 'new\n');
      // Files are given to the group once: a volume that is the group's already is left as it is.
      assert.is(await groupOf('file'), '3000\n');
      await host.ok(['chgrp', '0', '/var/lib/mini/disk/file']);
      await cluster.apply(using('later', 'disk', owned));
      await ready(cluster, 'later');
      assert.is(await groupOf('file'), '0\n');
      assert.is(await groupOf('sub/new'), '3000\n');
      const refused = await cluster.try(['exec', 'reader', '--', 'touch', '/v/x']);
      assert.match(refused.stderr, /Read-only file system/);
      assert.match(await cluster.kubectl('get', 'pvc', 'scratch-v'), /Bound/);
      await told(
        cluster,
        'pod/of-gone',
        /FailedMount.*path "\/var\/lib\/mini\/none" does not exist/,
      );
      // As long as a volume is missing there is no sandbox, as far as anybody can see.
      const waits = JSON.parse(await cluster.kubectl('get', 'pod', 'of-gone', '-o', 'json')).status;
      const condition = waits.conditions.find(
        ({ type }: { type: string }) => type === 'PodReadyToStartContainers',
      );
      assert.equal([condition?.status, waits.podIP], ['False', undefined]);
      await told(
        cluster,
        'pod/of-csi',
        /FailedMount.*driver name csi.example.org not found in the list of registered CSI drivers/,
      );
      await told(
        cluster,
        'pod/of-nfs',
        /FailedMount.*volumes of kind nfs are not supported by this node/,
      );
      await cluster.kubectl(
        'delete',
        'pod',
        'scratch',
        'writer',
        'later',
        'reader',
        'of-gone',
        'of-csi',
        'of-nfs',
        'hurt',
      );
      await cluster.kubectl('wait', '--for=delete', 'pvc/scratch-v', '--timeout=60s');
      assert.match(await cluster.kubectl('get', 'pvc', 'disk'), /Bound/);
      // A file system that is gone is said to be, nothing is made in its place, and its claim stays.
      const volume = await read(cluster, 'pvc/hurt', '.spec.volumeName');
      const image = join(storage(cluster, 'one'), '.images', `${volume}_default_hurt.ext4`);
      const start = exchangeStart(image, Buffer.alloc(4096));
      await cluster.apply(using('again', 'hurt', here));
      await told(cluster, 'pod/again', new RegExp(`FailedMount.*${volume}.*holds no ext4`));
      assert.match(await cluster.kubectl('get', 'pvc', 'hurt'), /Bound/);
      exchangeStart(image, start);
      await ready(cluster, 'again');
      assert.is(await inside(cluster, 'again', 'cat /v/kept'), 'kept\n');
      // So is a file that is gone: an empty volume in its place would hide what was lost.
      await cluster.kubectl('delete', 'pod', 'again');
      renameSync(image, `${image}.away`);
      await cluster.apply(using('again', 'hurt', here));
      await told(
        cluster,
        'pod/again',
        new RegExp(`FailedMount.*data of this volume is gone: \\S*${volume}_default_hurt.ext4`),
      );
      assert.is(existsSync(image), false);
      renameSync(`${image}.away`, image);
      await ready(cluster, 'again');
      assert.is(await inside(cluster, 'again', 'cat /v/kept'), 'kept\n');
      await cluster.kubectl('delete', 'pod', 'again');
      await cluster.kubectl('delete', 'pvc', 'hurt');
    },
    TIMEOUT_MS,
  );

  test(
    'block volumes are devices: with the data and size of the claim, read-only for whom they are, kept through a killed agent',
    async () => {
      const cluster = await shared.get();
      const two = cluster.hosts[1];
      if (!two) throw new Error('no second host');
      const there = { nodeSelector: { 'kubernetes.io/hostname': 'two' } };
      const block = { volumeMode: 'Block' };
      await cluster.apply(
        claim('raw', '1Mi', block),
        mapping('writes', { claimName: 'raw' }, there),
      );
      await ready(cluster, 'writes');
      const volume = await read(cluster, 'pvc/raw', '.spec.volumeName');
      const device = () => devicesOf(volume);
      assert.is(device().length, 1);
      const size = (name: string) =>
        inside(cluster, name, 'busybox blockdev --getsize64 /dev/xvda');
      const put = (name: string, at: number) =>
        inside(cluster, name, `echo data-${at} | dd of=/dev/xvda bs=1024 seek=${at} conv=fsync`);
      const look = (name: string, at: number) =>
        inside(cluster, name, `dd if=/dev/xvda bs=1024 skip=${at} count=1 | head -n 1`);
      await put('writes', 3);
      assert.is(await size('writes'), '1048576\n');
      const over = await cluster.try([
        'exec',
        'writes',
        '--',
        'dd',
        'if=/dev/zero',
        'of=/dev/xvda',
      ]);
      assert.match(over.stderr, /No space left on device/);
      await put('writes', 3);
      // Of others, of the wrong kind, and a device that an administrator has.
      const [path = ''] = device();
      await cluster.apply(
        mapping('reads', { claimName: 'raw', readOnly: true }, there),
        using('mounts', 'raw', there),
        claim('plain', '16Mi'),
        mapping('maps', { claimName: 'plain' }, there),
        localVolume('static', { local: { path }, volumeMode: 'Block' }, 'two'),
        localVolume('folder', { local: { path: '/tmp' }, volumeMode: 'Block' }, 'two'),
        claim('static', '1Gi', { ...block, storageClassName: '' }),
        claim('folder', '1Gi', { ...block, storageClassName: '' }),
        mapping('admin', { claimName: 'static' }),
        mapping('lost', { claimName: 'folder' }),
      );
      await ready(cluster, 'reads', 'admin');
      for (const name of ['reads', 'admin']) assert.is(await look(name, 3), 'data-3\n');
      const { body } = await measured(cluster, 'two', 'raw');
      assert.equal([body?.['capacityBytes'], body?.['usedBytes']], [1048576, 0]);
      const refused = await cluster.try(['exec', 'reads', '--', 'sh', '-c', 'echo > /dev/xvda']);
      assert.match(refused.stderr, /Operation not permitted/);
      await told(
        cluster,
        'pod/mounts',
        /FailedMount.*volume v has volumeMode Block, but is specified in volumeMounts/,
      );
      await told(
        cluster,
        'pod/maps',
        /FailedMount.*volume v has volumeMode Filesystem, but is specified in volumeDevices/,
      );
      await told(cluster, 'pod/lost', /FailedMapVolume.*path "\/tmp" is no block device/);
      // It grows under those that have it, and the next agent finds it.
      await cluster.agents.get('two')?.kill('SIGKILL');
      await cluster.kubectl('patch', 'pvc', 'raw', '-p', asking('3Mi'));
      await cluster.join(two);
      await becomes(cluster, 'pvc/raw', '.status.capacity.storage', '3Mi');
      assert.is(await size('writes'), '3145728\n');
      await put('writes', 2048);
      assert.is(await look('reads', 2048), 'data-2048\n');
      assert.equal(device(), [path]);
      const users = ['writes', 'reads', 'mounts', 'maps', 'admin', 'lost'];
      await cluster.kubectl('delete', 'pod', ...users);
      await cluster.kubectl('delete', 'pvc', 'raw', 'plain');
      await cluster.kubectl('wait', '--for=delete', `pv/${volume}`, '--timeout=60s');
      assert.equal(device(), []);
    },
    TIMEOUT_MS,
  );

  test(
    'mini down takes every volume off the host',
    async () => {
      const cluster = await shared.get();
      const memory = { emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } };
      const here = { nodeSelector: { 'kubernetes.io/hostname': 'one' } };
      await cluster.apply(
        claim('last'),
        claim('raw', '1Mi', { volumeMode: 'Block' }),
        using('disk', 'last', here),
        mapping('device', { claimName: 'raw' }, here),
        pod('memory', memory, here),
      );
      await ready(cluster, 'disk', 'device', 'memory');
      const volume = await read(cluster, 'pvc/raw', '.spec.volumeName');
      assert.is(devicesOf(volume).length, 1);
      const full = await cluster.try([
        'exec',
        'memory',
        '--',
        'sh',
        '-c',
        'dd if=/dev/zero of=/v/big bs=1M count=2',
      ]);
      assert.match(full.stderr, /No space left on device/);
      const host = cluster.one;
      const mounts = () => host.ok(['cat', '/proc/mounts']);
      assert.match(await mounts(), /\/var\/lib\/mini\/storage\/pvc-\S+ ext4/);
      await host.mini('down');
      const left = (await mounts())
        .split('\n')
        .filter((line) => /mini\/(storage|pods)|run\/mini/.test(line));
      assert.equal(left, []);
      assert.equal(devicesOf(volume), []);
      assert.ok(existsSync(join(storage(cluster, 'one'), '.images')));
      await host.mini('down', '--remove-data');
      assert.is(existsSync(storage(cluster, 'one')), false);
    },
    TIMEOUT_MS,
  );

  test('the cluster ends and leaves nothing', () => shared.close(), TIMEOUT_MS);
});
