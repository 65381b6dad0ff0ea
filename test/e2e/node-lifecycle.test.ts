/** The node's own life: static pods without a server, its events, what it refuses, a host that goes down. */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import type { Host } from '../harness/hosts.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 180_000;
const WAIT_MS = 60_000;
const MANIFESTS = '/var/lib/mini/agent/pod-manifests';
const GRACE = ['--shutdown-grace-period', '40s', '--shutdown-grace-period-critical-pods', '20s'];

function pod(name: string, spec: Readonly<Record<string, unknown>> = {}) {
  const script = 'trap "exit 0" TERM; while :; do sleep 0.1; done';
  const containers = [{ name: 'c', image: BUSYBOX, command: ['sh', '-c', script] }];
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers, ...spec } };
}

function field(cluster: Cluster, name: string, path: string): Promise<string> {
  return cluster.kubectl('get', 'pod', name, '-o', `jsonpath={${path}}`);
}

function phase(cluster: Cluster, name: string, is: string): Promise<unknown> {
  return cluster.until(
    `pod ${name} to be ${is}`,
    async () => {
      const found = await field(cluster, name, '.status.phase');
      if (found === is) return true;
      throw new Error(`${found}: ${await field(cluster, name, '.status')}`);
    },
    WAIT_MS,
  );
}

/** The agent of the second host, with an order for the end of the host. */
async function rejoin(cluster: Cluster, host: Host): Promise<void> {
  const running = host.startMini(
    ...[
      'agent',
      '--server',
      `https://${cluster.one.address}:6443`,
      '--token',
      await token(cluster),
    ],
    ...GRACE,
  );
  cluster.agents.set(host.name, running);
  await cluster.until('the agent', async () => /Node runs/.test(running.output()));
}

function token(cluster: Cluster): Promise<string> {
  return cluster.one.ok(['cat', '/var/lib/mini/server/node-token']).then((text) => text.trim());
}

function proc(pid: number, file: string): string {
  return readFileSync(`/proc/${pid}/${file}`, 'utf8');
}

suite('e2e/node-lifecycle', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(2));
  const second = async () => {
    const cluster = await shared.get();
    const host = cluster.hosts[1];
    if (!host) throw new Error('The cluster has no second host');
    return { cluster, host };
  };

  test(
    'a static pod starts while the server is away, has a mirror once it is back, and goes with its file',
    async () => {
      const { cluster, host } = await second();
      await cluster.agents.get('two')?.kill('SIGTERM');
      await cluster.server?.kill('SIGKILL');
      const hostNetwork = pod('web', { hostNetwork: true });
      const script = 'echo up > /run/static/up; exec sleep 1000';
      const container = {
        ...{ name: 'c', image: BUSYBOX, command: ['sh', '-c', script] },
        volumeMounts: [{ name: 'v', mountPath: '/run/static' }],
      };
      const spec = {
        ...hostNetwork.spec,
        terminationGracePeriodSeconds: 1,
        containers: [container],
        volumes: [{ name: 'v', hostPath: { path: '/run/static', type: 'DirectoryOrCreate' } }],
      };
      await host.ok(['sh', '-c', `mkdir -p ${MANIFESTS}; cat > ${MANIFESTS}/web.json`], {
        input: JSON.stringify({ ...hostNetwork, spec }),
      });
      await rejoin(cluster, host);
      await cluster.until('the static pod', () => host.ok(['cat', '/run/static/up']), WAIT_MS);
      cluster.startServer();
      await cluster.nodeReady('two');
      await cluster.until('its mirror', () => field(cluster, 'web-two', '.metadata.uid'), WAIT_MS);
      await phase(cluster, 'web-two', 'Running');
      assert.match(
        await cluster.kubectl('describe', 'pod', 'web-two'),
        /Controlled By: +Node\/two/,
      );
      // What happened while the server was away is told, too.
      await cluster.until('the events of its start', async () =>
        /Normal +Started /.test(await cluster.kubectl('describe', 'pod', 'web-two')),
      );
      assert.is(await cluster.kubectl('exec', 'web-two', '--', 'cat', '/run/static/up'), 'up\n');
      const uid = await field(cluster, 'web-two', '.metadata.uid');
      await cluster.kubectl('delete', 'pod', 'web-two');
      await cluster.until('another mirror', async () => {
        const next = await field(cluster, 'web-two', '.metadata.uid');
        return next !== '' && next !== uid;
      });
      await phase(cluster, 'web-two', 'Running');
      await host.ok(['sh', '-c', `echo "kind: [" > ${MANIFESTS}/bad.yaml`]);
      await cluster.until('an event about the bad file', async () =>
        /InvalidStaticPod +.*bad\.yaml/.test(await cluster.kubectl('describe', 'node', 'two')),
      );
      await host.ok(['sh', '-c', `rm ${MANIFESTS}/web.json ${MANIFESTS}/bad.yaml`]);
      await cluster.kubectl('wait', '--for=delete', 'pod/web-two', '--timeout=60s');
    },
    TIMEOUT_MS,
  );

  test(
    'a node tells of its start and its state, and refuses a pod that does not fit',
    async () => {
      const { cluster } = await second();
      const events = await cluster.kubectl('describe', 'node', 'one');
      for (const reason of ['Starting', 'NodeHasSufficientMemory', 'NodeHasNoDiskPressure'])
        assert.match(events, new RegExp(`Normal +${reason} `));
      const large = { resources: { requests: { cpu: '900' } } };
      const [container] = pod('large').spec.containers;
      await cluster.apply(
        pod('large', { nodeName: 'two', containers: [{ ...container, ...large }] }),
      );
      await phase(cluster, 'large', 'Failed');
      assert.is(await field(cluster, 'large', '.status.reason'), 'OutOfcpu');
      assert.match(await cluster.kubectl('get', 'pod', 'large', '--no-headers'), /0\/1 +OutOfcpu/);
      await cluster.kubectl('delete', 'pod', 'large');
    },
    TIMEOUT_MS,
  );

  test(
    'SIGTERM with a grace period ends pods, critical ones last; without one, or by SIGINT, they go on',
    async () => {
      const { cluster, host } = await second();
      const onTwo = { nodeName: 'two', terminationGracePeriodSeconds: 10 };
      const critical = { ...onTwo, priorityClassName: 'system-node-critical' };
      const metadata = { name: 'top', namespace: 'kube-system' };
      await cluster.apply(pod('plain', onTwo), { ...pod('top', critical), metadata });
      await phase(cluster, 'plain', 'Running');
      const inSystem = ['--namespace', 'kube-system', 'pod/top', '--timeout=60s'];
      await cluster.kubectl('wait', '--for=condition=Ready', ...inSystem);

      const running = cluster.agents.get('two');
      await running?.kill('SIGINT');
      await rejoin(cluster, host);
      await cluster.nodeReady('two');
      const restarts = '.status.containerStatuses[0].restartCount';
      assert.is(await field(cluster, 'plain', restarts), '0');

      await cluster.agents.get('two')?.kill('SIGTERM');
      for (const name of ['plain', 'top']) {
        const namespace = name === 'top' ? 'kube-system' : 'default';
        const args = ['get', 'pod', name, '-n', namespace, '-o', 'json'];
        const { status } = JSON.parse(await cluster.kubectl(...args));
        assert.equal(
          [status.phase, status.reason, status.message],
          ['Failed', 'Terminated', 'Pod was terminated in response to imminent node shutdown.'],
        );
      }
      const ended = async (name: string, namespace: string) =>
        Date.parse(
          await cluster.kubectl(
            ...['get', 'pod', name, '-n', namespace, '-o'],
            'jsonpath={.status.containerStatuses[0].state.terminated.finishedAt}',
          ),
        );
      assert.ok((await ended('plain', 'default')) <= (await ended('top', 'kube-system')));
      const ready = 'jsonpath={.status.conditions[?(@.type=="Ready")].message}';
      assert.is(await cluster.kubectl('get', 'node', 'two', '-o', ready), 'node is shutting down');
      await cluster.kubectl('delete', 'pod', 'plain');
      await cluster.kubectl('delete', 'pod', 'top', '-n', 'kube-system');
      await rejoin(cluster, host);
      await cluster.nodeReady('two');
    },
    TIMEOUT_MS,
  );

  test(
    'SIGTERM to a server with a grace period ends the pods of its own node, tells the API, and ends both',
    async () => {
      const { cluster } = await second();
      await cluster.server?.kill('SIGINT');
      cluster.startServer(...GRACE);
      await cluster.nodeReady('one');
      const script = 'trap "echo ended > /run/ended; exit 0" TERM; while :; do sleep 0.1; done';
      const mounted = {
        containers: [
          {
            ...{ name: 'c', image: BUSYBOX, command: ['sh', '-c', script] },
            volumeMounts: [{ name: 'v', mountPath: '/run' }],
          },
        ],
        volumes: [{ name: 'v', hostPath: { path: '/run/ends', type: 'DirectoryOrCreate' } }],
      };
      const onOne = { nodeName: 'one', terminationGracePeriodSeconds: 10, ...mounted };
      await cluster.apply(pod('own', onOne), pod('other', { nodeName: 'two' }));
      for (const name of ['own', 'other']) await phase(cluster, name, 'Running');
      await cluster.server?.kill('SIGTERM');
      assert.is(await cluster.server?.exited, 0);
      assert.is(await cluster.one.ok(['cat', '/run/ends/ended']), 'ended\n');
      assert.equal(cluster.one.pidsOf(/mini agent|trap "echo ended/), []);

      cluster.startServer();
      await cluster.nodeReady('one');
      const args = ['get', 'pod', 'own', '-o', 'json'];
      const { status } = JSON.parse(await cluster.kubectl(...args));
      assert.equal(
        [status.phase, status.reason, status.message],
        ['Failed', 'Terminated', 'Pod was terminated in response to imminent node shutdown.'],
      );
      await phase(cluster, 'other', 'Running');
      await cluster.kubectl('delete', 'pod', 'own', 'other');
    },
    TIMEOUT_MS,
  );

  test(
    'a node without descriptors or process ids says so, and goes on by itself when it has some',
    async () => {
      const { cluster, host } = await second();
      const [agent = 0] = host.pidsOf(/^\S*mini agent /);
      const [, files = ''] = /^Max open files\s+(\d+)/m.exec(proc(agent, 'limits')) ?? [];
      const [, group = ''] = /^\d+:pids:(.*)$/m.exec(proc(agent, 'cgroup')) ?? [];
      const maxPids = `/sys/fs/cgroup/pids${group}/pids.max`;
      const openFiles = (soft: string) =>
        execFileSync('prlimit', ['--pid', String(agent), `--nofile=${soft}:`]);
      const shortages = [
        ['descriptors', /too many open files/, () => openFiles('3'), () => openFiles(files)],
        [
          'pids',
          /Resource temporarily unavailable/,
          () => writeFileSync(maxPids, '1'), // Those that are there stay.
          () => writeFileSync(maxPids, 'max'),
        ],
      ] as const;
      for (const [name, told, take, giveBack] of shortages) {
        if (name === 'pids' && group === '') continue; // cgroup v2 has other paths.
        const spec = { nodeName: 'two', terminationGracePeriodSeconds: 0 };
        try {
          take();
          await cluster.apply(pod(name, spec));
          await cluster.until(`an event about ${name}`, async () => {
            const text = await cluster.kubectl('describe', 'pod', name);
            // Which step of a start is the first to fail depends on what is there.
            return /Failed(CreatePodSandBox|Mount|Sync)/.test(text) && told.test(text);
          });
        } finally {
          giveBack();
        }
        await phase(cluster, name, 'Running');
        await cluster.kubectl('delete', 'pod', name);
      }
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
