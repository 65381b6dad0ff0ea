/** Client libraries as they come, against the built executable: @kubernetes/client-node and Debian's python3-kubernetes. */

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AppsV1Api,
  Attach,
  CoreV1Api,
  Exec,
  KubeConfig,
  Log,
  Metrics,
  makeInformer,
  PatchStrategy,
  PortForward,
  setHeaderOptions,
  type V1ConfigMap,
  type V1Status,
  Watch,
} from '@kubernetes/client-node';
import * as assert from 'uvu/assert';
import { BUSYBOX, Cluster } from '../harness/cluster.ts';
import { eventually } from '../harness/raw-api.ts';
import { reach } from '../harness/reach.ts';
import { rejects, suite } from '../harness/suite.ts';

const TIMEOUT_MS = 90_000;
const KUBECONFIG = '/etc/mini/kubeconfig.yaml';
const SERVER = 'https://127.0.0.1:6443';
const namespace = 'default';
const CONFIG_MAPS = `/api/v1/namespaces/${namespace}/configmaps`;

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'talker' },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        image: BUSYBOX,
        stdin: true,
        command: ['sh', '-c'],
        args: [
          'mkdir -p /tmp/w; echo served > /tmp/w/index.html; httpd -p 8080 -h /tmp/w; echo first; while read line; do echo "heard $line"; done; sleep 1000',
        ],
      },
    ],
  },
};

/** Text that was written to it. */
function sink() {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream, text: () => text };
}

async function configured(cluster: Cluster, port: number): Promise<KubeConfig> {
  const text = await cluster.one.ok(['cat', KUBECONFIG]);
  const config = new KubeConfig();
  config.loadFromString(text.replace(SERVER, `https://127.0.0.1:${port}`));
  return config;
}

function patchAs(type: string) {
  return setHeaderOptions('Content-Type', type);
}

/** The code of an answer that the library took for an error. */
async function codeOf(work: Promise<unknown>): Promise<number> {
  const error = await rejects(work);
  if (typeof error === 'object' && error !== null && 'code' in error) return Number(error.code);
  throw error;
}

suite('e2e/clients', ({ test, cleanup }) => {
  async function start(...flags: readonly string[]) {
    const cluster = await Cluster.start(...flags);
    cleanup(() => cluster.close());
    const reached = await reach(cluster.one, 6443);
    cleanup(() => reached.close());
    return { cluster, config: await configured(cluster, reached.port) };
  }

  test(
    'client-node: objects, patches of all types, watch, exec, attach, logs, port-forward, metrics',
    async () => {
      const { cluster, config } = await start();
      const core = config.makeApiClient(CoreV1Api);
      await objects(core);
      await watched(core, config);
      await scaled(config.makeApiClient(AppsV1Api));
      await cluster.importBusybox();
      await core.createNamespacedPod({ namespace, body: POD });
      await cluster.until('the pod to run', async () => {
        const pod = await core.readNamespacedPod({ namespace, name: 'talker' });
        return pod.status?.phase === 'Running';
      });
      await executed(config);
      const { followed } = await attached(config);
      await forwarded(config);
      await core.deleteNamespacedPod({ namespace, name: 'talker' });
      await followed;
      const { items } = await new Metrics(config).getNodeMetrics();
      assert.is(items.length, 1);
      assert.match(items[0]?.usage.cpu ?? '', /^\d+n$/);
    },
    TIMEOUT_MS,
  );

  test(
    'client-node: an informer sees every change once, through kill -9 of the server',
    async () => {
      const { cluster, config } = await start();
      const core = config.makeApiClient(CoreV1Api);
      const informer = makeInformer(config, CONFIG_MAPS, () =>
        core.listNamespacedConfigMap({ namespace }),
      );
      const seen: string[] = [];
      const note = (what: string) => (object: V1ConfigMap) => {
        const { name = '' } = object.metadata ?? {};
        if (name.startsWith('w-')) seen.push(`${what} ${name} ${object.data?.['n'] ?? ''}`);
      };
      informer.on('add', note('add'));
      informer.on('update', note('update'));
      informer.on('delete', note('delete'));
      let isStopped = false;
      informer.on('error', () => {
        void sleep(50).then(() => (isStopped ? undefined : informer.start()));
      });
      cleanup(async () => {
        isStopped = true;
        await informer.stop();
      });
      await informer.start();
      const expected: string[] = [];
      const change = async (i: number) => {
        const name = `w-${i}`;
        await retried(() => core.createNamespacedConfigMap({ namespace, body: made(name, 1) }));
        await retried(() =>
          core.replaceNamespacedConfigMap({ namespace, name, body: made(name, 2) }),
        );
        await retried(() => core.deleteNamespacedConfigMap({ namespace, name }));
        expected.push(`add ${name} 1`, `update ${name} 2`, `delete ${name} 2`);
      };
      for (let i = 0; i < 10; i += 1) await change(i);
      for (let round = 1; round <= 2; round += 1) {
        const changing = (async () => {
          for (let i = round * 100; i < round * 100 + 20; i += 1) await change(i);
        })();
        await sleep(100);
        await cluster.server?.kill('SIGKILL');
        cluster.startServer();
        await changing;
      }
      await eventually('the last event', () => seen.includes(expected.at(-1) ?? ''));
      assert.equal(seen, expected);
    },
    TIMEOUT_MS,
  );

  test(
    'python3-kubernetes: objects, watch, exec over the stream',
    async () => {
      const cluster = await Cluster.start();
      cleanup(() => cluster.close());
      await cluster.importBusybox();
      const program = join(cluster.one.dir, 'client.py');
      writeFileSync(program, PYTHON);
      const input = JSON.stringify(POD);
      const said = await cluster.one.ok(['/usr/bin/python3', program, KUBECONFIG], { input });
      assert.equal(said.trim().split('\n'), [
        'created a 1',
        'patched 2',
        'listed a',
        'conflict 409',
        'missing 404',
        'event MODIFIED a',
        'event DELETED a',
        'running',
        'log first',
        'exec hello from talker',
        'exec exit 3',
      ]);
    },
    TIMEOUT_MS,
  );
});

function made(name: string, n: number): V1ConfigMap {
  return { metadata: { name }, data: { n: String(n) } };
}

/** Until the server answers; what an earlier try did before its answer was lost counts as done. */
async function retried(work: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : 0;
      if (code === 409 || code === 404) return;
      if (typeof code === 'number' && code >= 400 && code < 500) throw error;
      await sleep(20);
    }
  }
}

async function objects(core: CoreV1Api): Promise<void> {
  const created = await core.createNamespacedConfigMap({ namespace, body: made('a', 1) });
  assert.ok(created.metadata?.uid);
  const name = 'a';
  const patch = (type: string, body: unknown, more: object = {}) =>
    core.patchNamespacedConfigMap({ namespace, name, body, ...more }, patchAs(type));
  const json = [{ op: 'replace', path: '/data/n', value: '2' }];
  assert.equal((await patch(PatchStrategy.JsonPatch, json)).data, { n: '2' });
  const merged = await patch(PatchStrategy.MergePatch, { data: { n: null, m: '3' } });
  assert.equal(merged.data, { m: '3' });
  const strategic = { metadata: { labels: { l: 'x' } }, data: { s: '4' } };
  const labelled = await patch(PatchStrategy.StrategicMergePatch, strategic);
  assert.equal(labelled.data, { m: '3', s: '4' });
  const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { p: '5' } };
  const after = await patch(PatchStrategy.ServerSideApply, applied, { fieldManager: 'test' });
  assert.equal(after.data, { m: '3', s: '4', p: '5' });
  const replaced = { ...after, data: { r: '6' } };
  assert.equal((await core.replaceNamespacedConfigMap({ namespace, name, body: replaced })).data, {
    r: '6',
  });
  const stale = core.replaceNamespacedConfigMap({ namespace, name, body: replaced });
  assert.is(await codeOf(stale), 409);
  const found = await core.listNamespacedConfigMap({ namespace, labelSelector: 'l=x' });
  assert.equal(
    found.items.map(({ metadata }) => metadata?.name),
    ['a'],
  );
  await core.deleteNamespacedConfigMap({ namespace, name });
  assert.is(await codeOf(core.readNamespacedConfigMap({ namespace, name })), 404);
}

async function watched(core: CoreV1Api, config: KubeConfig): Promise<void> {
  const events: string[] = [];
  const list = await core.listNamespacedConfigMap({ namespace });
  const ended = Promise.withResolvers<unknown>();
  const controller = await new Watch(config).watch(
    CONFIG_MAPS,
    { resourceVersion: list.metadata?.resourceVersion, allowWatchBookmarks: true },
    (type, object: V1ConfigMap) => events.push(`${type} ${object.metadata?.name}`),
    (error) => ended.resolve(error),
  );
  await core.createNamespacedConfigMap({ namespace, body: made('b', 1) });
  await core.deleteNamespacedConfigMap({ namespace, name: 'b' });
  await eventually('both events', () => events.length === 2);
  assert.equal(events, ['ADDED b', 'DELETED b']);
  controller.abort();
  await ended.promise;
}

async function scaled(apps: AppsV1Api): Promise<void> {
  const labels = { app: 'none' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'x' }] } };
  const spec = { replicas: 0, selector: { matchLabels: labels }, template };
  const body = { metadata: { name: 'none' }, spec };
  await apps.createNamespacedDeployment({ namespace, body });
  const scale = await apps.readNamespacedDeploymentScale({ namespace, name: 'none' });
  assert.is(scale.spec?.replicas ?? 0, 0);
  await apps.deleteNamespacedDeployment({ namespace, name: 'none' });
}

async function executed(config: KubeConfig): Promise<void> {
  const [out, err] = [sink(), sink()];
  const status = Promise.withResolvers<V1Status>();
  await new Exec(config).exec(
    namespace,
    'talker',
    'c',
    ['sh', '-c', 'read line; echo "out $line"; echo err >&2; exit 3'],
    out.stream,
    err.stream,
    Readable.from(['typed\n']),
    false,
    (answer) => status.resolve(answer),
  );
  const { reason, details } = await status.promise;
  assert.is(reason, 'NonZeroExitCode');
  assert.equal(
    details?.causes?.map(({ message }) => message),
    ['3'],
  );
  assert.equal([out.text(), err.text()], ['out typed\n', 'err\n']);
}

/** What is typed into the attached container shows in its output and, followed until the pod ends, in its log. */
async function attached(config: KubeConfig): Promise<{ readonly followed: Promise<unknown> }> {
  const [out, log, input] = [sink(), sink(), new PassThrough()];
  await new Log(config).log(namespace, 'talker', 'c', log.stream, { follow: true });
  const socket = await new Attach(config).attach(
    namespace,
    'talker',
    'c',
    out.stream,
    null,
    input,
    false,
  );
  input.write('you\n');
  await eventually('the echo', () => out.text().includes('heard you\n'));
  await eventually('the log', () => log.text() === 'first\nheard you\n', log.text);
  socket.close();
  return { followed: once(log.stream, 'finish') };
}

async function forwarded(config: KubeConfig): Promise<void> {
  const [out, err, input] = [sink(), sink(), new PassThrough()];
  const forward = new PortForward(config);
  await forward.portForward(namespace, 'talker', [8080], out.stream, err.stream, input);
  input.write('GET / HTTP/1.0\r\n\r\n');
  await eventually('the page', () => /200 OK[\s\S]*served\n/.test(out.text()), out.text);
  assert.is(err.text(), '');
  input.end();
}

const PYTHON = `
import json, sys
from kubernetes import client, config, watch
from kubernetes.stream import stream

pod = json.load(sys.stdin)
config.load_kube_config(sys.argv[1])
api = client.CoreV1Api()
body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name='a'), data={'n': '1'})
made = api.create_namespaced_config_map('default', body)
print('created', made.metadata.name, made.data['n'])
since = made.metadata.resource_version
print('patched', api.patch_namespaced_config_map('a', 'default', {'data': {'n': '2'}}).data['n'])
print('listed', *[i.metadata.name for i in api.list_namespaced_config_map('default', field_selector='metadata.name=a').items])
for what, call in [
    ('conflict', lambda: api.create_namespaced_config_map('default', body)),
    ('missing', lambda: api.read_namespaced_secret('none', 'default')),
]:
    try:
        call()
    except client.exceptions.ApiException as error:
        print(what, error.status)
api.delete_namespaced_config_map('a', 'default')
for event in watch.Watch().stream(api.list_namespaced_config_map, 'default', resource_version=since, timeout_seconds=20):
    print('event', event['type'], event['object'].metadata.name)
    if event['type'] == 'DELETED':
        break
api.create_namespaced_pod('default', pod)
for event in watch.Watch().stream(api.list_namespaced_pod, 'default', timeout_seconds=30):
    if event['object'].status.phase == 'Running':
        print('running')
        break
for line in watch.Watch().stream(api.read_namespaced_pod_log, 'talker', 'default'):
    print('log', line)
    break
print('exec', stream(api.connect_get_namespaced_pod_exec, 'talker', 'default', command=['sh', '-c', 'echo hello from $(hostname)'],
                     stdin=False, stdout=True, stderr=True, tty=False).strip())
session = stream(api.connect_get_namespaced_pod_exec, 'talker', 'default', command=['sh', '-c', 'read x; exit $x'],
                 stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False)
session.write_stdin('3\\n')
session.run_forever(timeout=20)
print('exec exit', session.returncode)
`;
