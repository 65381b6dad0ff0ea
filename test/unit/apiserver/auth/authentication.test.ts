/** Who a credential is, tokens from request to review, and what a user may not give away. */

import { createPublicKey } from 'node:crypto';
import * as assert from 'uvu/assert';
import { isReason } from '../../../../pkg/api/errors.ts';
import type { Pod, TokenRequest } from '../../../../pkg/api/generated/types.ts';
import type { Draft } from '../../../../pkg/api/meta.ts';
import { createAuthenticator } from '../../../../pkg/apiserver/auth/authenticator.ts';
import { createAuthorizer } from '../../../../pkg/apiserver/auth/authorizer.ts';
import { reconcileBootstrapPolicy } from '../../../../pkg/apiserver/auth/bootstrap/reconcile.ts';
import { newBootstrapSecret } from '../../../../pkg/apiserver/auth/bootstrap-tokens.ts';
import { createEscalationCheck } from '../../../../pkg/apiserver/auth/escalation.ts';
import { createReviewAnswerers } from '../../../../pkg/apiserver/auth/reviews.ts';
import { createAccountTokens } from '../../../../pkg/apiserver/auth/service-account-tokens.ts';
import { createToken } from '../../../../pkg/apiserver/auth/token-request.ts';
import { createTokenSigner, DEFAULT_ISSUER } from '../../../../pkg/apiserver/auth/token-signer.ts';
import type { AdmissionRequest, User } from '../../../../pkg/apiserver/contract.ts';
import { newKey } from '../../../../pkg/pki/key-pair.ts';
import { rejects, suite } from '../../../harness/suite.ts';
import { memoryRegistry } from '../memory-registry.ts';

const admin: User = { name: 'root', groups: ['system:masters'] };
const AUDIENCES = [DEFAULT_ISSUER];

suite('apiserver/auth/authentication', ({ test }) => {
  async function cluster() {
    const state = { now: Date.UTC(2026, 10, 22) };
    const now = () => state.now;
    const registry = memoryRegistry();
    const privateKey = newKey();
    const signer = createTokenSigner({ privateKey, publicKey: createPublicKey(privateKey), now });
    const accountTokens = createAccountTokens({ registry, signer, now });
    const authenticator = createAuthenticator({
      registry,
      accountTokens,
      audiences: AUDIENCES,
      now,
    });
    const account = await registry.create('serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: 'ns' },
    });
    const request = async (spec: Partial<TokenRequest['spec']> = {}, user = admin) => {
      const object = { kind: 'TokenRequest', spec } as unknown as TokenRequest;
      const options = { registry, signer, audiences: AUDIENCES, now };
      return (await createToken(options, {
        namespace: 'ns',
        name: 'default',
        user,
        object,
      })) as Draft<TokenRequest>;
    };
    const bearer = (token = '') =>
      authenticator.authenticate({ headers: { authorization: `Bearer ${token}` } });
    const pod = await registry.create<Pod>('pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'ns' },
      spec: { nodeName: 'a', containers: [] },
    });
    return { state, registry, accountTokens, authenticator, account, request, bearer, pod, signer };
  }

  test('certificates, nobody and rubbish', async () => {
    const { authenticator, bearer } = await cluster();
    const certificate = { commonName: 'eve', organizations: ['dev'] };
    assert.equal(await authenticator.authenticate({ headers: {}, certificate }), {
      name: 'eve',
      groups: ['dev', 'system:authenticated'],
    });
    assert.is((await authenticator.authenticate({ headers: {} })).name, 'system:anonymous');
    for (const token of ['', 'rubbish', 'a.b.c', 'abcdef.0123456789abcdef']) {
      assert.ok(isReason(await rejects(bearer(token)), 'Unauthorized'), token);
    }
  });

  test('a requested token is the account, until it expires or the account is gone', async () => {
    const { request, bearer, state, registry, account } = await cluster();
    const { status } = await request({ expirationSeconds: 600 });
    const user = await bearer(status?.token);
    assert.is(user.name, 'system:serviceaccount:ns:default');
    assert.is(user.uid, account.metadata.uid);
    assert.equal(user.groups, [
      'system:serviceaccounts',
      'system:serviceaccounts:ns',
      'system:authenticated',
    ]);
    state.now += 601_000;
    assert.ok(isReason(await rejects(bearer(status?.token)), 'Unauthorized'));
    const fresh = (await request()).status?.token;
    await bearer(fresh);
    await registry.delete('serviceaccounts', account.metadata);
    assert.ok(isReason(await rejects(bearer(fresh)), 'Unauthorized'));
  });

  test('a token bound to a pod dies with it', async () => {
    const { request, bearer, registry, pod } = await cluster();
    const ref = { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: pod.metadata.uid };
    const token = (await request({ boundObjectRef: ref })).status?.token;
    assert.equal((await bearer(token)).extra?.['authentication.kubernetes.io/pod-name'], ['p']);
    await registry.delete('pods', pod.metadata);
    assert.ok(isReason(await rejects(bearer(token)), 'Unauthorized'));
    assert.ok(isReason(await rejects(request({ boundObjectRef: ref })), 'NotFound'));
  });

  test('refuses short lives, wrong uids and other nodes’ pods', async () => {
    const { request, pod } = await cluster();
    assert.ok(isReason(await rejects(request({ expirationSeconds: 5 })), 'Invalid'));
    const ref = { kind: 'Pod', apiVersion: 'v1', name: 'p' };
    assert.ok(
      isReason(await rejects(request({ boundObjectRef: { ...ref, uid: 'x' } })), 'Conflict'),
    );
    const node = (name: string): User => ({
      name: `system:node:${name}`,
      groups: ['system:nodes'],
    });
    const bound = { boundObjectRef: { ...ref, uid: pod.metadata.uid } };
    await request(bound, node('a'));
    assert.ok(isReason(await rejects(request(bound, node('b'))), 'Forbidden'));
    assert.ok(isReason(await rejects(request({}, node('a'))), 'Forbidden'));
  });

  test('a token for another audience does not open the API', async () => {
    const { request, bearer, accountTokens } = await cluster();
    const token = (await request({ audiences: ['vault'] })).status?.token ?? '';
    assert.ok(isReason(await rejects(bearer(token)), 'Unauthorized'));
    assert.equal((await accountTokens.verify(token, ['vault', 'x'])).audiences, ['vault']);
  });

  test('a token signed with another key is refused', async () => {
    const [one, two] = [await cluster(), await cluster()];
    const token = (await one.request()).status?.token;
    assert.ok(isReason(await rejects(two.bearer(token)), 'Unauthorized'));
  });

  test('bootstrap tokens authenticate until they expire', async () => {
    const { registry, bearer, state } = await cluster();
    const made = newBootstrapSecret({ now: state.now, ttlMs: 1_000 });
    await registry.create('secrets', made.object);
    const user = await bearer(`${made.id}.${made.secret}`);
    assert.is(user.name, `system:bootstrap:${made.id}`);
    assert.ok(user.groups.includes('system:bootstrappers'));
    state.now += 2_000;
    assert.ok(isReason(await rejects(bearer(`${made.id}.${made.secret}`)), 'Unauthorized'));
  });

  test('reviews answer for others and for oneself', async () => {
    const { registry, accountTokens, request } = await cluster();
    await reconcileBootstrapPolicy(registry);
    const authorizer = createAuthorizer(registry);
    const answerers = createReviewAnswerers({
      authorizer,
      rbac: authorizer.rbac,
      accountTokens,
      audiences: AUDIENCES,
    });
    const review = async (resource: string, spec: object, user = admin) => {
      const found = answerers.find((each) => each.resource.startsWith(`${resource}.`));
      const asked = { object: { metadata: {}, spec }, user } as unknown as AdmissionRequest;
      const answer = await found?.answer(asked, new AbortController().signal);
      return (answer as { status: Record<string, unknown> }).status;
    };
    const pods = { resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'ns' } };
    assert.is((await review('selfsubjectaccessreviews', pods))['allowed'], true);
    assert.is((await review('subjectaccessreviews', { ...pods, user: 'bob' }))['allowed'], false);
    assert.is(
      (await review('subjectaccessreviews', { ...pods, groups: ['system:masters'] }))['allowed'],
      true,
    );
    const rules = await review(
      'selfsubjectrulesreviews',
      { namespace: 'ns' },
      { name: 'x', groups: ['system:authenticated'] },
    );
    assert.match(JSON.stringify(rules), 'selfsubjectaccessreviews');
    const token = (await request()).status?.token;
    const good = await review('tokenreviews', { token });
    assert.is(good['authenticated'], true);
    assert.is((await review('tokenreviews', { token: `${token}x` }))['authenticated'], false);
    assert.equal((await review('selfsubjectreviews', {}))['userInfo'], {
      username: 'root',
      groups: ['system:masters'],
    });
  });

  test('nobody grants more than they hold', async () => {
    const { registry } = await cluster();
    await reconcileBootstrapPolicy(registry);
    await registry.create('rolebindings', {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'b', namespace: 'ns' },
      roleRef: { kind: 'ClusterRole', name: 'admin' },
      subjects: [{ kind: 'User', name: 'bob' }],
    } as never);
    const authorizer = createAuthorizer(registry);
    const check = createEscalationCheck({ authorizer, rbac: authorizer.rbac });
    const write = (kind: string, more: object, user: User = { name: 'bob', groups: [] }) =>
      void check.admit({
        operation: 'CREATE',
        group: 'rbac.authorization.k8s.io',
        resource: `${kind.toLowerCase()}s`,
        subresource: '',
        namespace: 'ns',
        name: 'new',
        user,
        registry,
        object: { kind, metadata: { name: 'new' }, ...more },
      } as unknown as AdmissionRequest);
    const pods = { apiGroups: [''], resources: ['pods'], verbs: ['get'] };
    write('Role', { rules: [pods] });
    assert.throws(
      () => write('Role', { rules: [{ ...pods, resources: ['nodes'] }] }),
      /not currently held/,
    );
    write('RoleBinding', { roleRef: { kind: 'ClusterRole', name: 'view' }, subjects: [] });
    const all = { roleRef: { kind: 'ClusterRole', name: 'cluster-admin' }, subjects: [] };
    assert.throws(() => write('RoleBinding', all), /not currently held/);
    write('RoleBinding', all, admin);
  });
});
