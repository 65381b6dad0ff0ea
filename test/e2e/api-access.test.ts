/** Who may do what over the API of the built server: accounts, impersonation, certificates, the limits of a node. */

import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import {
  type Authority,
  issueCertificate,
  type Subject,
  spkiOf,
} from '../../pkg/pki/certificate.ts';
import { createAuthority, keyToPem, newKey } from '../../pkg/pki/key-pair.ts';
import { CONFIG_MAPS } from '../harness/api-host.ts';
import { Cluster } from '../harness/cluster.ts';
import {
  eventually,
  type Identity,
  type Json,
  type RawApi,
  type RawRequest,
  rawApi,
} from '../harness/raw-api.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 60_000;
const DAY_MS = 86_400_000;

const named = (name: string, more: object = {}) => ({ metadata: { name }, ...more });
const post = (body: object): RawRequest => ({ method: 'POST', body });
const patch = (body: object): RawRequest => ({
  method: 'PATCH',
  body,
  type: 'application/merge-patch+json',
});
const namesOf = (list: Json): string[] => list.items.map(({ metadata }: Json) => metadata.name);

suite('e2e/api-access', ({ test, cleanup }) => {
  test(
    'who asks: service accounts, impersonation, nobody, foreign, expired and node certificates',
    async () => {
      const cluster = await Cluster.start();
      cleanup(() => cluster.close());
      const api = await rawApi(cluster.one);
      cleanup(() => api.close());
      await accounts(api);
      const impersonate = { 'impersonate-user': 'bob', 'impersonate-group': 'g1' };
      const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
      const { status } = await api.ok(review, { ...post({}), headers: impersonate });
      assert.equal(status.userInfo, { username: 'bob', groups: ['g1', 'system:authenticated'] });
      const bob = await api.ok(CONFIG_MAPS, { headers: impersonate, code: 403 });
      assert.match(bob.message, /User "bob" cannot list resource "configmaps"/);
      const groupOnly = { 'impersonate-group': 'system:masters' };
      await api.ok(CONFIG_MAPS, { headers: groupOnly, code: 400 });
      const nobody = { token: '' };
      assert.match(
        (await api.ok(CONFIG_MAPS, { ...nobody, code: 403 })).message,
        /system:anonymous/,
      );
      await api.ok('/version', nobody);
      await api.ok(CONFIG_MAPS, { token: 'garbage', code: 401 });

      const tls = join(cluster.one.dir, 'data/server/tls');
      const ca = {
        certificate: readFileSync(join(tls, 'server-ca.crt'), 'utf8'),
        key: createPrivateKey(readFileSync(join(tls, 'server-ca.key'))),
      };
      const foreign = await createAuthority('mini-ca', Date.now());
      for (const identity of [
        await certified(foreign, ADMIN, Date.now() + DAY_MS),
        await certified(ca, ADMIN, Date.now() - DAY_MS),
      ]) {
        const { code } = await api.call(CONFIG_MAPS, identity);
        assert.ok(code === 401 || code === 403, `${code}`);
      }
      await api.ok(CONFIG_MAPS, await certified(ca, ADMIN, Date.now() + DAY_MS));
      const node = { commonName: 'system:node:one', organizations: ['system:nodes'] };
      await nodeLimits(api, await certified(ca, node, Date.now() + DAY_MS));
    },
    TIMEOUT_MS,
  );
});

const ADMIN = { commonName: 'somebody', organizations: ['system:masters'] };

/** A client certificate of this CA. */
async function certified(ca: Authority, subject: Subject, notAfter: number): Promise<Identity> {
  const key = newKey();
  const cert = await issueCertificate(
    { subject, publicKey: spkiOf(key), usages: ['client'], notBefore: 0, notAfter },
    ca,
  );
  return { cert, key: keyToPem(key) };
}

/** A service account may what its role says, in its namespace only. */
async function accounts(api: RawApi): Promise<void> {
  const ask = '/api/v1/namespaces/default/serviceaccounts/default/token';
  await eventually('the account', async () => (await api.call(ask, post({}))).code === 201);
  const { status } = await api.ok(ask, post({ spec: { expirationSeconds: 600 } }));
  const account = { token: status.token };
  await api.ok(CONFIG_MAPS, { ...account, code: 403 });
  const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
  const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }];
  await api.ok(`${rbac}/roles`, post(named('lister', { rules })));
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'lister' };
  const subjects = [{ kind: 'ServiceAccount', name: 'default', namespace: 'default' }];
  await api.ok(`${rbac}/rolebindings`, post(named('lister', { roleRef, subjects })));
  await api.ok(CONFIG_MAPS, account);
  await api.ok(CONFIG_MAPS, { ...account, ...post(named('no')), code: 403 });
  await api.ok('/api/v1/namespaces/kube-system/configmaps', { ...account, code: 403 });
  await api.ok('/api/v1/secrets', { ...account, code: 403 });
  // It may not give itself more than it has.
  const grab = post(named('grab', { rules }));
  await api.ok(`${rbac}/roles`, { ...account, ...grab, code: 403 });
}

/** A node sees its own pods' secrets and changes its own pods and node, nobody else's. */
async function nodeLimits(api: RawApi, node: Identity): Promise<void> {
  const secrets = '/api/v1/namespaces/default/secrets';
  const pods = '/api/v1/namespaces/default/pods';
  for (const name of ['mine', 'other']) {
    await api.ok(secrets, post(named(name, { stringData: { a: 'b' } })));
    const spec = {
      nodeName: name === 'mine' ? 'one' : 'two',
      containers: [{ name: 'c', image: 'none', imagePullPolicy: 'Never' }],
      volumes: [{ name: 'v', secret: { secretName: name } }],
    };
    await api.ok(pods, post(named(name, { spec })));
  }
  await api.ok('/api/v1/nodes', post(named('two')));
  await api.ok(`${secrets}/mine`, node);
  await api.ok('/api/v1/nodes/one', node);
  const own = await api.ok(`/api/v1/pods?fieldSelector=spec.nodeName%3Done`, node);
  assert.equal(namesOf(own), ['mine']);
  const labels = { metadata: { labels: { 'node-restriction.kubernetes.io/x': '' } } };
  for (const [path, options] of [
    [`${secrets}/other`, {}],
    [secrets, {}],
    [`${pods}/other/status`, patch({ status: { phase: 'Failed' } })],
    [`${pods}/other`, { method: 'DELETE' }],
    ['/api/v1/nodes/two', patch({ metadata: { labels: { a: 'b' } } })],
    ['/api/v1/nodes/one', patch(labels)],
    ['/api/v1/nodes/one', { method: 'DELETE' }],
    [pods, post(named('third', { spec: { nodeName: 'two', containers: [] } }))],
    ['/api/v1/namespaces/default/serviceaccounts/default/token', post({})],
    ['/apis/rbac.authorization.k8s.io/v1/clusterroles', {}],
  ] as const) {
    const { code, bytes } = await api.call(path, { ...node, ...options });
    assert.is(code, 403, `${path} ${bytes}`);
  }
}
