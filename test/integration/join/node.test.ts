/** A node from its token to its tunnel, against a real API server with TLS, RBAC and admission. */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { joinCluster } from '../../../pkg/agent/join/join.ts';
import { readCredentials, writeCredentials } from '../../../pkg/agent/join/join-files.ts';
import { createAdmissions } from '../../../pkg/apiserver/admission/admissions.ts';
import { createAuthenticator } from '../../../pkg/apiserver/auth/authenticator.ts';
import { createAuthorizer } from '../../../pkg/apiserver/auth/authorizer.ts';
import { bootstrapCluster } from '../../../pkg/apiserver/auth/bootstrap/cluster.ts';
import { createOidcHandlers } from '../../../pkg/apiserver/auth/oidc.ts';
import { createAccountTokens } from '../../../pkg/apiserver/auth/service-account-tokens.ts';
import { createTokenAnswerer } from '../../../pkg/apiserver/auth/token-request.ts';
import { createTokenSigner } from '../../../pkg/apiserver/auth/token-signer.ts';
import { createJoinHandlers } from '../../../pkg/apiserver/join.ts';
import { CONNECT_PATH, NodeSessions } from '../../../pkg/apiserver/nodes.ts';
import { nodeUpgradeHandler } from '../../../pkg/apiserver/peer-user.ts';
import { createRegistry } from '../../../pkg/apiserver/registry.ts';
import { type ApiServer, createApiServer } from '../../../pkg/apiserver/server.ts';
import { silent } from '../../../pkg/log/log.ts';
import { createKeyPair } from '../../../pkg/pki/key-pair.ts';
import { loadServerPki } from '../../../pkg/pki/server-pki.ts';
import { loadServerTokens } from '../../../pkg/pki/server-tokens.ts';
import { openMemory } from '../../../pkg/store/memory.ts';
import { dialTunnel, type Refused } from '../../../pkg/tunnel/dial.ts';
import { createTunnelAgent } from '../../../pkg/tunnel/http-agent.ts';
import type { Session } from '../../../pkg/tunnel/session.ts';
import { systemClock } from '../../../pkg/wait/clock.ts';
import { suite } from '../../harness/suite.ts';

const SERVICE_CIDR = '10.43.0.0/16';

interface Call {
  readonly method?: string;
  readonly body?: object;
}

suite('join/node', ({ test, cleanup }) => {
  async function startServer() {
    const dir = mkdtempSync(join(tmpdir(), 'mini-node-'));
    const now = () => systemClock.now();
    const pki = await loadServerPki({ dir: join(dir, 'tls'), names: [], now: now() });
    const tokens = loadServerTokens({ dir, ca: pki.ca.certificate });
    const store = openMemory();
    const registry = createRegistry({ store, clock: systemClock });
    const signer = createTokenSigner({ ...pki.serviceAccountKey, now });
    const audiences = [signer.issuer];
    const accountTokens = createAccountTokens({ registry, signer, now });
    const authorizer = createAuthorizer(registry);
    const authenticator = createAuthenticator({ registry, accountTokens, audiences, now });
    const nodes: NodeSessions = new NodeSessions({
      log: silent,
      serveStream: (stream, user) => api.serveStream(stream, user),
    });
    const cluster = {
      ...{ clusterCidr: '10.42.0.0/16', serviceCidr: SERVICE_CIDR, clusterDns: '10.43.0.10' },
      ...{ clusterDomain: 'cluster.local', servers: [] },
    };
    const api: ApiServer = createApiServer({
      ...{ registry, store, authenticator, authorizer, nodes, log: silent, clock: systemClock },
      admissions: createAdmissions({
        authorizer,
        rbac: authorizer.rbac,
        serviceCidrs: [SERVICE_CIDR],
        now,
      }),
      answerers: [createTokenAnswerer({ registry, signer, audiences, now })],
      version: { gitVersion: 'v1.36.0+mini', gitCommit: 'test', buildDate: '2026-01-01T00:00:00Z' },
      extraHandlers: [
        ...createJoinHandlers({
          registry,
          ca: pki.ca,
          passwords: () => tokens.passwords,
          cluster: () => cluster,
          log: silent,
          now,
        }),
        ...createOidcHandlers({ signer, authenticator, authorizer }),
      ],
      upgradeHandlers: [nodeUpgradeHandler(nodes)],
    });
    await bootstrapCluster({
      registry,
      serviceCidr: SERVICE_CIDR,
      addresses: ['192.0.2.1'],
      port: 6443,
    });
    const { certificate: cert, key } = pki.server;
    const listening = await api.listen({
      host: '127.0.0.1',
      port: 0,
      tls: { cert, key, clientCa: pki.ca.certificate },
    });
    cleanup(async () => {
      nodes.close();
      await listening.close();
      await api.close();
      await store.close();
      rmSync(dir, { recursive: true });
    });
    return {
      dir,
      ca: pki.ca,
      registry,
      nodes,
      token: tokens.token,
      url: `https://127.0.0.1:${listening.port}`,
    };
  }

  async function startNode(server: Awaited<ReturnType<typeof startServer>>) {
    const abort = new AbortController();
    const { signal } = abort;
    const common = { nodeName: 'a', log: silent, signal, env: {} };
    const options = {
      servers: [server.url],
      token: server.token,
      dataDir: server.dir,
      unreachableMs: 0,
    };
    const credentials = await joinCluster({ ...common, ...options });
    const first = Promise.withResolvers<Session>();
    const tunnel = dialTunnel({
      ...{
        servers: credentials.servers,
        path: CONNECT_PATH,
        tls: credentials.tls,
        log: silent,
        signal,
        env: {},
      },
      onSession: first.resolve,
    });
    const session = await first.promise;
    const agent = createTunnelAgent(() => tunnel.open({ kind: 'api' }));
    cleanup(async () => {
      abort.abort(new Error('test over'));
      agent.destroy();
      await tunnel.done;
    });
    const call = (path: string, { method = 'GET', body }: Call = {}) =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const headers = { 'content-type': 'application/json' };
        const outgoing = request(
          { agent, host: 'kubernetes', path, method, headers },
          (response) => {
            let text = '';
            response.on('data', (chunk) => {
              text += chunk;
            });
            response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
          },
        );
        outgoing.on('error', reject);
        outgoing.end(body === undefined ? undefined : JSON.stringify(body));
      });
    return { session, call };
  }

  test('a node registers itself through its tunnel and sees no more than it may', async () => {
    const server = await startServer();
    const { call } = await startNode(server);
    const node = (name: string) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
    assert.is((await call('/api/v1/nodes', { method: 'POST', body: node('a') })).status, 201);
    assert.is((await call('/api/v1/nodes', { method: 'POST', body: node('b') })).status, 403);
    assert.is((await call('/api/v1/nodes/a')).status, 200);
    const secret = await call('/api/v1/namespaces/kube-system/secrets/a.node-password.mini');
    assert.is(secret.status, 403);
    assert.match(secret.text, /no relationship found between node 'a'/);
  });

  test('a node gets a token for its own pod’s account, and that token opens the API', async () => {
    const server = await startServer();
    const { call } = await startNode(server);
    const { registry } = server;
    await registry.create('serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: 'default' },
    });
    const pod = await registry.create('pods', {
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default' } },
      spec: {
        nodeName: 'a',
        serviceAccountName: 'default',
        containers: [{ name: 'c', image: 'i' }],
      },
    } as never);
    const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: pod.metadata.uid };
    const answer = await call('/api/v1/namespaces/default/serviceaccounts/default/token', {
      method: 'POST',
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { boundObjectRef },
      },
    });
    assert.is(answer.status, 201, answer.text);
    assert.match(JSON.parse(answer.text).status.token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  test('a node whose certificate has expired is told so', async () => {
    const server = await startServer();
    const pair = await createKeyPair(server.ca, {
      subject: { commonName: 'system:node:a', organizations: ['system:nodes'] },
      usages: ['client'],
      now: Date.UTC(2026, 0, 2),
      lifetimeMs: 60_000,
    });
    const abort = new AbortController();
    const refused = Promise.withResolvers<Refused>();
    const tls = { ca: server.ca.certificate, cert: pair.certificate, key: pair.key };
    const tunnel = dialTunnel({
      ...{
        servers: [server.url],
        path: CONNECT_PATH,
        tls,
        log: silent,
        signal: abort.signal,
        env: {},
      },
      onSession: () => undefined,
      onRefused: refused.resolve,
    });
    cleanup(async () => {
      abort.abort(new Error('test over'));
      await tunnel.done;
    });
    const refusal = await refused.promise;
    assert.is(refusal.status, 401);
    assert.match(refusal.message, /CERT_HAS_EXPIRED/);
  });

  test('a node whose certificate expired while it ran joins again and gets its tunnel', async () => {
    const server = await startServer();
    const abort = new AbortController();
    const { signal } = abort;
    const long = { nodeName: 'a', log: silent, signal, env: {}, dataDir: server.dir };
    const options = { ...long, servers: [server.url], token: server.token };
    await joinCluster(options);
    const startMs = Date.UTC(2026, 0, 2);
    const pair = await createKeyPair(server.ca, {
      subject: { commonName: 'system:node:a', organizations: ['system:nodes'] },
      usages: ['client'],
      now: startMs,
      lifetimeMs: 60_000,
    });
    const stored = readCredentials(server.dir);
    assert.ok(stored);
    writeCredentials(server.dir, { ...stored, ...pair });
    let now = () => startMs;
    const clock = { ...systemClock, now: () => now(), after: systemClock.after };
    const credentials = await joinCluster({ ...options, clock });
    assert.is(credentials.tls().cert, pair.certificate);
    now = Date.now;
    const session = Promise.withResolvers<Session>();
    const tunnel = dialTunnel({
      ...{ servers: credentials.servers, path: CONNECT_PATH, tls: credentials.tls },
      ...{ log: silent, signal, env: {} },
      onSession: session.resolve,
      onRefused: () => void credentials.rejoin(),
    });
    cleanup(async () => {
      abort.abort(new Error('test over'));
      await tunnel.done;
    });
    await session.promise;
    assert.is.not(credentials.tls().cert, pair.certificate);
    assert.is(readCredentials(server.dir)?.certificate, credentials.tls().cert);
  });

  test('the server reaches the node’s own API', async () => {
    const server = await startServer();
    const { session } = await startNode(server);
    const inner = createServer((message, response) => response.end(`logs of ${message.url}`));
    session.onStream = (_header, stream) => void inner.emit('connection', stream);
    const agent = createTunnelAgent(() => server.nodes.connect('a'));
    cleanup(() => agent.destroy());
    const text = await new Promise<string>((resolve, reject) => {
      request({ agent, host: 'a', path: '/p' }, (response) => {
        response.on('data', (chunk) => resolve(String(chunk)));
      })
        .on('error', reject)
        .end();
    });
    assert.is(text, 'logs of /p');
  });
});
