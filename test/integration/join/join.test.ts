/** Joining over real TLS: what a node gets, keeps and renews, and each way in which it is refused. */

import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { joinCluster } from '../../../pkg/agent/join/join.ts';
import { JoinError } from '../../../pkg/agent/join/join-calls.ts';
import { newBootstrapSecret } from '../../../pkg/apiserver/auth/bootstrap-tokens.ts';
import { createJoinHandlers } from '../../../pkg/apiserver/join.ts';
import { silent } from '../../../pkg/log/log.ts';
import { LEAF_LIFETIME_MS } from '../../../pkg/pki/key-pair.ts';
import { loadServerPki } from '../../../pkg/pki/server-pki.ts';
import { loadServerTokens } from '../../../pkg/pki/server-tokens.ts';
import { caHash, formatToken } from '../../../pkg/pki/token.ts';
import { rejects, suite } from '../../harness/suite.ts';
import { memoryRegistry } from '../../unit/apiserver/memory-registry.ts';

const CLUSTER = {
  clusterCidr: '10.42.0.0/16',
  serviceCidr: '10.43.0.0/16',
  clusterDns: '10.43.0.10',
  clusterDomain: 'cluster.local',
  servers: ['https://other.example:6443'],
};

suite('join', ({ test, cleanup }) => {
  const scratch = () => {
    const dir = mkdtempSync(join(tmpdir(), 'mini-join-'));
    cleanup(() => rmSync(dir, { recursive: true }));
    return dir;
  };

  async function serve() {
    const dir = scratch();
    const state = { now: Date.now(), seen: [] as string[] };
    const pki = await loadServerPki({ dir, names: [], now: state.now });
    const tokens = loadServerTokens({ dir, ca: pki.ca.certificate });
    const registry = memoryRegistry();
    const handlers = createJoinHandlers({
      registry,
      ca: pki.ca,
      passwords: () => tokens.passwords,
      cluster: () => CLUSTER,
      log: silent,
      now: () => state.now,
    });
    const server = createServer(
      {
        cert: pki.server.certificate,
        key: pki.server.key,
        ca: pki.ca.certificate,
        requestCert: true,
        rejectUnauthorized: false,
      },
      (request, response) => {
        state.seen.push(`${request.url} ${request.headers.authorization ?? ''}`.trim());
        response.setHeader('date', new Date(state.now).toUTCString());
        handlers.find(({ prefix }) => request.url?.startsWith(prefix))?.handle(request, response);
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanup(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { url, pki, tokens, registry, state };
  }

  function node(
    server: string,
    options: { token?: string; dataDir?: string; nodeName?: string; now?: number } = {},
  ) {
    const abort = new AbortController();
    cleanup(() => abort.abort());
    const { now, ...rest } = options;
    return joinCluster({
      servers: [server],
      nodeName: 'a',
      dataDir: rest.dataDir ?? scratch(),
      log: silent,
      signal: abort.signal,
      env: {},
      unreachableMs: 0,
      ...(now === undefined
        ? {}
        : { clock: { now: () => now, monotonic: () => now, after: () => () => undefined } }),
      ...rest,
    });
  }

  async function refusal(work: Promise<unknown>): Promise<JoinError> {
    const error = await rejects(work);
    assert.instance(error, JoinError);
    return error as JoinError;
  }

  test('a node gets a certificate and the cluster’s settings, and needs no token again', async () => {
    const { url, tokens, pki, state } = await serve();
    const dataDir = scratch();
    const credentials = await node(url, { token: tokens.token, dataDir });
    assert.equal(credentials.cluster, CLUSTER);
    assert.is(credentials.tls().ca, pki.ca.certificate);
    assert.equal(credentials.servers(), [url, 'https://other.example:6443']);
    assert.is(statSync(join(dataDir, 'agent', 'credentials.json')).mode & 0o777, 0o600);
    const calls = state.seen.length;
    const again = await node(url, { dataDir });
    assert.equal(again.tls(), credentials.tls());
    assert.is(state.seen.length, calls);
  });

  test('the agent token and a bootstrap token let a node in', async () => {
    const { url, tokens, registry, pki, state } = await serve();
    await node(url, { token: tokens.agentToken });
    const made = newBootstrapSecret({ now: state.now, ttlMs: 60_000 });
    await registry.create('secrets', made.object);
    const token = formatToken({
      caHash: caHash(pki.ca.certificate),
      secret: { kind: 'bootstrap', id: made.id, secret: made.secret },
    });
    await node(url, { token, nodeName: 'b' });
    state.now += 120_000;
    const error = await refusal(node(url, { token, nodeName: 'c' }));
    assert.is(error.code, 'ExpiredToken');
    assert.match(error.message, /has expired/);
  });

  test('with another CA hash the secret never leaves', async () => {
    const { url, tokens, state } = await serve();
    const token = tokens.token.replace(/^K10[0-9a-f]{64}/, `K10${'0'.repeat(64)}`);
    const error = await refusal(node(url, { token }));
    assert.is(error.code, 'WrongCa');
    assert.equal(state.seen, ['/cacerts']);
  });

  test('a wrong token, no token and a malformed one are told apart', async () => {
    const { url, tokens } = await serve();
    assert.match(
      (await refusal(node(url, { token: `${tokens.token}x` }))).message,
      /does not know this token/,
    );
    assert.match((await refusal(node(url))).message, /A token is needed/);
    assert.match(
      (await refusal(node(url, { token: 'K10abc::server:x' }))).message,
      /64 hex digits/,
    );
  });

  test('a name belongs to the first host until its Node is gone', async () => {
    const { url, tokens, registry, state } = await serve();
    await registry.create('nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' } });
    const dataDir = scratch();
    await node(url, { token: tokens.token, dataDir });
    const error = await refusal(node(url, { token: tokens.token }));
    assert.is(error.code, 'NameTaken');
    assert.match(error.message, /--node-name/);
    rmSync(join(dataDir, 'agent', 'credentials.json'));
    await node(url, { token: tokens.token, dataDir });
    await registry.delete('nodes', { name: 'a' });
    state.now = Math.max(state.now, Date.parse('2026-11-22T00:02:00Z'));
    await node(url, { token: tokens.token, now: state.now });
  });

  test('clocks apart are named before anything else fails', async () => {
    const { url, tokens, state } = await serve();
    const error = await refusal(node(url, { token: tokens.token, now: 86_400_000 }));
    assert.is(error.code, 'ClockSkew');
    assert.match(error.message, '1970-01-02');
    assert.match(error.message, new Date(state.now).toISOString().slice(0, 16));
    assert.equal(state.seen, ['/cacerts']);
  });

  test('an unreachable server is named with the reason', async () => {
    const error = await refusal(node('https://127.0.0.1:1', { token: 'server:x' }));
    assert.is(error.code, 'Unreachable');
    assert.match(error.message, /127\.0\.0\.1:1: connection refused/);
  });

  test('a server that is no mini is named', async () => {
    const { pki } = await serve();
    const server = createServer(
      { cert: pki.server.certificate, key: pki.server.key },
      (_request, response) => response.writeHead(404).end('nothing here'),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanup(() => void server.close());
    const { port } = server.address() as AddressInfo;
    assert.is(
      (await refusal(node(`https://127.0.0.1:${port}`, { token: 'server:x' }))).code,
      'NotMini',
    );
  });

  test('a data directory of another cluster is not used', async () => {
    const [one, two] = [await serve(), await serve()];
    const dataDir = scratch();
    await node(one.url, { token: one.tokens.token, dataDir });
    assert.is(
      (await refusal(node(two.url, { token: two.tokens.token, dataDir }))).code,
      'OtherCluster',
    );
  });

  test('a running node renews its certificate with the old one', async () => {
    const { url, tokens, state } = await serve();
    const dataDir = scratch();
    const abort = new AbortController();
    let nowMs = state.now;
    const credentials = await joinCluster({
      servers: [url],
      token: tokens.token,
      nodeName: 'a',
      dataDir,
      log: silent,
      signal: abort.signal,
      env: {},
      clock: {
        now: () => nowMs,
        monotonic: () => nowMs,
        after: (_delayMs, task) => {
          nowMs = state.now;
          const timer = setTimeout(task, 5);
          return () => clearTimeout(timer);
        },
      },
    });
    const before = credentials.tls().cert;
    // Its certificate says who it is, though it has lost the password of the join.
    rmSync(join(dataDir, 'agent', 'node-password'));
    state.now += LEAF_LIFETIME_MS * 0.8;
    const running = credentials.keepRenewed();
    while (credentials.tls().cert === before)
      await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort(new Error('over'));
    await running;
    assert.is(state.seen.at(-1), '/v1-mini/join');
  });

  test('a refused node joins again by its token, seldom, and only in its own cluster', async () => {
    const { url, tokens, pki, state } = await serve();
    const dataDir = scratch();
    const credentials = await node(url, { token: tokens.token, dataDir });
    const before = credentials.tls().cert;
    await Promise.all([credentials.rejoin(), credentials.rejoin()]);
    assert.is.not(credentials.tls().cert, before);
    const joins = () => state.seen.filter((line) => line.startsWith('/v1-mini/join')).length;
    assert.is(joins(), 2);
    assert.is((await node(url, { dataDir })).tls().cert, credentials.tls().cert);
    const other = await serve();
    const moved = await joinCluster({
      servers: [other.url],
      // Without a hash it trusts the first answer, but never a second cluster.
      token: tokens.token.split('::')[1] ?? '',
      nodeName: 'a',
      dataDir,
      log: silent,
      signal: new AbortController().signal,
      env: {},
    });
    await moved.rejoin();
    assert.is(moved.tls().ca, pki.ca.certificate);
    assert.equal(other.state.seen, ['/cacerts']);
  });

  test('a refused node without a token says that it needs one', async () => {
    const { url, tokens } = await serve();
    const dataDir = scratch();
    const { tls } = await node(url, { token: tokens.token, dataDir });
    const errors: string[] = [];
    const credentials = await joinCluster({
      servers: [url],
      nodeName: 'a',
      dataDir,
      log: { ...silent, error: (message) => void errors.push(message) },
      signal: new AbortController().signal,
      env: {},
    });
    await credentials.rejoin();
    assert.match(errors.join(), /start the agent with --token to join again/);
    assert.equal(credentials.tls(), tls());
  });
});
