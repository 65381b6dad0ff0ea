/** The client over HTTPS against a real API server: errors, failover, and informers that outlive the server. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { isReason, unavailable } from '../../pkg/api/errors.ts';
import type { ConfigMap } from '../../pkg/api/generated/types.ts';
import type { Authenticator, User } from '../../pkg/apiserver/contract.ts';
import type { Listening } from '../../pkg/apiserver/listening.ts';
import { createRegistry } from '../../pkg/apiserver/registry.ts';
import { type ApiServer, createApiServer } from '../../pkg/apiserver/server.ts';
import { createClient } from '../../pkg/client/create-client.ts';
import { type HttpTransportOptions, httpTransport } from '../../pkg/client/http-transport.ts';
import { createInformers } from '../../pkg/client/informers.ts';
import { loadKubeconfig } from '../../pkg/client/kubeconfig.ts';
import { silent } from '../../pkg/log/log.ts';
import { createAuthority, createKeyPair } from '../../pkg/pki/key-pair.ts';
import { formatKubeconfig } from '../../pkg/pki/kubeconfig.ts';
import type { Backend } from '../../pkg/store/backend.ts';
import { openMemory } from '../../pkg/store/memory.ts';
import { sleep, systemClock } from '../../pkg/wait/clock.ts';
import { rejects, suite } from '../harness/suite.ts';
import { eventually } from './control-plane.ts';

const ANYONE: User = { name: 'anyone', groups: ['system:authenticated'] };

function serverOn(
  store: Backend,
  authenticate: Authenticator['authenticate'] = () => Promise.resolve(ANYONE),
): ApiServer {
  return createApiServer({
    registry: createRegistry({ store, clock: systemClock }),
    store,
    authenticator: { authenticate },
    authorizer: {
      authorize: ({ namespace }) => ({ isAllowed: namespace !== 'secret', reason: 'not yours' }),
    },
    admissions: [],
    nodes: {
      connect(): never {
        throw unavailable('no tunnel');
      },
    },
    log: silent,
    clock: systemClock,
    version: { gitVersion: 'v1.36.0', gitCommit: 'test', buildDate: '2026-01-01T00:00:00Z' },
  });
}

function configMap(name: string, namespace = 'default') {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { a: 'b' } };
}

suite('client over HTTP', ({ test, cleanup }) => {
  const start = async (store = openMemory({ clock: systemClock }), port = 0) => {
    const server = serverOn(store);
    const listening: Listening = await server.listen({ host: '127.0.0.1', port });
    cleanup(() => server.close());
    if (port === 0) cleanup(() => store.close());
    return { store, server, port: listening.port };
  };
  const connect = (options: HttpTransportOptions) => {
    const transport = httpTransport(options);
    cleanup(() => transport.close());
    return createClient(transport);
  };

  test('reads, writes and gets errors as StatusErrors', async () => {
    const { port } = await start();
    const client = connect({ servers: [`http://127.0.0.1:${port}`] });
    const namespace = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'default' },
    };
    await client.create('namespaces', namespace);
    const made = await client.create<ConfigMap>('configmaps', configMap('a'));
    const changed = await client.update<ConfigMap>('configmaps', { ...made, data: { a: 'c' } });
    assert.equal(changed.data, { a: 'c' });
    const stale = await rejects(client.update<ConfigMap>('configmaps', made));
    assert.ok(isReason(stale, 'Conflict'));
    const again = await rejects(client.create<ConfigMap>('configmaps', configMap('a')));
    assert.ok(isReason(again, 'AlreadyExists'));
    const hidden = await rejects(client.list('configmaps', { namespace: 'secret' }));
    assert.ok(isReason(hidden, 'Forbidden'));
    await client.remove('configmaps', made.metadata);
    await client.remove('configmaps', made.metadata);
    const gone = await rejects(client.get('configmaps', made.metadata));
    assert.ok(isReason(gone, 'NotFound'));
    const watching = client.watch(
      'configmaps',
      { namespace: 'secret' },
      new AbortController().signal,
    );
    const refused = await rejects(watching[Symbol.asyncIterator]().next());
    assert.ok(isReason(refused, 'Forbidden'));
  });

  test('goes to the next server when one cannot be reached, and says so when none can', async () => {
    const { port } = await start();
    const { port: deadPort, server } = await start();
    await server.close();
    const dead = `http://127.0.0.1:${deadPort}`;
    const client = connect({ servers: [dead, `http://127.0.0.1:${port}`] });
    const metadata = { name: 'default' };
    await client.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata });
    assert.is((await client.list('namespaces')).items.length, 1);
    const alone = connect({ servers: [dead] });
    const error = await rejects(alone.list('namespaces'));
    assert.ok(isReason(error, 'ServiceUnavailable'));
    assert.match(String(error), /Cannot reach http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  });

  test('gives up a request that is not answered in time, and one that is aborted', async () => {
    const { port } = await start();
    const client = connect({ servers: [`http://127.0.0.1:${port}`], timeoutMs: 0 });
    assert.ok(isReason(await rejects(client.list('pods')), 'Timeout'));
    const reason = new Error('stop');
    const aborted = AbortSignal.abort(reason);
    assert.is(await rejects(client.list('pods', {}, aborted)), reason);
  });

  test('an informer sees every change through restarts of the server', async () => {
    const first = await start();
    const servers = [`http://127.0.0.1:${first.port}`];
    const client = connect({ servers });
    const stop = new AbortController();
    cleanup(() => stop.abort(new Error('over')));
    await client.create('namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'default' },
    });
    const informers = createInformers({ client, log: silent, signal: stop.signal });
    informers.start('configmaps', { pageSize: 2 });
    await informers.synced();
    const seen: string[] = [];
    informers.subscribe('configmaps', ({ type, object }) =>
      seen.push(`${type} ${object.metadata.name}`),
    );
    await client.create<ConfigMap>('configmaps', configMap('before'));
    await eventually(() => seen.length === 1);
    await first.server.close();
    // Written while nobody listens: only resuming from the last version can show the short-lived one.
    const registry = createRegistry({ store: first.store, clock: systemClock });
    await registry.create<ConfigMap>('configmaps', configMap('short-lived'));
    await registry.delete('configmaps', { namespace: 'default', name: 'short-lived' });
    await registry.create<ConfigMap>('configmaps', configMap('after'));
    await sleep(20);
    await start(first.store, first.port);
    await eventually(
      () => seen.includes('added after'),
      () => seen,
    );
    assert.equal(seen, ['added before', 'added short-lived', 'deleted short-lived', 'added after']);
  });

  test('a kubeconfig leads to the server over TLS with a client certificate', async () => {
    const ca = await createAuthority('test-ca', Date.now());
    const make = (commonName: string, usage: 'server' | 'client') =>
      createKeyPair(ca, {
        subject: { commonName, organizations: ['testers'] },
        usages: [usage],
        altNames: usage === 'server' ? ['127.0.0.1'] : [],
        now: Date.now(),
      });
    const pair = await make('mini', 'server');
    const seen: (string | undefined)[] = [];
    const store = openMemory({ clock: systemClock });
    cleanup(() => store.close());
    const server = serverOn(store, ({ certificate }) => {
      seen.push(certificate?.commonName);
      return Promise.resolve(ANYONE);
    });
    cleanup(() => server.close());
    const tls = { cert: pair.certificate, key: pair.key, clientCa: ca.certificate };
    const { port } = await server.listen({ host: '127.0.0.1', port: 0, tls });
    const dir = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
    cleanup(() => rm(dir, { recursive: true }));
    const path = join(dir, 'config');
    const text = formatKubeconfig({
      server: `https://127.0.0.1:${port}`,
      ca: ca.certificate,
      client: await make('alice', 'client'),
    });
    await writeFile(path, text);
    const { transport, context } = loadKubeconfig({ paths: ['/nonexistent', path] });
    assert.is(context, 'default');
    const { items } = await connect(transport).list('nodes');
    assert.equal([items, seen], [[], ['alice']]);
    const { tls: own, ...strange } = transport;
    assert.ok(own?.ca);
    const untrusted = await rejects(connect(strange).list('nodes'));
    assert.ok(isReason(untrusted, 'ServiceUnavailable'));
  });
});
