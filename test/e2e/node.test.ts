/** One node with the built executable: what containers are given, how they end, and what is left of them. */

import * as assert from 'uvu/assert';
import type { Container, ContainerStatus, Pod, PodSpec } from '../../pkg/api/generated/types.ts';
import { BUSYBOX, Cluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 60_000;
const CHURN_PODS = 20;

const shell = (script: string, more: Partial<Container> = {}): Container => ({
  name: 'c',
  image: BUSYBOX,
  command: ['sh', '-c', script],
  ...more,
});

function podOf(name: string, containers: readonly Container[], spec: Partial<PodSpec> = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 1, ...spec, containers },
  };
}

const phase = ({ status }: Pod) => status?.phase;
const first = ({ status }: Pod) => status?.containerStatuses?.[0];
const ended = (status: ContainerStatus | undefined) => status?.state?.terminated;

suite('e2e/node', ({ test, cleanup }) => {
  async function start() {
    const cluster = await Cluster.start();
    cleanup(() => cluster.close());
    await cluster.importBusybox();
    const get = async (name: string): Promise<Pod> =>
      JSON.parse(await cluster.kubectl('get', 'pod', name, '-o', 'json'));
    return {
      cluster,
      get,
      when: (name: string, is: (pod: Pod) => boolean) =>
        cluster.until(`pod ${name}`, async () => {
          const pod = await get(name);
          return is(pod) ? pod : undefined;
        }),
      sh: (pod: string, script: string) => cluster.kubectl('exec', pod, '--', 'sh', '-c', script),
    };
  }

  test(
    'containers have their limits, volumes, modes and a token that the API takes',
    async () => {
      const { cluster, when, sh } = await start();
      const meta = { namespace: 'default' };
      const configMap = (value: string) => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { ...meta, name: 'cm' },
        data: { key: value },
      });
      await cluster.apply(
        configMap('old'),
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { ...meta, name: 'sec' },
          stringData: { password: 'p', key: 'k' },
        },
        podOf(
          'given',
          [
            shell('echo from-c > /shared/file; exec sleep 1000', {
              resources: { limits: { cpu: '250m', memory: '32Mi' } },
              env: [{ name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } }],
              volumeMounts: [
                { name: 'shared', mountPath: '/shared' },
                { name: 'cm', mountPath: '/cm' },
                { name: 'sec', mountPath: '/sec' },
                { name: 'host', mountPath: '/host', readOnly: true },
              ],
            }),
            shell('until cat /data/file; do sleep 0.1; done; exec sleep 1000', {
              name: 'other',
              volumeMounts: [{ name: 'shared', mountPath: '/data' }],
            }),
          ],
          {
            securityContext: { fsGroup: 2000 },
            volumes: [
              { name: 'shared', emptyDir: {} },
              { name: 'host', hostPath: { path: '/', type: 'Directory' } },
              { name: 'cm', configMap: { name: 'cm' } },
              {
                name: 'sec',
                secret: {
                  secretName: 'sec',
                  defaultMode: 0o400,
                  items: [
                    { key: 'password', path: 'in/password' },
                    { key: 'key', path: 'key', mode: 0o440 },
                  ],
                },
              },
            ],
          },
        ),
        podOf(
          'greedy',
          [
            shell('x=a; while true; do x=$x$x; done', {
              resources: { limits: { memory: '16Mi' } },
            }),
          ],
          { restartPolicy: 'Never' },
        ),
      );
      await when('given', (pod) => phase(pod) === 'Running');
      const limits = await sh(
        'given',
        'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us 2>/dev/null || cat memory.max cpu.max',
      );
      assert.match(limits, /^33554432\n25000( 100000)?\n$/);
      await cluster.until('the file of the other container', async () =>
        (await cluster.kubectl('logs', 'given', '-c', 'other')).includes('from-c'),
      );
      const modes = await sh('given', 'ls -lnL /sec/in/password /sec/key; ls -ldn /shared');
      assert.match(modes, /-r--r----- +1 0 +2000 .*password/);
      assert.match(modes, /-r--r----- +1 0 +2000 .*key/);
      assert.match(modes, /drwxrwsrwx +2 0 +2000 .*shared/);
      const answer = await sh('given', TOKEN_REQUEST);
      assert.match(answer, /system:serviceaccount:default:default/);
      await cluster.apply(configMap('new'));
      await cluster.until('the new content of the volume', async () =>
        (await sh('given', 'cat /cm/key')).includes('new'),
      );
      const greedy = await when('greedy', (pod) => phase(pod) === 'Failed');
      assert.is(ended(first(greedy))?.reason, 'OOMKilled');
      assert.is(ended(first(greedy))?.exitCode, 137);
    },
    TIMEOUT_MS,
  );

  test(
    'ends are told as they were: order, codes, signals, messages, restarts, grace',
    async () => {
      const { cluster, when, get } = await start();
      const never = { restartPolicy: 'Never' };
      const slow = { terminationGracePeriodSeconds: 20 };
      await cluster.apply(
        podOf('code', [shell('echo why > /dev/termination-log; exit 7')], never),
        podOf('signal', [shell('exec sleep 4242')], never),
        podOf('good', [shell('exit 0')], { restartPolicy: 'OnFailure' }),
        podOf(
          'again',
          [
            shell('[ -e /v/ran ] && exec sleep 1000; touch /v/ran; exit 4', {
              volumeMounts: [{ name: 'v', mountPath: '/v' }],
            }),
          ],
          {
            restartPolicy: 'OnFailure',
            volumes: [{ name: 'v', emptyDir: {} }],
          },
        ),
        podOf('crash', [shell('exit 3')]),
        podOf(
          'inits',
          [
            shell('cat /v/order; exec sleep 1000', {
              volumeMounts: [{ name: 'v', mountPath: '/v' }],
            }),
          ],
          {
            volumes: [{ name: 'v', emptyDir: {} }],
            initContainers: ['one', 'two'].map((name) =>
              shell(`echo ${name} >> /v/order`, {
                name,
                volumeMounts: [{ name: 'v', mountPath: '/v' }],
              }),
            ),
          },
        ),
        podOf(
          'polite',
          [shell('trap "echo bye; exit 0" TERM; while true; do sleep 0.1; done')],
          slow,
        ),
        podOf('deaf', [shell('trap "" TERM; while true; do sleep 0.1; done')]),
      );
      const code = await when('code', (pod) => phase(pod) === 'Failed');
      assert.is(ended(first(code))?.exitCode, 7);
      assert.is(ended(first(code))?.reason, 'Error');
      assert.is(ended(first(code))?.message, 'why\n');
      await when('good', (pod) => phase(pod) === 'Succeeded');
      const again = await when(
        'again',
        (pod) => first(pod)?.state?.running !== undefined && first(pod)?.restartCount === 1,
      );
      assert.is(first(again)?.lastState?.terminated?.exitCode, 4);
      await when('inits', (pod) => phase(pod) === 'Running');
      assert.is(await cluster.kubectl('logs', 'inits'), 'one\ntwo\n');
      const crash = await when(
        'crash',
        (pod) => first(pod)?.state?.waiting?.reason === 'CrashLoopBackOff',
      );
      assert.match(
        first(crash)?.state?.waiting?.message ?? '',
        /^back-off 10s restarting failed container=c pod=crash_default/,
      );
      assert.is(first(crash)?.lastState?.terminated?.exitCode, 3);
      await when('signal', (pod) => phase(pod) === 'Running');
      for (const pid of cluster.one.pidsOf(/^sleep 4242/)) process.kill(pid, 'SIGKILL');
      const signal = await when('signal', (pod) => phase(pod) === 'Failed');
      assert.is(ended(first(signal))?.exitCode, 137);
      assert.is(ended(first(signal))?.reason, 'Error');
      await when('polite', (pod) => phase(pod) === 'Running');
      const follow = cluster.startKubectl('logs', '-f', 'polite');
      const startedMs = Date.now();
      await cluster.kubectl('delete', 'pod', 'polite', 'deaf');
      assert.ok(Date.now() - startedMs < 15_000, 'polite had its whole grace');
      await follow.exited;
      assert.match(follow.output(), /bye/);
      assert.ok((await cluster.try(['get', 'pod', 'deaf'])).code !== 0);
      assert.is(phase(await get('code')), 'Failed');
    },
    TIMEOUT_MS,
  );

  test(
    'an agent that is killed again and again leaves nothing of pods that came and went',
    async () => {
      const { cluster } = await start();
      const names = Array.from({ length: CHURN_PODS }, (_, at) => `churn-${at}`);
      const pods = names.map((name) => podOf(name, [shell('exec sleep 1000')]));
      const kill = () => {
        for (const pid of cluster.one.pidsOf(/mini agent/)) process.kill(pid, 'SIGKILL');
      };
      await cluster.apply(...pods.slice(0, CHURN_PODS / 2));
      kill();
      await cluster.apply(...pods.slice(CHURN_PODS / 2));
      await cluster.until('pods to run', async () => (await phases(cluster)).includes('Running'));
      kill();
      await cluster.kubectl('delete', 'pod', '--wait=false', ...names.slice(0, CHURN_PODS / 2));
      kill();
      await cluster.until('the others to run', async () => {
        const all = await phases(cluster);
        return all.length === CHURN_PODS / 2 && all.every((one) => one === 'Running');
      });
      await cluster.kubectl('delete', 'pod', '--wait=false', ...names.slice(CHURN_PODS / 2));
      kill();
      await cluster.until('the end of all pods', async () => (await phases(cluster)).length === 0);
      await cluster.until('nothing to be left', async () => (await left(cluster)) === '');
    },
    TIMEOUT_MS,
  );
});

async function phases(cluster: Cluster): Promise<readonly string[]> {
  const text = await cluster.kubectl('get', 'pods', '-o', 'jsonpath={.items[*].status.phase}');
  return text.split(' ').filter(Boolean);
}

/** What the host still has of pods, one line each. */
async function left(cluster: Cluster): Promise<string> {
  const script = [
    'ls /var/lib/mini/containers /var/lib/mini/sandboxes /var/lib/mini/pods /run/mini/containers /run/mini/sandboxes /run/mini/pods 2>/dev/null | grep -v : ',
    'ip -o link | grep -i veth',
    'find /sys/fs/cgroup/ -path "*/mini/*" -type d -name "pod*"',
    'grep -E "/(containers|sandboxes)/[0-9a-f]" /proc/self/mounts',
    'true',
  ].join('\n');
  return (await cluster.one.ok(['sh', '-c', script])).trim();
}

/** Who am I, asked of the API by the test's own node: the TLS of busybox is too old. */
const TOKEN_REQUEST = `TOKEN=$(cat /var/run/secrets/kubernetes.io/serviceaccount/token) busybox chroot /host ${process.execPath} -e '${[
  'const headers = { authorization: "Bearer " + process.env.TOKEN, "content-type": "application/json" };',
  'const url = "https://" + process.env.NODE + ":6443/apis/authentication.k8s.io/v1/selfsubjectreviews";',
  'const options = { method: "POST", headers, rejectUnauthorized: false };',
  'const request = require("https").request(url, options, (response) => response.pipe(process.stdout));',
  'request.end(JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }));',
].join(' ')}'`;
