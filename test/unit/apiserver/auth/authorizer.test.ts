/** Who may do what with the default policy, own roles, and as a node. */

import * as assert from 'uvu/assert';
import type { ClusterRole, Pod } from '../../../../pkg/api/generated/types.ts';
import { createAuthorizer } from '../../../../pkg/apiserver/auth/authorizer.ts';
import { reconcileBootstrapPolicy } from '../../../../pkg/apiserver/auth/bootstrap/reconcile.ts';
import { uncovered } from '../../../../pkg/apiserver/auth/rules.ts';
import type { Attributes, User } from '../../../../pkg/apiserver/contract.ts';
import { suite } from '../../../harness/suite.ts';
import { memoryRegistry } from '../memory-registry.ts';

const RBAC = 'rbac.authorization.k8s.io';

function ask(user: User, verb: string, what: string, more: Partial<Attributes> = {}): Attributes {
  const isResource = !what.startsWith('/');
  const [resource = '', subresource = ''] = isResource ? what.split('/') : [];
  return {
    user,
    verb,
    isResource,
    resource,
    subresource,
    group: '',
    version: 'v1',
    namespace: '',
    name: '',
    path: isResource ? '' : what,
    ...more,
  };
}

const alice: User = { name: 'alice', groups: ['system:authenticated'] };
const nobody: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
const admin: User = { name: 'root', groups: ['system:masters'] };
const node: User = { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] };

suite('apiserver/auth/authorizer', ({ test }) => {
  async function cluster() {
    const registry = memoryRegistry();
    await reconcileBootstrapPolicy(registry);
    const authorizer = createAuthorizer(registry);
    const may = (...asked: Parameters<typeof ask>) => authorizer.authorize(ask(...asked)).isAllowed;
    const bind = async (kind: 'ClusterRole' | 'Role', role: string, namespace?: string) => {
      await registry.create(namespace ? 'rolebindings' : 'clusterrolebindings', {
        apiVersion: `${RBAC}/v1`,
        kind: namespace ? 'RoleBinding' : 'ClusterRoleBinding',
        metadata: { name: `alice-${role}`, ...(namespace ? { namespace } : {}) },
        roleRef: { kind, name: role },
        subjects: [{ kind: 'User', name: 'alice' }],
      } as never);
      authorizer.rbac.invalidate();
    };
    return { registry, authorizer, may, bind };
  }

  test('default policy: masters all, users discovery, nobody little', async () => {
    const { may } = await cluster();
    assert.ok(may(admin, 'delete', 'nodes'));
    assert.ok(may(alice, 'get', '/apis'));
    assert.ok(may(alice, 'create', 'selfsubjectaccessreviews', { group: 'authorization.k8s.io' }));
    assert.not(may(alice, 'list', 'pods', { namespace: 'default' }));
    assert.ok(may(nobody, 'get', '/healthz'));
    assert.not(may(nobody, 'get', '/apis'));
    assert.not(may(nobody, 'get', '/metrics'));
  });

  test('a second reconcile writes nothing', async () => {
    const { registry } = await cluster();
    const before = registry.writes();
    await reconcileBootstrapPolicy(registry);
    assert.is(registry.writes(), before);
  });

  test('reconcile puts back what is missing and keeps what was added', async () => {
    const { registry, may } = await cluster();
    const own = { verbs: ['get'], nonResourceURLs: ['/own'] };
    await registry.modify<ClusterRole>('clusterroles', { name: 'system:discovery' }, (role) => ({
      ...role,
      rules: [own],
    }));
    await reconcileBootstrapPolicy(registry);
    assert.ok(may(alice, 'get', '/apis'));
    assert.ok(may(alice, 'get', '/own'));
  });

  test('edit in a namespace holds there only; view is part of it, admin is not', async () => {
    const { may, bind } = await cluster();
    await bind('ClusterRole', 'edit', 'team');
    const there = { namespace: 'team' };
    assert.ok(may(alice, 'create', 'deployments', { ...there, group: 'apps' }));
    assert.ok(may(alice, 'get', 'pods/log', there));
    assert.ok(may(alice, 'create', 'pods/exec', there));
    assert.not(may(alice, 'create', 'rolebindings', { ...there, group: RBAC }));
    assert.not(may(alice, 'get', 'pods', { namespace: 'default' }));
    assert.not(may(alice, 'list', 'nodes'));
  });

  test('view does not read secrets', async () => {
    const { may, bind } = await cluster();
    await bind('ClusterRole', 'view');
    assert.ok(may(alice, 'list', 'pods'));
    assert.not(may(alice, 'get', 'secrets', { namespace: 'default', name: 'x' }));
  });

  test('resourceNames and subresource wildcards', async () => {
    const { registry, may, bind } = await cluster();
    await registry.create('clusterroles', {
      apiVersion: `${RBAC}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'own' },
      rules: [
        { apiGroups: [''], resources: ['configmaps'], resourceNames: ['a'], verbs: ['get'] },
        { apiGroups: ['*'], resources: ['*/scale'], verbs: ['update'] },
      ],
    } as never);
    await bind('ClusterRole', 'own');
    assert.ok(may(alice, 'get', 'configmaps', { name: 'a' }));
    assert.not(may(alice, 'get', 'configmaps', { name: 'b' }));
    assert.not(may(alice, 'list', 'configmaps'));
    assert.ok(may(alice, 'update', 'deployments/scale', { group: 'apps' }));
    assert.not(may(alice, 'update', 'deployments', { group: 'apps' }));
  });

  test('a new role aggregates into view', async () => {
    const { registry, may, bind } = await cluster();
    await bind('ClusterRole', 'view');
    const widgets = { group: 'example.com' };
    assert.not(may(alice, 'get', 'widgets', widgets));
    await registry.create('clusterroles', {
      apiVersion: `${RBAC}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'w', labels: { [`${RBAC}/aggregate-to-view`]: 'true' } },
      rules: [{ apiGroups: ['example.com'], resources: ['widgets'], verbs: ['get'] }],
    } as never);
    await reconcileBootstrapPolicy(registry);
    const fresh = createAuthorizer(registry);
    assert.ok(fresh.authorize(ask(alice, 'get', 'widgets', widgets)).isAllowed);
  });

  test('a node reads only what its pods refer to', async () => {
    const { registry, may, authorizer } = await cluster();
    await registry.create<Pod>('pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'default' },
      spec: {
        nodeName: 'a',
        serviceAccountName: 'builder',
        containers: [{ name: 'c', envFrom: [{ configMapRef: { name: 'env' } }] }],
        volumes: [{ name: 'v', secret: { secretName: 's' } }],
      },
    });
    const here = { namespace: 'default' };
    assert.ok(may(node, 'get', 'secrets', { ...here, name: 's' }));
    assert.ok(may(node, 'watch', 'configmaps', { ...here, name: 'env' }));
    assert.ok(may(node, 'create', 'serviceaccounts/token', { ...here, name: 'builder' }));
    assert.not(may(node, 'get', 'secrets', { ...here, name: 'other' }));
    assert.not(may(node, 'list', 'secrets', here));
    assert.not(may(node, 'create', 'serviceaccounts/token', { ...here, name: 'default' }));
    const other: User = { ...node, name: 'system:node:b' };
    assert.ok(may(node, 'list', 'pods', { fieldSelector: 'spec.nodeName=a,status.phase!=Failed' }));
    assert.not(may(node, 'list', 'pods'));
    assert.not(may(node, 'watch', 'pods', { fieldSelector: 'spec.nodeName=b' }));
    assert.not(may(node, 'list', 'pods', { fieldSelector: 'spec.nodeName!=a' }));
    assert.ok(may(node, 'get', 'pods', { ...here, name: 'p' }));
    assert.not(may(other, 'get', 'pods', { ...here, name: 'p' }));
    const refused = authorizer.authorize(ask(other, 'get', 'secrets', { ...here, name: 's' }));
    assert.not(refused.isAllowed);
    assert.match(refused.reason, /no relationship found/);
    assert.ok(
      may(node, 'update', 'leases', {
        group: 'coordination.k8s.io',
        namespace: 'kube-node-lease',
        name: 'a',
      }),
    );
    assert.not(
      may(node, 'update', 'leases', {
        group: 'coordination.k8s.io',
        namespace: 'kube-node-lease',
        name: 'b',
      }),
    );
  });

  test('a node sees and changes only volumes that it has made', async () => {
    const { registry, may } = await cluster();
    for (const name of ['a', 'b']) {
      await registry.create('persistentvolumes', {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: `of-${name}`, labels: { 'mini/node': name } },
        spec: {},
      } as never);
    }
    assert.ok(may(node, 'list', 'persistentvolumes', { labelSelector: 'mini/node=a' }));
    assert.not(may(node, 'watch', 'persistentvolumes', { labelSelector: 'mini/node=b' }));
    assert.not(may(node, 'list', 'persistentvolumes'));
    for (const verb of ['get', 'patch', 'delete']) {
      assert.ok(may(node, verb, 'persistentvolumes', { name: 'of-a' }));
      assert.not(may(node, verb, 'persistentvolumes', { name: 'of-b' }));
    }
    assert.not(may(node, 'patch', 'persistentvolumes/status', { name: 'of-a' }));
    assert.not(may(node, 'create', 'persistentvolumes'));
  });

  test('covering: what a user holds covers parts of it and nothing more', () => {
    const all = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];
    const pods = [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }];
    assert.equal(uncovered(all, pods), []);
    assert.is(uncovered(pods, all).length, 1);
    assert.equal(uncovered(pods, [{ ...pods[0], verbs: ['get', 'delete'] }]), [
      { apiGroups: [''], resources: ['pods'], verbs: ['delete'] },
    ]);
    assert.equal(
      uncovered(pods, [
        { apiGroups: [''], resources: ['pods'], resourceNames: ['x'], verbs: ['get'] },
      ]),
      [],
    );
    assert.is(uncovered([{ ...pods[0], verbs: ['get'], resourceNames: ['x'] }], pods).length, 2);
  });
});
