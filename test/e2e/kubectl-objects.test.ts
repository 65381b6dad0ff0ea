/** kubectl and objects: create, get, apply, edit, patch, explain, access, quotas, deletion; and what is refused how. */

import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 90_000;

function configMap(name: string, data: object, metadata: object = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}

/** kubectl with an object on its standard input. */
function given(cluster: Cluster, object: object, ...args: readonly string[]) {
  return cluster.try([...args, '-f', '-'], { input: JSON.stringify(object) });
}

suite('e2e/kubectl-objects', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(1));

  test(
    'get in every form, selectors, labels, annotations, patches, edit, diff',
    async () => {
      const cluster = await shared.get();
      await cluster.kubectl('create', 'configmap', 'b', '--from-literal=k=2');
      await cluster.kubectl('create', 'configmap', 'a', '--from-literal=k=1');
      await cluster.refused(/configmaps "a" already exists/, 'create', 'configmap', 'a');
      await cluster.kubectl('label', 'configmap', 'a', 'b', 'tier=web');
      const get = (...args: readonly string[]) =>
        cluster.kubectl('get', 'cm', '-l', 'tier in (web),x!=y', ...args);
      assert.is(await get('-o', 'name'), 'configmap/a\nconfigmap/b\n');
      assert.is(await get('-o', 'name', '--chunk-size=1'), 'configmap/a\nconfigmap/b\n');
      assert.is(await get('-o', 'jsonpath={.items[*].data.k}'), '1 2');
      assert.is(await get('-o', 'go-template={{range .items}}{{.metadata.name}};{{end}}'), 'a;b;');
      assert.is(
        await get(
          '-o',
          'custom-columns=N:.metadata.name',
          '--no-headers',
          '--field-selector=metadata.name=b',
        ),
        'b\n',
      );
      assert.match(await get('-L', 'tier'), /^NAME +DATA +AGE +TIER\na +1 +\d+s +web\nb /);
      assert.match(await get('-o', 'yaml'), /\n {2}data:\n {4}k: "1"\n {2}kind: ConfigMap\n/);
      assert.match(
        await cluster.kubectl('describe', 'cm', 'a'),
        /Name: +a\n[\s\S]*\nk:\n----\n1\n/,
      );

      await cluster.kubectl('patch', 'cm', 'a', '-p', '{"data":{"more":"3"}}');
      await cluster.kubectl(
        'patch',
        'cm',
        'a',
        '--type=json',
        '-p',
        '[{"op":"remove","path":"/data/more"}]',
      );
      await cluster.refused(
        /the server rejected our request due to an error in our request/,
        'patch',
        'cm',
        'a',
        '--type=json',
        '-p',
        '[{"op":"replace","path":"/data/none","value":"1"}]',
      );
      const edited = await cluster.one.run([...cluster.program, 'edit', 'cm', 'a'], {
        env: { EDITOR: 'sed -i s/k:.*/k:\\ edited/' },
      });
      assert.match(edited.stdout, /configmap\/a edited/);
      assert.is(
        await cluster.kubectl('get', 'cm', 'a', '-o', 'jsonpath={.data}'),
        '{"k":"edited"}',
      );
      const differs = await given(cluster, configMap('a', { k: 'other' }), 'diff');
      assert.is(differs.code, 1);
      assert.match(differs.stdout, /- {2}k: edited\n\+ {2}k: other/);
      await cluster.kubectl('annotate', 'cm', 'a', 'note=hi there');
      assert.is(
        await cluster.kubectl('get', 'cm', 'a', '-o', 'jsonpath={.metadata.annotations.note}'),
        'hi there',
      );
    },
    TIMEOUT_MS,
  );

  test(
    'what is wrong is refused as kubectl users know it',
    async () => {
      const cluster = await shared.get();
      const refusals: readonly (readonly [RegExp, string])[] = [
        [/^Error from server \(NotFound\): pods "nope" not found\n$/, 'get pod nope'],
        [/doesn't have a resource type "nosuch"/, 'get nosuch'],
        [
          /field selector "foo=bar": field label not supported: foo\n/,
          'get pods --field-selector=foo=bar',
        ],
        [/namespaces "none" not found/, 'create configmap x -n none'],
        [/a lowercase RFC 1123 label must consist of/, 'create namespace Bad_Name'],
        [/field "nofield" does not exist/, 'explain pod.spec.nofield'],
        [
          /"system:nobody" cannot list resource "secrets" in API group "" at the cluster scope/,
          'get secrets -A --as=system:nobody',
        ],
        [/this namespace may not be deleted/, 'delete namespace default'],
        [/timed out waiting for the condition/, 'wait --for=create pod/later --timeout=1s'],
      ];
      for (const [message, line] of refusals) await cluster.refused(message, ...line.split(' '));
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' } };
      const wrong: readonly (readonly [RegExp, object])[] = [
        [/The Pod "x" is invalid: spec\.containers: Required value/, { ...pod, spec: {} }],
        [
          /spec\.containers\[0\]\.name: Invalid value: "A b"/,
          { ...pod, spec: { containers: [{ name: 'A b', image: 'i' }] } },
        ],
        [
          /strict decoding error: unknown field "spec\.bogus"/,
          { ...pod, spec: { bogus: 1, containers: [{ name: 'a', image: 'i' }] } },
        ],
        [
          /spec\.replicas: Invalid value: -1: must be greater than or equal to 0/,
          {
            apiVersion: 'apps/v1',
            kind: 'Deployment',
            metadata: { name: 'd' },
            spec: {
              replicas: -1,
              selector: { matchLabels: { a: 'b' } },
              template: {
                metadata: { labels: { a: 'b' } },
                spec: { containers: [{ name: 'a', image: 'i' }] },
              },
            },
          },
        ],
      ];
      for (const [message, object] of wrong) {
        const { code, stderr } = await given(cluster, object, 'create');
        assert.ok(code !== 0 && message.test(stderr), `${message}: ${stderr}`);
      }
      assert.match(
        await cluster.kubectl('explain', 'deploy.spec.replicas'),
        /FIELD: replicas <integer>/,
      );
      assert.match(
        await cluster.kubectl('api-resources', '--api-group=apps'),
        /deployments +deploy +apps\/v1 +true +Deployment/,
      );
      assert.match(
        await cluster.kubectl('cluster-info'),
        /is running at .*https:\/\/127\.0\.0\.1:6443/,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'apply on both sides, conflicts between managers',
    async () => {
      const cluster = await shared.get();
      assert.match(
        (await given(cluster, configMap('c', { a: '1', b: '1' }), 'apply')).stdout,
        /configmap\/c created/,
      );
      assert.match(
        (await given(cluster, configMap('c', { a: '1', b: '1' }), 'apply')).stdout,
        /configmap\/c unchanged/,
      );
      assert.match(
        (await given(cluster, configMap('c', { a: '2' }), 'apply')).stdout,
        /configmap\/c configured/,
      );
      assert.is(await cluster.kubectl('get', 'cm', 'c', '-o', 'jsonpath={.data}'), '{"a":"2"}');

      const empty = { labels: {} };
      const serverSide = ['apply', '--server-side'];
      await given(cluster, configMap('s', { a: '1' }, empty), ...serverSide);
      const other = [...serverSide, '--field-manager=other'];
      const conflict = await given(cluster, configMap('s', { a: '2' }, empty), ...other);
      assert.match(
        conflict.stderr,
        /Apply failed with 1 conflict: conflict with "kubectl": \.data\.a/,
      );
      assert.is((await given(cluster, configMap('s', { b: '2' }, empty), ...other)).code, 0);
      assert.is(
        (await given(cluster, configMap('s', { a: '2', b: '2' }), ...other, '--force-conflicts'))
          .code,
        0,
      );
      assert.is(
        await cluster.kubectl('get', 'cm', 's', '-o', 'jsonpath={.data}'),
        '{"a":"2","b":"2"}',
      );
    },
    TIMEOUT_MS,
  );

  test(
    'access: roles, impersonation, tokens, inside a pod too',
    async () => {
      const cluster = await shared.get();
      await cluster.kubectl('create', 'serviceaccount', 'bob');
      await cluster.kubectl('create', 'role', 'reader', '--verb=get,list', '--resource=pods');
      await cluster.kubectl(
        'create',
        'rolebinding',
        'bob',
        '--role=reader',
        '--serviceaccount=default:bob',
      );
      const bob = '--as=system:serviceaccount:default:bob';
      assert.is(await cluster.kubectl('auth', 'can-i', 'list', 'pods', bob), 'yes\n');
      assert.is((await cluster.try(['auth', 'can-i', 'delete', 'pods', bob])).stdout, 'no\n');
      assert.match(
        await cluster.kubectl('auth', 'can-i', '--list', bob),
        /\npods +\[\] +\[\] +\[get list\]\n/,
      );
      await cluster.refused(
        /pods "x" is forbidden: User "system:serviceaccount:default:bob" cannot delete resource "pods"/,
        'delete',
        'pod',
        'x',
        bob,
      );
      const token = (await cluster.kubectl('create', 'token', 'bob')).trim();
      assert.match(
        await cluster.kubectl('auth', 'whoami', `--token=${token}`, '--user='),
        /Username/,
      );
      await cluster.refused(
        /may not specify a duration less than 10 minutes/,
        'create',
        'token',
        'bob',
        '--duration=10s',
      );

      const overrides = '{"spec":{"serviceAccountName":"bob","terminationGracePeriodSeconds":0}}';
      await cluster.kubectl(
        'run',
        'api',
        `--image=${BUSYBOX}`,
        `--overrides=${overrides}`,
        '--',
        'sleep',
        '1000',
      );
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/api', '--timeout=30s');
      const own = await cluster.kubectl(
        'exec',
        'api',
        '--',
        'cat',
        '/var/run/secrets/kubernetes.io/serviceaccount/token',
      );
      const ask = (path: string) =>
        cluster.one.ok([
          'curl',
          '-sk',
          '-m',
          '20',
          '-H',
          `Authorization: Bearer ${own}`,
          `https://${cluster.one.address}:6443/api/v1/namespaces/default/${path}`,
        ]);
      assert.match(await ask('pods'), /"kind":"PodList"/);
      assert.match(await ask('secrets'), /"reason":"Forbidden"/);
      await cluster.kubectl('delete', 'pod', 'api');
    },
    TIMEOUT_MS,
  );

  test(
    'quotas, limit ranges, finalizers, deletion of a namespace with content',
    async () => {
      const cluster = await shared.get();
      await cluster.kubectl('create', 'namespace', 'q');
      await cluster.kubectl('create', 'quota', 'few', '--hard=pods=1', '-n', 'q');
      const run = (name: string) => [
        'run',
        name,
        '-n',
        'q',
        `--image=${BUSYBOX}`,
        '--overrides={"spec":{"terminationGracePeriodSeconds":0}}',
        '--',
        'sleep',
        '1000',
      ];
      const limits = {
        limits: [{ type: 'Container', default: { memory: '64Mi' }, max: { memory: '1Gi' } }],
      };
      await given(
        cluster,
        {
          apiVersion: 'v1',
          kind: 'LimitRange',
          metadata: { name: 'lr', namespace: 'q' },
          spec: limits,
        },
        'apply',
      );
      await cluster.kubectl(...run('one'));
      await cluster.refused(
        /pods "two" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1/,
        ...run('two'),
      );
      assert.match(
        await cluster.kubectl(
          'get',
          'pod',
          'one',
          '-n',
          'q',
          '-o',
          'jsonpath={.spec.containers[0].resources}',
        ),
        /"limits":\{"memory":"64Mi"\}/,
      );

      await given(
        cluster,
        configMap('held', {}, { namespace: 'q', finalizers: ['example.com/hold'] }),
        'create',
      );
      await cluster.kubectl('delete', 'namespace', 'q', '--wait=false');
      await cluster.until('only the held object to be left', async () => {
        const conditions = await cluster.kubectl(
          'get',
          'ns',
          'q',
          '-o',
          'jsonpath={.status.conditions[*].message}',
        );
        return /example\.com\/hold in 1 resource instances/.test(conditions);
      });
      assert.match(await cluster.kubectl('get', 'ns', 'q', '--no-headers'), /^q +Terminating /);
      await cluster.refused(
        /because it is being terminated/,
        'create',
        'configmap',
        'late',
        '-n',
        'q',
      );
      await cluster.kubectl(
        'patch',
        'cm',
        'held',
        '-n',
        'q',
        '--type=merge',
        '-p',
        '{"metadata":{"finalizers":null}}',
      );
      await cluster.kubectl('wait', '--for=delete', 'ns/q', '--timeout=30s');
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
