/** How pods live and end: debug containers, init containers and sidecars, restarts, hooks, probes. */

import * as assert from 'uvu/assert';
import type { ContainerStatus, Pod } from '../../pkg/api/generated/types.ts';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;

function container(name: string, script: string, more: object = {}) {
  return { name, image: BUSYBOX, command: ['sh', '-c', script], ...more };
}

function pod(name: string, spec: Readonly<Record<string, unknown>>) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: { terminationGracePeriodSeconds: 1, ...spec },
  };
}

const SLEEP = 'exec sleep 1000';
/** An image that says itself what its containers run. */
const ENTRY = 'docker.io/test/entry:1';
/** Before the first readiness probe. */
const DELAY_SECONDS = 2;

function field(cluster: Cluster, name: string, path: string): Promise<string> {
  return cluster.kubectl('get', 'pod', name, '-o', `jsonpath={${path}}`);
}

/** Resolves once the field of the pod is this. */
function whenField(cluster: Cluster, name: string, is: readonly [path: string, value: RegExp]) {
  const [path, value] = is;
  return cluster.until(`${path} of ${name} to be ${value}`, async () => {
    const found = await field(cluster, name, path);
    if (value.test(found)) return found || 'empty';
    throw new Error(`${found}; ${await field(cluster, name, '.status')}`);
  });
}

function whenLogged(cluster: Cluster, args: readonly string[], text: RegExp): Promise<string> {
  return cluster.until(`${text} in the log of ${args.join(' ')}`, async () => {
    const log = await cluster.kubectl('logs', ...args);
    if (text.test(log)) return log;
    throw new Error(log);
  });
}

function ready(cluster: Cluster, ...names: readonly string[]): Promise<string> {
  const pods = names.map((name) => `pod/${name}`);
  return cluster.kubectl('wait', '--for=condition=Ready', ...pods, '--timeout=60s');
}

suite('e2e/lifecycle', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(1));

  test(
    'kubectl debug: in a running pod, beside a container of it, in a copy, on the node',
    async () => {
      const cluster = await shared.get();
      await cluster.apply(pod('app', { containers: [container('c', 'exec sleep 4321')] }));
      await ready(cluster, 'app');
      const debug = (...args: readonly string[]) =>
        cluster.kubectl('debug', `--image=${BUSYBOX}`, '--image-pull-policy=IfNotPresent', ...args);

      await debug('app', '-c', 'look', '--target=c', '--', 'sh', '-c', 'ps; exit 3');
      const state = '.status.ephemeralContainerStatuses[0].state.terminated.exitCode';
      await whenField(cluster, 'app', [state, /^3$/]);
      const seen = await cluster.kubectl('logs', 'app', '-c', 'look');
      assert.match(seen, /^ +1 root .* sleep 4321$/m);
      const statuses = JSON.parse(
        await cluster.kubectl('get', 'pod', 'app', '-o', 'jsonpath={.status}'),
      );
      const [look] = statuses.ephemeralContainerStatuses;
      assert.equal([look.ready, look.restartCount], [false, 0]);
      assert.is(statuses.containerStatuses[0].restartCount, 0);
      assert.is(
        statuses.conditions.find((one: { type: string }) => one.type === 'Ready').status,
        'True',
      );
      assert.match(
        await cluster.kubectl('get', 'events', '--field-selector=reason=Started', '-o', 'json'),
        /spec\.ephemeralContainers\{look\}/,
      );

      const typed = cluster.startTerminal(
        ...['debug', '-it', `--image=${BUSYBOX}`, '-c', 'shell', 'app', '--', 'sh'],
      );
      await cluster.until('a shell', async () => {
        typed.child.stdin?.write('echo typed$((40+2))\n');
        return /typed42/.test(typed.output());
      });
      typed.child.stdin?.write('exit\n');
      await typed.exited;
      await whenField(cluster, 'app', ['.spec.ephemeralContainers[*].name', /^look shell$/]);

      const path = '/api/v1/namespaces/default/pods/app/ephemeralcontainers';
      const whole = JSON.parse(await cluster.kubectl('get', '--raw', path));
      whole.spec.ephemeralContainers.push(container('put', SLEEP));
      const put = await cluster.try(['replace', '--raw', path, '-f', '-'], {
        input: JSON.stringify(whole),
      });
      assert.is(put.code, 0, put.stderr);
      await whenField(cluster, 'app', [
        '.status.ephemeralContainerStatuses[2].state.running',
        /startedAt/,
      ]);
      whole.spec.ephemeralContainers = [];
      const refused = await cluster.try(['replace', '--raw', path, '-f', '-'], {
        input: JSON.stringify({ ...whole, metadata: { name: 'app', namespace: 'default' } }),
      });
      assert.match(refused.stderr, /existing ephemeral containers "look" may not be removed/);

      await debug(
        'app',
        '--copy-to=copy',
        '--share-processes=false',
        '-c',
        'extra',
        '--',
        'sleep',
        '1000',
      );
      await debug('node/one', '--', 'sh', '-c', 'ls /host; exec sleep 1000');
      await ready(cluster, 'copy');
      assert.is(await field(cluster, 'copy', '.spec.containers[*].name'), 'c extra');
      const names = await cluster.kubectl('get', 'pods', '-o', 'name');
      const debugger_ = /node-debugger-one-\w+/.exec(names)?.[0] ?? '';
      await whenLogged(cluster, [debugger_], /^etc$/m);
      await cluster.kubectl('delete', 'pods', '--all', '--grace-period=1');
    },
    TIMEOUT_MS,
  );

  test(
    'init containers in turn, sidecars started before and ended after the others, last first',
    async () => {
      const cluster = await shared.get();
      const volumeMounts = [{ name: 'o', mountPath: '/o' }];
      const script = (name: string) =>
        `echo start-${name} >> /o/log; trap 'echo end-${name} >> /o/log; exit 0' TERM; touch /tmp/up; while :; do sleep 0.1; done`;
      const sidecar = (name: string) =>
        container(name, script(name), {
          restartPolicy: 'Always',
          volumeMounts,
          startupProbe: { exec: { command: ['cat', '/tmp/up'] }, periodSeconds: 1 },
        });
      await cluster.apply(
        pod('ordered', {
          terminationGracePeriodSeconds: 20,
          volumes: [{ name: 'o', hostPath: { path: '/run/order', type: 'DirectoryOrCreate' } }],
          initContainers: [
            container('i', 'echo init >> /o/log', { volumeMounts }),
            sidecar('s1'),
            container('j', 'echo init2 >> /o/log', { volumeMounts }),
            sidecar('s2'),
          ],
          containers: [
            container('main', script('main'), {
              volumeMounts,
              lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo pre >> /o/log'] } } },
            }),
          ],
        }),
        pod('init-fails', {
          restartPolicy: 'Always',
          initContainers: [container('i', 'exit 1'), container('j', 'exit 0')],
          containers: [container('c', SLEEP)],
        }),
      );
      await ready(cluster, 'ordered');
      await whenField(cluster, 'init-fails', [
        '.status.initContainerStatuses[0].state.waiting.reason',
        /^CrashLoopBackOff$/,
      ]);
      assert.is(await field(cluster, 'init-fails', '.status.phase'), 'Pending');
      const initialized = '.status.conditions[?(@.type=="Initialized")].message';
      assert.is(
        await field(cluster, 'init-fails', initialized),
        'containers with incomplete status: [i j]',
      );
      const failing: Pod = JSON.parse(
        await cluster.kubectl('get', 'pod', 'init-fails', '-o', 'json'),
      );
      const { initContainerStatuses: inits, containerStatuses: mains } = failing.status ?? {};
      assert.equal(
        [inits?.[1], mains?.[0]].map((one) => [one?.state, one?.restartCount]),
        Array(2).fill([{ waiting: { reason: 'PodInitializing' } }, 0]),
      );
      assert.match(
        await cluster.kubectl('get', 'pod', 'init-fails', '--no-headers'),
        /0\/1 +Init:CrashLoopBackOff/,
      );
      await cluster.kubectl('delete', 'pod', 'ordered', 'init-fails');
      const log = await cluster.one.ok(['cat', '/run/order/log']);
      assert.equal(log.trim().split('\n'), [
        ...['init', 'start-s1', 'init2', 'start-s2', 'start-main'],
        ...['pre', 'end-main', 'end-s2', 'end-s1'],
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    'restart rules: one container by its exit code, all of them with their init containers',
    async () => {
      const cluster = await shared.get();
      const once = (code: number) =>
        `test -f /o/$NAME || { touch /o/$NAME; exit ${code}; }; ${SLEEP}`;
      const rules = (action: string) => ({
        restartPolicy: 'Never',
        restartPolicyRules: [{ action, exitCodes: { operator: 'In', values: [42] } }],
        volumeMounts: [{ name: 'o', mountPath: '/o' }],
      });
      const env = (name: string) => ({ env: [{ name: 'NAME', value: name }] });
      const volumes = [{ name: 'o', emptyDir: {} }];
      await cluster.apply(
        pod('ruled', {
          volumes,
          containers: [
            container('a', once(42), { ...rules('Restart'), ...env('a') }),
            container('b', 'exit 7', rules('Restart')),
          ],
        }),
        pod('together', {
          volumes,
          restartPolicy: 'Never',
          initContainers: [container('i', 'exit 0')],
          containers: [
            container('a', once(42), { ...rules('RestartAllContainers'), ...env('a') }),
            container('b', SLEEP),
          ],
        }),
      );
      const counts = '.status.containerStatuses[*].restartCount';
      await whenField(cluster, 'ruled', [counts, /^1 0$/]);
      const code = '.status.containerStatuses[1].state.terminated.exitCode';
      assert.is(await field(cluster, 'ruled', code), '7');
      // It is ready for a moment before its first container ends, too.
      await whenField(cluster, 'together', [counts, /^1 1$/]);
      await ready(cluster, 'together');
      const inits = '.status.initContainerStatuses[0].restartCount';
      assert.is(await field(cluster, 'together', inits), '1');
      const condition = '.status.conditions[?(@.type=="AllContainersRestarting")].status';
      assert.is(await field(cluster, 'together', condition), 'False');
      const { restartPolicy: _policy, ...bare } = rules('Restart');
      const wrong = pod('wrong', { volumes, containers: [container('a', SLEEP, bare)] });
      const { stderr } = await cluster.try(['create', '-f', '-'], { input: JSON.stringify(wrong) });
      assert.match(
        stderr,
        /restartPolicy: Required value: must specify restartPolicy when restart/,
      );
      await cluster.kubectl('delete', 'pods', '--all', '--grace-period=1');
    },
    TIMEOUT_MS,
  );

  test(
    'what a container is told and may: downward API, host aliases, users, root, image defaults, messages',
    async () => {
      const cluster = await shared.get();
      const ref = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
      const limit = (resource: string) => ({ valueFrom: { resourceFieldRef: { resource } } });
      const env = [
        { name: 'UID_OF', ...ref('metadata.uid') },
        { name: 'HOST_IP', ...ref('status.hostIP') },
        { name: 'HOST_IPS', ...ref('status.hostIPs') },
        { name: 'NS', ...ref('metadata.namespace') },
        { name: 'CPU', ...limit('limits.cpu') },
        { name: 'MEM', ...limit('limits.memory') },
        { name: 'CMD', value: 'echo' },
      ];
      const look =
        'env; id -u; id -g; cat /etc/hosts; touch /no 2>&1; grep -E "NoNewPrivs|CapEff" /proc/self/status';
      const security = {
        runAsUser: 65534,
        runAsGroup: 65533,
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        privileged: false,
      };
      const path = '/dev/my-message';
      await cluster.importBusybox(ENTRY, {
        Entrypoint: ['echo', 'entry'],
        Cmd: ['default', 'words'],
      });
      const service = { ports: [{ port: 8765, targetPort: 8080 }], selector: { app: 'told' } };
      const data = { 'data-1': 'value-1' };
      // Names as the relaxed rules allow them; a shell would not hand them on.
      const prefixes = ['', 'p-', 'a_b.c', '1x'];
      const prefixed = prefixes.flatMap((prefix) => [
        { prefix: `${prefix}c-`, configMapRef: { name: 'told' } },
        { prefix: `${prefix}s-`, secretRef: { name: 'told' } },
      ]);
      await cluster.apply(
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'told' }, data },
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'told' }, stringData: data },
        { apiVersion: 'v1', kind: 'Service', metadata: { name: 'fooservice' }, spec: service },
      );
      const address = (
        await cluster.kubectl('get', 'service/fooservice', '-o', 'jsonpath={.spec.clusterIP}')
      ).trim();
      await cluster.apply(
        pod('told', {
          restartPolicy: 'Never',
          initContainers: ['i1', 'i2'].map((name) => container(name, 'exit 0')),
          hostAliases: [{ ip: '192.0.2.9', hostnames: ['alias.example'] }],
          containers: [
            container('c', `${look}; echo -n done > ${path}`, {
              env,
              securityContext: security,
              terminationMessagePath: path,
              terminationMessagePolicy: 'FallbackToLogsOnError',
            }),
            { name: 'expanded', image: BUSYBOX, command: ['$(CMD)'], args: ['$(CMD)-it'], env },
            { name: 'defaults', image: ENTRY },
            { name: 'args', image: ENTRY, args: ['own'] },
            { name: 'command', image: ENTRY, command: ['echo', 'own'] },
            { name: 'both', image: ENTRY, command: ['echo', 'own'], args: ['too'] },
            { name: 'env', image: BUSYBOX, command: ['env'], envFrom: prefixed },
            container('plain', 'ip link add dummy0 type dummy 2>&1; true', {
              securityContext: { privileged: false },
            }),
            container('log', 'echo -n DONE; exit 0', {
              terminationMessagePolicy: 'FallbackToLogsOnError',
            }),
            container('writes', 'touch /tmp/yes && id -u', {
              securityContext: { runAsUser: 1234, readOnlyRootFilesystem: false },
              terminationMessagePolicy: 'FallbackToLogsOnError',
            }),
          ],
        }),
      );
      await whenField(cluster, 'told', ['.status.phase', /^Succeeded$/]);
      const log = await cluster.kubectl('logs', 'told', '-c', 'c');
      const pick = (at: string) => field(cluster, 'told', at);
      const host = await pick('.status.hostIP');
      const node = JSON.parse(await cluster.kubectl('get', 'node', 'one', '-o', 'json'));
      const { memory, cpu } = node.status.allocatable;
      const bytes = Number.parseInt(memory, 10) * 1024;
      for (const line of [
        `UID_OF=${await pick('.metadata.uid')}`,
        `HOST_IP=${host}`,
        `HOST_IPS=${host}`,
        'NS=default',
        `CPU=${Math.ceil(Number(cpu))}`,
        `MEM=${bytes}`,
        'KUBERNETES_SERVICE_HOST=10.43.0.1',
        '65534',
        '65533',
      ])
        assert.ok(log.split('\n').includes(line), `${line} in ${log}`);
      assert.match(log, /192\.0\.2\.9\s+alias\.example/);
      assert.match(log, /touch: \/no: Read-only file system/);
      assert.match(log, /CapEff:\s+0{16}\n(?:.*\n)*?NoNewPrivs:\s+1/);
      const message = (name: string) =>
        pick(`.status.containerStatuses[?(@.name=="${name}")].state.terminated.message`);
      assert.equal([await message('c'), await message('writes')], ['done', '']);
      assert.is(await cluster.kubectl('logs', 'told', '-c', 'expanded'), 'echo-it\n');
      assert.is(await cluster.kubectl('logs', 'told', '-c', 'writes'), '1234\n');
      for (const [name, words] of [
        ['defaults', 'entry default words'],
        ['args', 'entry own'],
        ['command', 'own'],
        ['both', 'own too'],
      ] as const)
        assert.is(await cluster.kubectl('logs', 'told', '-c', name), `${words}\n`);
      assert.is(await message('log'), '');
      assert.match(await cluster.kubectl('logs', 'told', '-c', 'plain'), /Operation not permitted/);
      const inits = JSON.parse(await cluster.kubectl('get', 'pod', 'told', '-o', 'json')).status
        .initContainerStatuses;
      assert.equal(
        inits.map((one: ContainerStatus) => [one.ready, one.state?.terminated?.exitCode]),
        [
          [true, 0],
          [true, 0],
        ],
      );
      assert.is(await pick('.status.conditions[?(@.type=="Initialized")].status'), 'True');
      const told = (await cluster.kubectl('logs', 'told', '-c', 'env')).split('\n');
      for (const line of [
        ...prefixes.flatMap((one) => [`${one}c-data-1=value-1`, `${one}s-data-1=value-1`]),
        `FOOSERVICE_SERVICE_HOST=${address}`,
        'FOOSERVICE_SERVICE_PORT=8765',
        `FOOSERVICE_PORT=tcp://${address}:8765`,
        `FOOSERVICE_PORT_8765_TCP=tcp://${address}:8765`,
        'FOOSERVICE_PORT_8765_TCP_PROTO=tcp',
        'FOOSERVICE_PORT_8765_TCP_PORT=8765',
        `FOOSERVICE_PORT_8765_TCP_ADDR=${address}`,
      ])
        assert.ok(told.includes(line), `${line} in ${told}`);
      const user = '.status.containerStatuses[?(@.name=="c")].user.linux';
      const linux = { uid: 65534, gid: 65533, supplementalGroups: [65533] };
      assert.equal(JSON.parse(await pick(user)), linux);
      assert.is(await pick('.status.qosClass'), 'BestEffort');
      await cluster.kubectl('delete', 'pod/told', 'service/fooservice');
    },
    TIMEOUT_MS,
  );

  test(
    "/etc/hosts is the node agent's, unless the pod mounts one or has the network of the host",
    async () => {
      const cluster = await shared.get();
      const mountedAt = (...paths: readonly string[]) => ({
        volumeMounts: paths.map((mountPath) => ({ name: 'h', mountPath })),
      });
      const look = 'cat /etc/hosts; echo ---; cat /etc/hosts-original';
      const volumes = [{ name: 'h', hostPath: { path: '/etc/hosts', type: 'FileOrCreate' } }];
      const once = { restartPolicy: 'Never', volumes };
      const original = '/etc/hosts-original';
      await cluster.apply(
        pod('hosts', {
          ...once,
          containers: [
            container('managed', look, mountedAt(original)),
            container('mounted', look, mountedAt(original, '/etc/hosts')),
          ],
        }),
        pod('hosts-net', {
          ...once,
          hostNetwork: true,
          containers: [container('c', look, mountedAt(original))],
        }),
      );
      for (const name of ['hosts', 'hosts-net'])
        await whenField(cluster, name, ['.status.phase', /^Succeeded$/]);
      const files = async (...args: readonly string[]) =>
        (await cluster.kubectl('logs', ...args)).split('---\n');
      const [managed = '', theirs = ''] = await files('hosts', '-c', 'managed');
      assert.ok(managed.startsWith('# Kubernetes-managed hosts file.\n'), managed);
      assert.match(managed, /^10\.42\.\d+\.\d+\thosts$/m);
      assert.not(theirs.startsWith('#'), theirs);
      assert.equal(await files('hosts', '-c', 'mounted'), [theirs, theirs]);
      const [ofHost, again] = await files('hosts-net');
      assert.equal(
        [ofHost, again],
        [`# Kubernetes-managed hosts file (host network).\n${theirs}`, theirs],
      );
      await cluster.kubectl('delete', 'pod', 'hosts', 'hosts-net');
    },
    TIMEOUT_MS,
  );

  test(
    'hooks and probes over HTTP; generation, deadlines and collections of pods',
    async () => {
      const cluster = await shared.get();
      await cluster.apply(
        pod('listener', {
          containers: [
            container('c', 'echo ok > /tmp/index.html; exec httpd -f -vv -p 8080 -h /tmp', {
              readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
              livenessProbe: { httpGet: { path: '/index.html', port: 8080 }, periodSeconds: 1 },
            }),
          ],
        }),
      );
      await ready(cluster, 'listener');
      const ip = await field(cluster, 'listener', '.status.podIP');
      const urlOf = (path: string) => new RegExp(`url:/${path}$`, 'm');
      const get = (path: string) => ({ httpGet: { host: ip, port: 8080, path } });
      const run = (path: string) => ({
        exec: { command: ['sh', '-c', `wget -q -O - http://${ip}:8080${path}; true`] },
      });
      const lifecycle = { postStart: get('/began'), preStop: get('/ends') };
      await cluster.apply(
        pod('hooked', {
          containers: [
            container('c', SLEEP, { lifecycle }),
            container('d', SLEEP, { lifecycle: { postStart: run('/d'), preStop: run('/e') } }),
          ],
        }),
        pod('timed', { containers: [container('c', SLEEP)] }),
        pod('delayed', {
          containers: [
            container('c', SLEEP, {
              readinessProbe: {
                exec: { command: ['true'] },
                initialDelaySeconds: DELAY_SECONDS,
                periodSeconds: 1,
              },
            }),
          ],
        }),
      );
      await ready(cluster, 'hooked', 'timed', 'delayed');
      for (const path of ['began', 'd']) await whenLogged(cluster, ['listener'], urlOf(path));
      await cluster.kubectl('delete', 'pod', 'hooked');
      for (const path of ['ends', 'e']) await whenLogged(cluster, ['listener'], urlOf(path));
      assert.is(await field(cluster, 'listener', '.status.containerStatuses[0].restartCount'), '0');

      const times = await field(
        cluster,
        'delayed',
        '.status.containerStatuses[0].state.running.startedAt} {.status.conditions[?(@.type=="Ready")].lastTransitionTime} {.status.containerStatuses[0].restartCount',
      );
      const [began = '', became = '', restarts] = times.split(' ');
      assert.ok(Date.parse(became) - Date.parse(began) >= DELAY_SECONDS * 1000, times);
      assert.is(restarts, '0');

      assert.is(await field(cluster, 'timed', '.metadata.generation'), '1');
      const patch = '{"spec":{"activeDeadlineSeconds":1}}';
      await cluster.kubectl('patch', 'pod', 'timed', '-p', patch);
      await whenField(cluster, 'timed', ['.status.reason', /^DeadlineExceeded$/]);
      assert.is(await field(cluster, 'timed', '.metadata.generation'), '2');
      await whenField(cluster, 'timed', ['.status.observedGeneration', /^2$/]);
      await cluster.kubectl('exec', 'listener', '--', 'rm', '/tmp/index.html');
      await whenField(cluster, 'listener', ['.status.containerStatuses[0].restartCount', /^1$/]);
      await cluster.kubectl('delete', '--all', 'pods', '--timeout=60s');
      assert.is(await cluster.kubectl('get', 'pods', '-o', 'name'), '');
    },
    TIMEOUT_MS,
  );

  test(
    'a subPath that leaves its volume is refused, until what it is made of changes',
    async () => {
      const cluster = await shared.get();
      const fieldRef = { fieldPath: "metadata.annotations['mine']" };
      const leaving = (name: string, subPathExpr: string) =>
        pod(name, {
          containers: [
            container('c', SLEEP, {
              env: [
                { name: 'MINE', valueFrom: { fieldRef } },
                { name: 'UP', value: '..' },
                { name: 'ROOT', value: '/tmp' },
              ],
              volumeMounts: [
                { name: 'v', mountPath: '/mine', subPathExpr },
                { name: 'v', mountPath: '/all' },
              ],
            }),
          ],
          volumes: [{ name: 'v', emptyDir: {} }],
        });
      await cluster.apply(
        leaving('up', '$(UP)/x'),
        leaving('absolute', '$(ROOT)'),
        leaving('mended', '$(MINE)/foo'),
      );
      const waiting = '.status.containerStatuses[0].state.waiting';
      for (const [name, message] of [
        ['up', /^unable to provision SubPath `\.\.\/x`: must not contain '\.\.'$/],
        ['absolute', /^error SubPath `\/tmp` must not be an absolute path$/],
        ['mended', /^missing value for MINE$/],
      ] as const) {
        await whenField(cluster, name, [`${waiting}.reason`, /^CreateContainerConfigError$/]);
        await whenField(cluster, name, [`${waiting}.message`, message]);
      }
      await cluster.kubectl('annotate', 'pod', 'mended', 'mine=mypath');
      await ready(cluster, 'mended');
      const script = 'touch /mine/f; ls /all/mypath/foo';
      assert.is(await cluster.kubectl('exec', 'mended', '--', 'sh', '-c', script), 'f\n');
      // The path counts when the container starts; a pod goes even if its paths would now be wrong.
      await cluster.kubectl('annotate', 'pod', 'mended', 'mine-');
      await cluster.kubectl('delete', 'pod', 'absolute', 'up', 'mended', '--timeout=60s');
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
