/** The plug-ins behind a real API server over the in-memory store: what they complete, and what they refuse. */

import * as assert from 'uvu/assert';
import type { Pod, ResourceQuota, Service } from '../../../../pkg/api/generated/types.ts';
import { createAdmissions } from '../../../../pkg/apiserver/admission/admissions.ts';
import { followQuotas } from '../../../../pkg/apiserver/admission/follow-quotas.ts';
import {
  type AuthorizerWithRbac,
  createAuthorizer,
} from '../../../../pkg/apiserver/auth/authorizer.ts';
import { bootstrapCluster } from '../../../../pkg/apiserver/auth/bootstrap/cluster.ts';
import { followRbac } from '../../../../pkg/apiserver/auth/follow-rbac.ts';
import type { Authorizer, User } from '../../../../pkg/apiserver/contract.ts';
import { silent } from '../../../../pkg/log/log.ts';
import { type Ask, startApiServer } from '../../../harness/api-server.ts';
import { suite } from '../../../harness/suite.ts';

const node: User = { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] };

suite('apiserver/admission', ({ test, cleanup }) => {
  async function cluster() {
    let real: AuthorizerWithRbac | undefined;
    const authorizer: Authorizer = {
      authorize: (attributes) => real?.authorize(attributes) ?? { isAllowed: true, reason: '' },
    };
    const rbac = {
      authorize: authorizer.authorize,
      invalidate: () => real?.rbac.invalidate(),
      rulesFor: (...asked: Parameters<AuthorizerWithRbac['rbac']['rulesFor']>) =>
        real?.rbac.rulesFor(...asked) ?? [],
    };
    const now = () => Date.now();
    const admissions = createAdmissions({ authorizer, rbac, serviceCidrs: ['10.43.0.0/16'], now });
    const started = await startApiServer({ authorizer, admissions });
    const { registry, store } = started;
    real = createAuthorizer(registry);
    await bootstrapCluster({
      registry,
      serviceCidr: '10.43.0.0/16',
      addresses: ['192.0.2.1'],
      port: 6443,
    });
    const abort = new AbortController();
    const following = followRbac({
      store,
      registry,
      rbac: real.rbac,
      log: silent,
      signal: abort.signal,
    });
    await registry.create('serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: 'default' },
    });
    cleanup(async () => {
      abort.abort(new Error('test over'));
      await following;
      await started.close();
    });
    /** The created object, or the message of the refusal. */
    const post = async <T>(path: string, body: object, ask: Ask = {}): Promise<T & string> => {
      const answer = await started.ask(path, { method: 'POST', body, ...ask });
      assert.ok(answer.kind === 'object');
      if (answer.status === 201) return answer.body as T & string;
      return String('message' in answer.body && answer.body.message) as T & string;
    };
    const pod = (spec: Partial<Pod['spec']> = {}, name = 'p') =>
      post<Pod>('/api/v1/namespaces/default/pods', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name },
        spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
      });
    const service = (name: string, spec: Partial<Service['spec']> = {}) =>
      post<Service>('/api/v1/namespaces/default/services', {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name },
        spec: { ports: [{ port: 80 }], ...spec },
      });
    return { ...started, post, pod, service };
  }

  test('the cluster starts with its namespaces, classes and the kubernetes service', async () => {
    const { registry, object } = await cluster();
    const [names, service, slice] = [
      registry.list('namespaces').items.map(({ metadata }) => metadata.name),
      await object('/api/v1/namespaces/default/services/kubernetes').catch((error) => error),
      registry.get('endpointslices', { namespace: 'default', name: 'kubernetes' }),
    ];
    for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease'])
      assert.ok(names.includes(name));
    assert.match(
      JSON.stringify(registry.get('services', { namespace: 'default', name: 'kubernetes' })),
      '10.43.0.1',
    );
    assert.match(JSON.stringify(slice), '192.0.2.1');
    assert.ok(service);
  });

  test('a pod gets its account, token volume, tolerations and priority', async () => {
    const { pod, object } = await cluster();
    const { metadata, spec } = await pod({ priorityClassName: 'system-node-critical' });
    assert.is(spec.serviceAccountName, 'default');
    assert.match(spec.volumes?.[0]?.name ?? '', /^kube-api-access-\w{5}$/);
    assert.is(
      spec.containers[0]?.volumeMounts?.[0]?.mountPath,
      '/var/run/secrets/kubernetes.io/serviceaccount',
    );
    assert.is(spec.priority, 2_000_001_000);
    assert.equal(
      spec.tolerations?.map(({ key, tolerationSeconds }) => [key, tolerationSeconds]),
      [
        ['node.kubernetes.io/not-ready', 300],
        ['node.kubernetes.io/unreachable', 300],
      ],
    );
    // Who replaces the list keeps them, so that it only grows.
    const own = { key: 'own', operator: 'Equal', value: 'v', effect: 'NoSchedule' };
    const path = `/api/v1/namespaces/default/pods/${metadata.name}`;
    const current = (await object(path)) as unknown as Pod;
    const body = { ...current, spec: { ...current.spec, tolerations: [own] } };
    const after = (await object(path, { method: 'PUT', body })) as unknown as Pod;
    assert.equal(
      after.spec.tolerations?.map(({ key }) => key),
      ['own', 'node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'],
    );
  });

  test('a pod that refers to what is not there is refused', async () => {
    const { pod } = await cluster();
    assert.match(
      await pod({ serviceAccountName: 'x' }),
      /error looking up service account default\/x/,
    );
    assert.match(await pod({ priorityClassName: 'x' }), /no PriorityClass with name x/);
    assert.match(await pod({ runtimeClassName: 'x' }), /RuntimeClass "x" not found/);
    assert.is((await pod({ automountServiceAccountToken: false })).spec.volumes?.length ?? 0, 0);
  });

  test('a pod takes overhead and scheduling from its RuntimeClass, and may not contradict it', async () => {
    const { pod, post, ask } = await cluster();
    const classes = '/apis/node.k8s.io/v1/runtimeclasses';
    const made = (name: string, more: object) =>
      post(classes, {
        apiVersion: 'node.k8s.io/v1',
        kind: 'RuntimeClass',
        metadata: { name },
        handler: 'other',
        ...more,
      });
    const podFixed = { cpu: '10m', memory: '1Mi' };
    const tolerations = [
      { key: 'a', operator: 'Exists' },
      { key: 'b', operator: 'Equal', value: 'c', effect: 'NoSchedule' },
    ];
    await made('plain', {});
    await made('whole', {
      overhead: { podFixed },
      scheduling: { nodeSelector: { disk: 'ssd' }, tolerations },
    });
    const plain = await pod({ runtimeClassName: 'plain' }, 'plain');
    assert.is(plain.spec.overhead, undefined);
    const own = [
      { key: 'a', operator: 'Equal', value: 'x' },
      { key: 'b', value: 'c', effect: 'NoSchedule' },
    ];
    const { spec } = await pod(
      { runtimeClassName: 'whole', nodeSelector: { zone: '1' }, tolerations: own },
      'whole',
    );
    assert.equal(spec.overhead, podFixed);
    assert.equal(spec.nodeSelector, { zone: '1', disk: 'ssd' });
    const keys = spec.tolerations?.map(({ key, operator }) => `${key} ${operator ?? 'Equal'}`);
    assert.equal(keys?.filter((key) => !key.startsWith('node.')).sort(), ['a Exists', 'b Equal']);
    const same = { cpu: '0.010', memory: '1024Ki' };
    const equal = await pod({ runtimeClassName: 'whole', overhead: same }, 'equal');
    assert.is(equal.spec.runtimeClassName, 'whole');
    for (const [asked, why] of [
      [
        { runtimeClassName: 'whole', overhead: { cpu: '10m' } },
        "pods \"q\" is forbidden: pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
      ],
      [
        { runtimeClassName: 'plain', overhead: podFixed },
        'pods "q" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
      ],
      [
        { overhead: podFixed },
        'pods "q" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
      ],
      [
        { runtimeClassName: 'whole', nodeSelector: { disk: 'hdd' } },
        'pods "q" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[disk] = ssd; pod.spec.nodeSelector[disk] = hdd',
      ],
    ] as const)
      assert.is(await pod(asked, 'q'), why);
    await ask(`${classes}/plain`, { method: 'DELETE' });
    assert.is(
      await pod({ runtimeClassName: 'plain' }, 'q'),
      'pods "q" is forbidden: pod rejected: RuntimeClass "plain" not found',
    );
  });

  test('namespaces: absent, ending and protected ones', async () => {
    const { post, registry, ask } = await cluster();
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm' } };
    assert.match(
      await post('/api/v1/namespaces/none/configmaps', map),
      /namespaces "none" not found/,
    );
    const namespace = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'going', finalizers: ['x/y'] },
    };
    await post('/api/v1/namespaces', namespace);
    await ask('/api/v1/namespaces/going', { method: 'DELETE' });
    assert.ok(registry.get('namespaces', { name: 'going' }));
    assert.match(
      await post('/api/v1/namespaces/going/configmaps', map),
      /because it is being terminated/,
    );
    const refused = await ask('/api/v1/namespaces/kube-system', { method: 'DELETE' });
    assert.ok(refused.kind === 'object' && refused.status === 403);
  });

  test('services get addresses and node ports, each its own', async () => {
    const { service } = await cluster();
    const made = await Promise.all(
      Array.from({ length: 50 }, (_, index) => service(`s${index}`, { type: 'NodePort' })),
    );
    const ips = new Set(made.map(({ spec }) => spec.clusterIP));
    assert.is(ips.size, 50);
    assert.not(ips.has('10.43.0.1'));
    assert.is(new Set(made.map(({ spec }) => spec.ports?.[0]?.nodePort)).size, 50);
    assert.equal(made[0]?.spec.ipFamilies, ['IPv4']);
    const [taken = ''] = ips;
    assert.match(await service('again', { clusterIP: taken }), /provided IP is already allocated/);
    assert.match(await service('far', { clusterIP: '192.0.2.9' }), /not in the valid range/);
    assert.match(
      await service('low', { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] }),
      /valid ports is 30000-32767/,
    );
    assert.is((await service('none', { clusterIP: 'None' })).spec.clusterIP, 'None');
    assert.is((await service('dns', { clusterIP: '10.43.0.10' })).spec.clusterIP, '10.43.0.10');
    assert.is(
      (await service('ext', { type: 'ExternalName', externalName: 'x.example' })).spec.clusterIP,
      undefined,
    );
  });

  test('a service keeps its address and ports when it is replaced without them', async () => {
    const { service, ask } = await cluster();
    const { metadata, spec } = await service('s', { type: 'NodePort' });
    const body = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { type: 'NodePort', ports: [{ port: 80 }] },
    };
    const answer = await ask('/api/v1/namespaces/default/services/s', { method: 'PUT', body });
    assert.ok(answer.kind === 'object' && answer.status === 200, JSON.stringify(answer));
    const kept = (answer.body as Service).spec;
    assert.is(kept.clusterIP, spec.clusterIP);
    assert.is(kept.ports?.[0]?.nodePort, spec.ports?.[0]?.nodePort);
  });

  test('a limit range completes and bounds containers', async () => {
    const { post, pod } = await cluster();
    await post('/api/v1/namespaces/default/limitranges', {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'l' },
      spec: {
        limits: [
          {
            type: 'Container',
            default: { cpu: '500m' },
            defaultRequest: { cpu: '100m' },
            max: { cpu: '1' },
          },
        ],
      },
    });
    const { spec } = await pod();
    assert.equal(spec.containers[0]?.resources, {
      limits: { cpu: '500m' },
      requests: { cpu: '100m' },
    });
    const big = { containers: [{ name: 'c', image: 'i', resources: { limits: { cpu: '2' } } }] };
    assert.match(await pod(big, 'big'), /maximum cpu usage per Container is 1, but limit is 2/);
  });

  test('limit ranges and quotas hold for a resize, too', async () => {
    const { post, pod, ask } = await cluster();
    await post('/api/v1/namespaces/default/limitranges', {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'l' },
      spec: { limits: [{ type: 'Container', max: { cpu: '1' } }] },
    });
    await post('/api/v1/namespaces/default/resourcequotas', {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'q' },
      spec: { hard: { 'requests.cpu': '600m' } },
    });
    const sized = (cpu: string) => ({ requests: { cpu }, limits: { cpu: '900m' } });
    await pod({ containers: [{ name: 'c', image: 'i', resources: sized('200m') }] }, 'p');
    const resize = async (resources: object) => {
      const answer = await ask('/api/v1/namespaces/default/pods/p/resize', {
        method: 'PATCH',
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
        body: { spec: { containers: [{ name: 'c', resources }] } },
      });
      const body = answer.kind === 'object' ? answer.body : undefined;
      return JSON.stringify(body);
    };
    assert.match(
      await resize({ limits: { cpu: '2' } }),
      'maximum cpu usage per Container is 1, but limit is 2',
    );
    assert.match(
      await resize(sized('700m')),
      'exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=200m, limited: requests.cpu=600m',
    );
    assert.match(await resize(sized('600m')), '"requests":{"cpu":"600m"}');
  });

  test('a quota holds even when many are created at once', async () => {
    const { post, pod } = await cluster();
    await post('/api/v1/namespaces/default/resourcequotas', {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'q' },
      spec: { hard: { pods: '3', 'requests.cpu': '1', 'count/configmaps': '1' } },
    });
    assert.match(await pod(), /failed quota: q: must specify requests.cpu for: c/);
    const containers = [{ name: 'c', image: 'i', resources: { requests: { cpu: '100m' } } }];
    const made = await Promise.all(
      Array.from({ length: 6 }, (_, index) => pod({ containers }, `p${index}`)),
    );
    const refused = made.filter((answer) => typeof answer === 'string');
    assert.is(refused.length, 3);
    assert.match(
      String(refused[0]),
      'exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3',
    );
    const map = (name: string) =>
      post('/api/v1/namespaces/default/configmaps', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name },
      });
    await map('one');
    assert.match(await map('two'), /exceeded quota/);
  });

  test('the status of a quota follows creates and deletes', async () => {
    const { post, ask, registry, store } = await cluster();
    const abort = new AbortController();
    const following = followQuotas({ store, registry, log: silent, signal: abort.signal });
    cleanup(async () => {
      abort.abort(new Error('test over'));
      await following;
    });
    const used = async (count: string) => {
      while (true) {
        const quota = registry.get<ResourceQuota>('resourcequotas', {
          namespace: 'default',
          name: 'q',
        });
        if (quota?.status?.used?.['count/configmaps'] === count) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    await post('/api/v1/namespaces/default/resourcequotas', {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'q' },
      spec: { hard: { 'count/configmaps': '5' } },
    });
    await used('0');
    await post('/api/v1/namespaces/default/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'm' },
    });
    await used('1');
    await ask('/api/v1/namespaces/default/configmaps/m', { method: 'DELETE' });
    await used('0');
  });

  test('a claim gets the default storage class', async () => {
    const { post } = await cluster();
    await post('/apis/storage.k8s.io/v1/storageclasses', {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: {
        name: 'local',
        annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
      },
      provisioner: 'mini/local',
    });
    const claim = await post('/api/v1/namespaces/default/persistentvolumeclaims', {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'c' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    });
    assert.match(JSON.stringify(claim), '"storageClassName":"local"');
  });

  test('a node writes about itself only', async () => {
    const { post } = await cluster();
    const make = (name: string, labels = {}) =>
      post(
        '/api/v1/nodes',
        { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } },
        { user: node },
      );
    assert.match(await make('b'), /not allowed to modify node "b"/);
    assert.match(
      await make('a', { 'node-restriction.kubernetes.io/x': 'y' }),
      /not allowed to modify labels/,
    );
    assert.type(await make('a'), 'object');
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    };
    assert.match(
      await post('/api/v1/namespaces/default/pods', pod, { user: node }),
      /can only create mirror pods/,
    );
  });

  test('a node notes sizes on volumes that it has made, and changes nothing else of them', async () => {
    const { ask, post } = await cluster();
    const path = '/api/v1/persistentvolumes';
    await post(path, {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'v', labels: { 'mini/node': 'a' } },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        hostPath: { path: '/v' },
      },
    });
    const change = async (body: object) => {
      const headers = { 'content-type': 'application/merge-patch+json' };
      const answer = await ask(`${path}/v`, { method: 'PATCH', body, headers, user: node });
      return answer.kind === 'object' || answer.kind === 'bytes' ? answer.status : 0;
    };
    assert.is(await change({ metadata: { annotations: { 'mini/bytes': '1' } } }), 200);
    assert.is(await change({ spec: { capacity: { storage: '2Gi' } } }), 403);
    assert.is(await change({ metadata: { labels: { 'mini/node': 'b' } } }), 403);
  });

  test('a user without rights is refused, and let in as soon as a binding says so', async () => {
    const { ask, post } = await cluster();
    const eve: User = { name: 'eve', groups: ['system:authenticated'] };
    const status = async () => {
      const answer = await ask('/api/v1/namespaces/default/pods', { user: eve });
      return answer.kind === 'object' ? answer.status : 200;
    };
    assert.is(await status(), 403);
    await post('/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'eve' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'eve' }],
    });
    assert.is(await status(), 200);
  });
});
