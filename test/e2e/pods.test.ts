/** Pods as users see them: what a container is given, how it ends, what is told while it cannot run. */

import * as assert from 'uvu/assert';
import type { PodStatus } from '../../pkg/api/generated/types.ts';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 90_000;

interface Given {
  readonly script?: string;
  readonly container?: object;
  readonly spec?: object;
}

function pod(name: string, { script = 'exec sleep 1000', container, spec }: Given = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations: { who: 'me' } },
    spec: {
      terminationGracePeriodSeconds: 1,
      restartPolicy: 'Never',
      containers: [{ name: 'c', image: BUSYBOX, command: ['sh', '-c', script], ...container }],
      ...spec,
    },
  };
}

function field(cluster: Cluster, name: string, path: string): Promise<string> {
  return cluster.kubectl('get', 'pod', name, '-o', `jsonpath={${path}}`);
}

/** Resolves when `kubectl get pod` shows this status. */
function shows(cluster: Cluster, name: string, status: RegExp): Promise<string> {
  return cluster.until(`pod ${name} to be ${status}`, async () => {
    const line = await cluster.kubectl('get', 'pod', name, '--no-headers');
    if (status.test(line.split(/ +/)[2] ?? '')) return line;
    throw new Error(line);
  });
}

/** Resolves to the events about a pod once one of them is this. */
function told(cluster: Cluster, name: string, event: RegExp): Promise<string> {
  return cluster.until(`${event} about ${name}`, async () => {
    const text = await cluster.kubectl('describe', 'pod', name);
    const events = text.slice(text.indexOf('\nEvents:'));
    if (event.test(events)) return events;
    throw new Error(events);
  });
}

/** Fails, then ends well, then goes on. */
const THIRD_TIME =
  'echo >> /v/runs; case $(wc -l < /v/runs) in 1) exit 1;; 2) exit 0;; esac; exec sleep 1000';

const ENV = [
  { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'cfg', key: 'color' } } },
  { name: 'PW', valueFrom: { secretKeyRef: { name: 'sec', key: 'password' } } },
  { name: 'OPT', valueFrom: { secretKeyRef: { name: 'none', key: 'x', optional: true } } },
  { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
  { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
  { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
  { name: 'WHO', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['who']" } } },
  { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'limits.memory' } } },
  { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
  { name: 'BOTH', value: '$(COLOR)-$(POD)-$$(POD)-$(NOT)' },
];

suite('e2e/pods', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(1));

  test(
    'environment, arguments, working directory, volumes, init and several containers, limits',
    async () => {
      const cluster = await shared.get();
      const mounts = ['shared', 'cfg', 'sec'].map((name) => ({ name, mountPath: `/${name}` }));
      await cluster.apply(
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'cfg' },
          data: { color: 'blue', 'a.conf': 'x\n' },
        },
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'sec' },
          stringData: { password: 'hunter2' },
        },
        pod('full', {
          container: {
            command: ['sh', '-c'],
            args: [
              'echo $(COLOR) > /shared/args; env > /shared/env; pwd > /shared/pwd; exec sleep 1000',
            ],
            workingDir: '/shared',
            env: ENV,
            envFrom: [{ prefix: 'X_', configMapRef: { name: 'cfg' } }],
            resources: { limits: { memory: '32Mi', cpu: '500m' }, requests: { memory: '16Mi' } },
            volumeMounts: mounts,
          },
          spec: {
            initContainers: [
              {
                name: 'init',
                image: BUSYBOX,
                command: ['sh', '-c', 'echo made > /shared/init'],
                volumeMounts: mounts,
              },
            ],
            volumes: [
              { name: 'shared', emptyDir: {} },
              { name: 'cfg', configMap: { name: 'cfg' } },
              { name: 'sec', secret: { secretName: 'sec', defaultMode: 0o400 } },
            ],
          },
        }),
      );
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/full', '--timeout=30s');
      const run = (script: string) =>
        cluster.kubectl('exec', 'full', '-c', 'c', '--', 'sh', '-c', script);
      assert.is(await run('cat /shared/init /shared/args /shared/pwd'), 'made\nblue\n/shared\n');
      const env = (await run('cat /shared/env')).split('\n');
      const ip = await field(cluster, 'full', '.status.podIP');
      const expected = [
        'COLOR=blue',
        'PW=hunter2',
        'POD=full',
        `POD_IP=${ip}`,
        'NODE=one',
        'WHO=me',
        'MEM=33554432',
        'CPU=500',
        'BOTH=blue-full-$(POD)-$(NOT)',
        'X_color=blue',
        'HOSTNAME=full',
        'KUBERNETES_SERVICE_PORT=443',
      ];
      for (const entry of expected) assert.ok(env.includes(entry), `${entry} in ${env.join(' ')}`);
      assert.not(env.some((entry) => entry.startsWith('OPT=')));
      assert.is(await run('cat /cfg/a.conf /sec/password'), 'x\nhunter2');
      assert.match(await run('ls -lL /sec/password'), /^-r--------/);
      assert.is(await field(cluster, 'full', '.status.qosClass'), 'Burstable');
      assert.match(
        await cluster.kubectl('describe', 'pod', 'full'),
        /COLOR: +<set to the key 'color' of config map 'cfg'> +Optional: false/,
      );
      const events = await told(cluster, 'full', /Container started/);
      const order = [...events.matchAll(/^ +Normal +(\w+) /gm)].map(([, reason]) => reason);
      assert.equal(order, [
        'Scheduled',
        'Pulled',
        'Created',
        'Started',
        'Pulled',
        'Created',
        'Started',
      ]);
      await cluster.kubectl('delete', 'pod', 'full');
    },
    TIMEOUT_MS,
  );

  test(
    'ends: exit codes, messages, out of memory, failed init',
    async () => {
      const cluster = await shared.get();
      const hungry = 'x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done';
      await cluster.apply(
        pod('done', { script: 'echo all well > /dev/termination-log' }),
        pod('broken', {
          script: 'echo -n alas; exit 42',
          container: { terminationMessagePolicy: 'FallbackToLogsOnError' },
        }),
        pod('hungry', { script: hungry, container: { resources: { limits: { memory: '20Mi' } } } }),
        pod('init-broken', {
          spec: {
            initContainers: [0, 2].map((code) => ({
              name: `i${code}`,
              image: BUSYBOX,
              command: ['sh', '-c', `exit ${code}`],
            })),
          },
        }),
      );
      await shows(cluster, 'done', /^Completed$/);
      await shows(cluster, 'broken', /^Error$/);
      await shows(cluster, 'hungry', /^OOMKilled$/);
      await shows(cluster, 'init-broken', /^Init:Error$/);
      const ended = (name: string, what: string) =>
        field(cluster, name, `.status.containerStatuses[0].state.terminated.${what}`);
      assert.equal(
        [await ended('done', 'exitCode'), await ended('done', 'message')],
        ['0', 'all well\n'],
      );
      assert.equal(
        [await ended('broken', 'exitCode'), await ended('broken', 'message')],
        ['42', 'alas'],
      );
      assert.equal(
        [await ended('hungry', 'exitCode'), await ended('hungry', 'reason')],
        ['137', 'OOMKilled'],
      );
      const phases = await Promise.all(
        ['done', 'broken', 'hungry', 'init-broken'].map((name) =>
          field(cluster, name, '.status.phase'),
        ),
      );
      assert.equal(phases, ['Succeeded', 'Failed', 'Failed', 'Failed']);
      const { conditions = [], containerStatuses } = JSON.parse(
        await field(cluster, 'init-broken', '.status'),
      ) as PodStatus;
      const initialized = conditions.find(({ type }) => type === 'Initialized');
      assert.equal(
        [initialized?.status, initialized?.reason, initialized?.message],
        ['False', 'ContainersNotInitialized', 'containers with incomplete status: [i2]'],
      );
      assert.is(containerStatuses?.[0]?.state?.waiting?.reason, 'PodInitializing');
      await cluster.kubectl(
        'wait',
        '--for=jsonpath={.status.phase}=Succeeded',
        'pod/done',
        '--timeout=5s',
      );
      await cluster.kubectl('delete', 'pod', '--all');
    },
    TIMEOUT_MS,
  );

  test(
    'restarts: back-off, probes, a pod that ignores its termination',
    async () => {
      const cluster = await shared.get();
      const always = { restartPolicy: 'Always' };
      const sick = 'touch /tmp/well; sleep 3; rm /tmp/well; exec sleep 1000';
      const probe = {
        exec: { command: ['cat', '/tmp/well'] },
        periodSeconds: 1,
        failureThreshold: 2,
      };
      await cluster.apply(
        ...(['Always', 'OnFailure'] as const).map((restartPolicy) =>
          pod(restartPolicy.toLowerCase(), {
            script: THIRD_TIME,
            container: { volumeMounts: [{ name: 'v', mountPath: '/v' }] },
            spec: { restartPolicy, volumes: [{ name: 'v', emptyDir: { medium: 'Memory' } }] },
          }),
        ),
        pod('crash', { script: 'exit 3', spec: always }),
        pod('sick', { script: sick, spec: always, container: { livenessProbe: probe } }),
        pod('not-ready', { container: { readinessProbe: probe } }),
        pod('stubborn', { script: "trap '' TERM; while true; do sleep 0.2; done" }),
      );
      await shows(cluster, 'crash', /^CrashLoopBackOff$/);
      assert.is(
        await field(cluster, 'crash', '.status.containerStatuses[0].lastState.terminated.exitCode'),
        '3',
      );
      await told(
        cluster,
        'crash',
        /BackOff .* Back-off restarting failed container c in pod crash_default/,
      );
      await told(cluster, 'not-ready', /Readiness probe failed: cat: can't open '\/tmp\/well'/);
      assert.match(
        await cluster.kubectl('get', 'pod', 'not-ready', '--no-headers'),
        /0\/1 +Running/,
      );
      await cluster.kubectl('exec', 'not-ready', '--', 'touch', '/tmp/well');
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/not-ready', '--timeout=30s');
      await cluster.until(
        'a restart',
        async () =>
          (await field(cluster, 'sick', '.status.containerStatuses[0].restartCount')) !== '0',
      );
      await told(cluster, 'sick', /Container c failed liveness probe, will be restarted/);
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/stubborn', '--timeout=30s');
      await cluster.kubectl('delete', 'pod', 'stubborn', '--timeout=30s');
      await cluster.refused(/NotFound/, 'get', 'pod', 'stubborn');
      await shows(cluster, 'onfailure', /^Completed$/);
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/always', '--timeout=60s');
      const counts = ['onfailure', 'always'].map((name) =>
        field(cluster, name, '.status.phase} {.status.containerStatuses[0].restartCount'),
      );
      assert.equal(await Promise.all(counts), ['Succeeded 1', 'Running 2']);
      await cluster.kubectl('delete', 'pod', '--all');
    },
    TIMEOUT_MS,
  );

  test(
    'what keeps a pod from running is told, and it runs once that is mended',
    async () => {
      const cluster = await shared.get();
      const lacks = { configMapKeyRef: { name: 'later', key: 'x' } };
      const volume = [{ name: 'v', configMap: { name: 'later' } }];
      await cluster.apply(
        pod('no-config', { container: { env: [{ name: 'A', valueFrom: lacks }] } }),
        pod('no-volume', {
          container: { volumeMounts: [{ name: 'v', mountPath: '/v' }] },
          spec: { volumes: volume },
        }),
        pod('no-image', { container: { image: 'busybox:nope', imagePullPolicy: 'Never' } }),
        pod('bad-image', { container: { image: 'BUSY box' } }),
        pod('no-program', { container: { command: ['/nosuch'] } }),
      );
      await shows(cluster, 'no-config', /^CreateContainerConfigError$/);
      await told(cluster, 'no-config', /Error: configmap "later" not found/);
      await told(
        cluster,
        'no-volume',
        /FailedMount .* MountVolume\.SetUp failed for volume "v" : configmap "later" not found/,
      );
      await shows(cluster, 'no-image', /^ErrImageNeverPull$/);
      await shows(cluster, 'bad-image', /^InvalidImageName$/);
      await shows(cluster, 'no-program', /^(StartError|RunContainerError)$/);
      await told(
        cluster,
        'no-program',
        /exec: "\/nosuch": stat \/nosuch: no such file or directory/,
      );
      await cluster.refused(
        /container "c" in pod "no-image" is waiting to start: trying and failing to pull image/,
        'logs',
        'no-image',
      );
      await cluster.kubectl('create', 'configmap', 'later', '--from-literal=x=1');
      await cluster.kubectl(
        'wait',
        '--for=condition=Ready',
        'pod/no-config',
        'pod/no-volume',
        '--timeout=60s',
      );
      assert.is(await cluster.kubectl('exec', 'no-volume', '--', 'cat', '/v/x'), '1');
      await cluster.kubectl('delete', 'pod', '--all');
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
