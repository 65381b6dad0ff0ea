/** kubectl and nodes: cordon, drain, taints, labels, placement and its reasons. */

import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 90_000;

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

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
