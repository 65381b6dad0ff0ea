/** Nodes and their pods, by kubectl and by raw requests: cordon, drain, taints, labels, placement, status, generations. */

import { once } from 'node:events';
import * as assert from 'uvu/assert';
import { WebSocket } from 'ws';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { eventually, type Json, type RawApi, rawApi } from '../harness/raw-api.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 90_000;
const PODS = '/api/v1/namespaces/default/pods';
const STRATEGIC = 'application/strategic-merge-patch+json';
const OTHER_IMAGE = 'docker.io/library/busybox:other';
/** As many as the conformance test of generations makes, the first being the creation. */
const GENERATIONS = 500;

function pod(name: string, spec: object = {}, container: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: BUSYBOX, command: ['sleep', '1000'], ...container }],
      ...spec,
    },
  };
}

function deployment(name: string, replicas: number) {
  const { metadata, spec } = pod(name);
  const { labels } = metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
}

function ready(cluster: Cluster, ...names: readonly string[]): Promise<string> {
  const pods = names.map((name) => `pod/${name}`);
  return cluster.kubectl('wait', '--for=condition=Ready', '--timeout=30s', ...pods);
}

async function nodesOf(cluster: Cluster, app: string): Promise<readonly string[]> {
  const path = 'jsonpath={.items[*].spec.nodeName}';
  const names = await cluster.kubectl('get', 'pods', '-l', `app=${app}`, '-o', path);
  return names.split(' ').sort();
}

/** Why the scheduler says that it cannot place a pod. */
function whyPending(cluster: Cluster, name: string): Promise<string> {
  const query = `--field-selector=involvedObject.name=${name},reason=FailedScheduling`;
  return cluster.until(`an event about ${name}`, () =>
    cluster.kubectl('get', 'events', query, '-o', 'jsonpath={.items[*].message}'),
  );
}

/** Replaces an object, `known` or as it is; again when somebody else was faster, as clients do. */
async function replaced(
  api: RawApi,
  path: string,
  change: (object: Json) => Json,
  known?: Json,
): Promise<Json> {
  for (let last = known; ; last = undefined) {
    const body = change(last ?? (await api.ok(path)));
    const { code, json } = await api.call(path, { method: 'PUT', body });
    if (code === 200) return json;
    assert.is(code, 409, JSON.stringify(json));
  }
}

/** All that the server sends over a WebSocket until it closes. */
async function overWebSocket({ port, ca, admin }: RawApi, path: string, protocol: string) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, protocol, { ca, ...admin });
  const chunks: Buffer[] = [];
  socket.on('message', (data: Buffer) => chunks.push(data));
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

suite('e2e/kubectl-nodes', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(2));

  test(
    'nodes as get and describe show them; labels',
    async () => {
      const cluster = await shared.get();
      const nodes = await cluster.kubectl('get', 'nodes', '-o', 'wide', '--no-headers');
      assert.match(
        nodes,
        /^one +Ready +control-plane +\d+s +v1\.\d+\.\d+ +10\.99\.0\.11 +<none> +\S.* mini:\/\/\S+\n/,
      );
      assert.match(nodes, /\ntwo +Ready +<none> +\d+s +v1\.\d+\.\d+ +10\.99\.0\.12 /);
      await cluster.apply(
        pod(
          'sized',
          { nodeName: 'two' },
          { resources: { requests: { cpu: '100m', memory: '16Mi' } } },
        ),
      );
      await ready(cluster, 'sized');
      const described = await cluster.kubectl('describe', 'node', 'two');
      assert.match(described, /Taints: +<none>/);
      assert.match(described, /Ready +True +.*KubeletReady/);
      assert.match(described, /default +sized +100m \(\d+%\) +0 \(0%\) +16Mi \(0%\)/);
      await cluster.kubectl('label', 'node', 'two', 'disk=ssd');
      assert.is(
        await cluster.kubectl('get', 'nodes', '-l', 'disk=ssd', '-o', 'name'),
        'node/two\n',
      );
      await cluster.refused(
        /already has a value \(ssd\), and --overwrite is false/,
        'label',
        'node',
        'two',
        'disk=hdd',
      );
      await cluster.apply(pod('on-ssd', { nodeSelector: { disk: 'ssd' } }));
      await ready(cluster, 'on-ssd');
      assert.equal(await nodesOf(cluster, 'on-ssd'), ['two']);
      await cluster.kubectl('delete', 'pod', '--all');
    },
    TIMEOUT_MS,
  );

  test(
    'what cannot be placed says why, and is placed as soon as it can be',
    async () => {
      const cluster = await shared.get();
      await cluster.apply(
        pod('big', {}, { resources: { requests: { cpu: '64', memory: '900Gi' } } }),
        pod('picky', { nodeSelector: { zone: 'a' } }),
      );
      assert.match(
        await whyPending(cluster, 'big'),
        /^0\/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory\./,
      );
      assert.match(
        await whyPending(cluster, 'picky'),
        /^0\/2 nodes are available: 2 node\(s\) didn't match Pod's node affinity\/selector\./,
      );
      assert.match(
        await cluster.kubectl('get', 'pod', 'big', '--no-headers'),
        /^big +0\/1 +Pending +0 /,
      );
      await cluster.kubectl('label', 'node', 'one', 'zone=a');
      await ready(cluster, 'picky');
      assert.equal(await nodesOf(cluster, 'picky'), ['one']);
      await cluster.kubectl('delete', 'pod', '--all');
    },
    TIMEOUT_MS,
  );

  test(
    'cordon and drain: pods move, bare pods and budgets hold the drain up, uncordon lets them back',
    async () => {
      const cluster = await shared.get();
      const volumes = [{ name: 'v', emptyDir: {} }];
      await cluster.apply(deployment('web', 4), pod('bare', { nodeName: 'two', volumes }));
      await cluster.kubectl('rollout', 'status', 'deploy/web', '--timeout=30s');
      await ready(cluster, 'bare');
      assert.equal([...new Set(await nodesOf(cluster, 'web'))], ['one', 'two']);
      assert.is(await cluster.kubectl('cordon', 'two'), 'node/two cordoned\n');
      assert.is(await cluster.kubectl('cordon', 'two'), 'node/two already cordoned\n');
      assert.match(
        await cluster.kubectl('get', 'node', 'two', '--no-headers'),
        /Ready,SchedulingDisabled/,
      );
      await cluster.refused(
        /cannot delete Pods that declare no controller.*default\/bare/,
        'drain',
        'two',
        '--delete-emptydir-data',
      );

      await cluster.kubectl('create', 'pdb', 'web', '--selector=app=web', '--min-available=4');
      await cluster.until(
        'the budget',
        async () =>
          (await cluster.kubectl(
            'get',
            'pdb',
            'web',
            '-o',
            'jsonpath={.status.currentHealthy}',
          )) === '4',
      );
      const budget = /Cannot evict pod as it would violate the pod's disruption budget/;
      await cluster.refused(
        /cannot delete Pods with local storage \(use --delete-emptydir-data.*default\/bare/,
        'drain',
        'two',
        '--force',
      );
      const force = ['--force', '--delete-emptydir-data'];
      await cluster.refused(budget, 'drain', 'two', ...force, '--timeout=2s');
      await cluster.kubectl('delete', 'pdb', 'web');
      const drained = await cluster.kubectl('drain', 'two', ...force, '--timeout=30s');
      assert.match(drained, /node\/two drained\n$/);
      await cluster.kubectl('rollout', 'status', 'deploy/web', '--timeout=30s');
      assert.equal([...new Set(await nodesOf(cluster, 'web'))], ['one']);
      await cluster.refused(/NotFound/, 'get', 'pod', 'bare');
      assert.is(await cluster.kubectl('uncordon', 'two'), 'node/two uncordoned\n');
      await cluster.kubectl('scale', 'deploy', 'web', '--replicas=8');
      await cluster.kubectl('rollout', 'status', 'deploy/web', '--timeout=30s');
      assert.ok((await nodesOf(cluster, 'web')).includes('two'));
      await cluster.kubectl('delete', 'deploy', 'web', '--cascade=foreground');
    },
    TIMEOUT_MS,
  );

  test(
    'taints: NoSchedule keeps pods away, NoExecute drives them out unless they tolerate it',
    async () => {
      const cluster = await shared.get();
      const tolerations = [{ key: 'sick', operator: 'Exists' }];
      await cluster.apply(
        pod('tough', { nodeName: 'two', tolerations }),
        pod('weak', { nodeName: 'two' }),
      );
      await ready(cluster, 'tough', 'weak');
      await cluster.kubectl('taint', 'nodes', '--all', 'only=mine:NoSchedule');
      await cluster.apply(pod('kept-out'));
      assert.match(
        await whyPending(cluster, 'kept-out'),
        /0\/2 nodes are available: 2 node\(s\) had untolerated taint/,
      );
      await cluster.kubectl('taint', 'nodes', '--all', 'only-');
      await ready(cluster, 'kept-out');

      assert.is(
        await cluster.kubectl('taint', 'node', 'two', 'sick=yes:NoExecute'),
        'node/two tainted\n',
      );
      assert.match(await cluster.kubectl('describe', 'node', 'two'), /Taints: +sick=yes:NoExecute/);
      await cluster.kubectl('wait', '--for=delete', 'pod/weak', '--timeout=30s');
      assert.match(
        await cluster.kubectl('get', 'pod', 'tough', '--no-headers'),
        /1\/1 +Running +0 /,
      );
      await cluster.refused(/already has sick taint/, 'taint', 'node', 'two', 'sick=yes:NoExecute');
      await cluster.kubectl('taint', 'node', 'two', 'sick-');
      await cluster.refused(/taint "sick" not found/, 'taint', 'node', 'two', 'sick-');
      await cluster.kubectl('delete', 'pod', '--all');
    },
    TIMEOUT_MS,
  );

  test(
    'tolerationSeconds: pods leave when their time is over, and stay when the taint goes before',
    async () => {
      const cluster = await shared.get();
      const tolerating = (name: string, tolerationSeconds: number) => {
        const toleration = { key: 'ill', operator: 'Exists', effect: 'NoExecute' };
        return pod(name, { nodeName: 'two', tolerations: [{ ...toleration, tolerationSeconds }] });
      };
      await cluster.apply(tolerating('short', 1), tolerating('long', 600));
      await ready(cluster, 'short', 'long');
      const uid = await cluster.kubectl('get', 'pod', 'long', '-o', 'jsonpath={.metadata.uid}');
      await cluster.kubectl('taint', 'node', 'two', 'ill=yes:NoExecute');
      await cluster.kubectl('wait', '--for=delete', 'pod/short', '--timeout=30s');
      await cluster.kubectl('taint', 'node', 'two', 'ill-');
      await cluster.until("the end of the other one's eviction", async () => {
        const events = await cluster.kubectl('get', 'events', '-o', 'jsonpath={.items[*].message}');
        return events.includes('Cancelling deletion of Pod default/long');
      });
      const left = 'jsonpath={.metadata.uid}{.metadata.deletionTimestamp}';
      assert.is(await cluster.kubectl('get', 'pod', 'long', '-o', left), uid);
      await cluster.kubectl('delete', 'pod', 'long');
    },
    TIMEOUT_MS,
  );

  test(
    'a pod and its status by raw requests: created, watched, patched, replaced, read over a WebSocket, deleted with others',
    async () => {
      const cluster = await shared.get();
      await cluster.importBusybox(OTHER_IMAGE);
      const api = await rawApi(cluster.one);
      try {
        const selector = 'labelSelector=kind%3Dstatic';
        const { metadata: listed } = await api.ok(`${PODS}?${selector}`);
        const from = `watch=true&resourceVersion=${listed.resourceVersion}`;
        const watching = await api.watch(`${PODS}?${selector}&${from}`);
        const said = ['sh', '-c', 'echo container is alive; exec sleep 1000'];
        const made = pod('p', { terminationGracePeriodSeconds: 1 }, { command: said });
        const body = { ...made, metadata: { name: 'p', labels: { kind: 'static' } } };
        await api.ok(PODS, { method: 'POST', body });
        const isReady = ({ object }: Json) =>
          object.status.phase === 'Running' &&
          object.status.conditions.filter(
            ({ type, status }: Json) => /Ready$/.test(type) && status === 'True',
          ).length === 2;
        await watching.until('a ready pod', (events) => events.some(isReady));

        const path = `${PODS}/p`;
        const told = { status: { message: 'Patched by a test', reason: 'Test' } };
        const patch = { method: 'PATCH', type: STRATEGIC };
        const patched = await api.ok(`${path}/status`, { ...patch, body: told });
        assert.equal(
          [patched.status.message, patched.status.reason],
          ['Patched by a test', 'Test'],
        );
        assert.is(patched.status.phase, 'Running');
        const unready = await replaced(api, `${path}/status`, (object) => {
          const conditions = object.status.conditions.map((condition: Json) =>
            /Ready$/.test(condition.type) ? { ...condition, status: 'False' } : condition,
          );
          return { ...object, status: { ...object.status, conditions } };
        });
        const falseOnes = unready.status.conditions.filter(
          ({ status }: Json) => status === 'False',
        );
        assert.equal(falseOnes.map(({ type }: Json) => type).sort(), ['ContainersReady', 'Ready']);

        for (const protocol of ['binary.k8s.io', 'base64.binary.k8s.io']) {
          await cluster.until('its line', async () => {
            const text = await overWebSocket(api, `${path}/log?container=c`, protocol);
            const decoded = protocol.startsWith('base64') ? Buffer.from(text, 'base64') : text;
            return decoded.toString() === 'container is alive\n';
          });
        }

        const seen = watching.events.length;
        const containers = [{ name: 'c', image: OTHER_IMAGE }];
        const labels = { more: 'patched' };
        await api.ok(path, { ...patch, body: { metadata: { labels }, spec: { containers } } });
        await watching.until('the change', (events) =>
          events.slice(seen).some(({ type }) => type === 'MODIFIED'),
        );
        const now = await api.ok(path);
        assert.equal(now.metadata.labels, { kind: 'static', more: 'patched' });
        assert.is(now.spec.containers[0].image, OTHER_IMAGE);
        const options = { method: 'DELETE', body: { gracePeriodSeconds: 1 } };
        await api.ok(`${PODS}?${selector}`, options);
        await watching.until('its end', (events) => events.at(-1)?.type === 'DELETED');
        await api.ok(path, { code: 404 });
        watching.stop();
      } finally {
        await api.close();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'a node as an object: created, read, patched, listed, replaced, deleted',
    async () => {
      const cluster = await shared.get();
      const api = await rawApi(cluster.one);
      try {
        const path = '/api/v1/nodes/fake';
        const condition = { type: 'Ready', status: 'True', reason: 'Test', message: 'by a test' };
        const body = {
          metadata: { name: 'fake' },
          spec: { unschedulable: true },
          status: { phase: 'Running', conditions: [condition] },
        };
        const made = await api.ok('/api/v1/nodes', { method: 'POST', body });
        assert.is(made.status.phase, 'Running');
        assert.is((await api.ok(path)).metadata.uid, made.metadata.uid);
        const labels = { fake: 'patched' };
        const patch = { method: 'PATCH', type: STRATEGIC, body: { metadata: { labels } } };
        const patched = await api.ok(path, patch);
        assert.is(patched.metadata.labels.fake, 'patched');
        const [before, after] = [made, patched].map(({ metadata }) => metadata.resourceVersion);
        assert.ok(Number(after) > Number(before));
        const { items } = await api.ok('/api/v1/nodes?labelSelector=fake%3Dpatched');
        assert.equal(
          items.map(({ metadata }: Json) => metadata.name),
          ['fake'],
        );
        const updated = await replaced(api, path, ({ metadata, ...rest }) => ({
          ...rest,
          metadata: { ...metadata, labels: { ...metadata.labels, fake: 'updated' } },
        }));
        assert.is(updated.metadata.labels.fake, 'updated');
        await api.ok(path, { method: 'DELETE' });
        await api.ok(path, { code: 404 });
      } finally {
        await api.close();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'each change of a pod’s spec is a generation, and nothing else is; a deletion is one, too',
    async () => {
      const cluster = await shared.get();
      const api = await rawApi(cluster.one);
      try {
        const path = `${PODS}/counted`;
        const init = { name: 'i', image: BUSYBOX, command: ['true'] };
        const made = pod('counted', { initContainers: [init], terminationGracePeriodSeconds: 1 });
        const body = { ...made, metadata: { ...made.metadata, generation: 100 } };
        const created = await api.ok(PODS, { method: 'POST', body });
        assert.is(created.metadata.generation, 1);
        await ready(cluster, 'counted');
        const key = 'own';
        const own = { key, operator: 'Equal', value: 'bar', effect: 'NoSchedule' };
        const image = (list: Json) => [{ ...list[0], image: OTHER_IMAGE }];
        let expected = 1;
        for (const [what, change, isOne] of [
          ['nothing', {}, 0],
          ['tolerations', { tolerations: [own] }, 1],
          ['a deadline', { activeDeadlineSeconds: 5_000 }, 1],
          ['an image', ({ containers }: Json) => ({ containers: image(containers) }), 1],
          ['an init image', (spec: Json) => ({ initContainers: image(spec.initContainers) }), 1],
        ] as const) {
          const next = ({ spec, ...rest }: Json) => ({
            ...rest,
            spec: { ...spec, ...(typeof change === 'function' ? change(spec) : change) },
          });
          expected += isOne;
          const { metadata } = await replaced(api, path, next);
          assert.is(metadata.generation, expected, what);
          await eventually(
            `generation ${expected}`,
            async () => (await api.ok(path)).status.observedGeneration === expected,
            () => what,
          );
        }
        for (const metadata of [{ annotations: { key: 'value' } }, { generation: 1 }]) {
          const next = (last: Json) => ({ ...last, metadata: { ...last.metadata, ...metadata } });
          const { metadata: after } = await replaced(api, path, next);
          assert.is(after.generation, expected, JSON.stringify(metadata));
        }
        const deleted = await api.ok(`${path}?gracePeriodSeconds=60`, { method: 'DELETE' });
        assert.is(deleted.metadata.generation, expected + 1);
        await cluster.kubectl('delete', 'pod', 'counted', '--now', '--ignore-not-found');
      } finally {
        await api.close();
      }
    },
    TIMEOUT_MS,
  );

  test(
    '500 changes of a pod are 500 generations, and its node observes the last one',
    async () => {
      const cluster = await shared.get();
      const api = await rawApi(cluster.one);
      try {
        const path = `${PODS}/often`;
        const body = pod('often', { activeDeadlineSeconds: 5_000 });
        await api.ok(PODS, { method: 'POST', body });
        await ready(cluster, 'often');
        let last: Json = await api.ok(path);
        for (let change = 1; change < GENERATIONS; change += 1) {
          const activeDeadlineSeconds = 5_000 - change;
          const next = ({ spec, ...rest }: Json) => ({
            ...rest,
            spec: { ...spec, activeDeadlineSeconds },
          });
          last = await replaced(api, path, next, last);
        }
        await eventually(
          'the last generation',
          async () => {
            last = await api.ok(path);
            return last.status.observedGeneration === GENERATIONS;
          },
          () => last,
        );
        assert.is(last.metadata.generation, GENERATIONS);
        assert.is(last.status.containerStatuses[0].restartCount, 0);
        await cluster.kubectl('delete', 'pod', 'often');
      } finally {
        await api.close();
      }
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
