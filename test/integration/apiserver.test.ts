/** The verbs of the API server through its handler, on the real registry and the in-memory store. */

import * as assert from 'uvu/assert';
import type { WatchEvent } from '../../pkg/api/meta.ts';
import { type Answered, startApiServer, type TestServer } from '../harness/api-server.ts';
import { suite } from '../harness/suite.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const PODS = '/api/v1/namespaces/default/pods';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';

function map(name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data };
}

function deployment(name: string) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'c', image: 'x' }] },
      },
    },
  };
}

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: { containers: [{ name: 'c', image: 'x' }] },
};

const post = (body: object) => ({ method: 'POST', body, status: 201 });
const message = (answer: Answered) => String(answer['message']);

async function watchOf(server: TestServer, url: string, signal: AbortSignal) {
  const response = await server.ask(url, { signal });
  if (response.kind !== 'watch') throw new Error(JSON.stringify(response));
  const batches = response.events[Symbol.asyncIterator]();
  const queue: WatchEvent[] = [];
  return async () => {
    while (queue.length === 0) {
      const { value, done } = await batches.next();
      if (done) return undefined;
      queue.push(...value);
    }
    return queue.shift();
  };
}

suite('API server', ({ test, cleanup }) => {
  const start = async () => {
    const server = await startApiServer();
    cleanup(server.close);
    return server;
  };

  test('creates with what the server owns, and refuses a second of the name', async () => {
    const { object } = await start();
    const made = await object(MAPS, post(map('a')));
    assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/);
    assert.match(made.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.is(made.metadata.namespace, 'default');
    const again = await object(MAPS, { ...post(map('a')), status: 409 });
    assert.is(message(again), 'configmaps "a" already exists');
    assert.is(again['reason'], 'AlreadyExists');
  });

  test('generates names', async () => {
    const { object } = await start();
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'web-' } };
    const made = await object(MAPS, post(body));
    assert.match(made.metadata.name, /^web-[a-z0-9]{5}$/);
  });

  test('refuses what does not fit its type or its path', async () => {
    const { object } = await start();
    const cases = [
      [{ ...map('a'), data: 3 }, 400, /cannot unmarshal number/],
      [{ ...map('a'), kind: 'Secret' }, 400, /cannot be handled as a ConfigMap/],
      [{ ...map('a'), apiVersion: 'v2' }, 400, /does not match the expected API version/],
      [map('UPPER'), 422, /RFC 1123 subdomain/],
      [{ ...map('a'), metadata: {} }, 422, /name or generateName is required/],
      [
        { ...map('a'), metadata: { name: 'a', namespace: 'x' } },
        400,
        /does not match the namespace/,
      ],
      [{ ...map('a'), metadata: { name: 'a', resourceVersion: '1' } }, 400, /should not be set/],
    ] as const;
    for (const [body, status, expected] of cases) {
      const answer = await object(MAPS, { method: 'POST', body, status });
      assert.match(message(answer), expected);
    }
  });

  test('warns of unknown fields, or refuses them when asked to be strict', async () => {
    const { ask, object } = await start();
    const body = { ...map('a'), nonsense: 1 };
    const warned = await ask(MAPS, { method: 'POST', body });
    assert.is(
      warned.kind === 'object' && warned.headers?.['warning'],
      '299 - "unknown field \\"nonsense\\""',
    );
    const strict = await object(`${MAPS}?fieldValidation=Strict`, {
      method: 'POST',
      body,
      status: 400,
    });
    assert.match(message(strict), /strict decoding error: unknown field "nonsense"/);
  });

  test('stores nothing on a dry run', async () => {
    const { object } = await start();
    await object(`${MAPS}?dryRun=All`, post(map('a')));
    const gone = await object(`${MAPS}/a`, { status: 404 });
    assert.is(message(gone), 'configmaps "a" not found');
  });

  test('replaces only the revision that the client has seen', async () => {
    const { object } = await start();
    const first = await object(MAPS, post(map('a', { x: '1' })));
    const body = { ...first, data: { x: '2' } };
    const second = await object(`${MAPS}/a`, { method: 'PUT', body });
    assert.equal(second['data'], { x: '2' });
    const stale = await object(`${MAPS}/a`, { method: 'PUT', body, status: 409 });
    assert.is(
      message(stale),
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    );
    const same = await object(`${MAPS}/a`, { method: 'PUT', body: second });
    assert.is(same.metadata.resourceVersion, second.metadata.resourceVersion);
  });

  test('counts generations by changes of the spec and keeps status apart', async () => {
    const { object } = await start();
    await object(DEPLOYMENTS, post(deployment('d')));
    const patched = {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
    };
    const url = `${DEPLOYMENTS}/d`;
    const scaled = await object(url, {
      ...patched,
      body: { spec: { replicas: 3 }, status: { replicas: 9 } },
    });
    assert.is(scaled.metadata.generation, 2);
    assert.equal(scaled.status, {});
    const status = await object(`${url}/status`, {
      ...patched,
      body: { spec: { replicas: 5 }, status: { replicas: 3 } },
    });
    assert.is(status.metadata.generation, 2);
    assert.equal(status.status, { replicas: 3 });
    assert.is(status.spec['replicas'], 3);
    const scale = await object(`${url}/scale`);
    assert.equal([scale.kind, scale.spec], ['Scale', { replicas: 3 }]);
    await object(`${url}/scale`, { ...patched, body: { spec: { replicas: 4 } } });
    assert.is((await object(url)).spec['replicas'], 4);
  });

  test('creates by apply, and names the other manager in a conflict', async () => {
    const { object } = await start();
    const headers = { 'content-type': 'application/apply-patch+yaml' };
    const apply = (manager: string, data: object, status: number) =>
      object(`${MAPS}/a?fieldManager=${manager}`, {
        method: 'PATCH',
        headers,
        body: { ...map('a'), metadata: { name: 'a' }, data },
        status,
      });
    const made = await apply('one', { x: '1' }, 201);
    assert.is(made.metadata.managedFields?.[0]?.manager, 'one');
    const refused = await apply('two', { x: '2' }, 409);
    assert.match(message(refused), /conflict with "one"/);
    assert.equal((await apply('two', { y: '2' }, 200))['data'], { x: '1', y: '2' });
    assert.equal((await apply('one', {}, 200))['data'], { y: '2' });
  });

  test('lists in chunks of one revision, by label and by field', async () => {
    const { object } = await start();
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await object(MAPS, post(map(name, {}, { odd: String('ace'.includes(name)) })));
    }
    const first = await object(`${MAPS}?limit=2`);
    assert.equal(
      first.items.map(({ metadata }) => metadata.name),
      ['a', 'b'],
    );
    const { continue: token = '', remainingItemCount } = first.metadata as {
      continue?: string;
      remainingItemCount?: number;
    };
    assert.is(remainingItemCount, 3);
    await object(`${MAPS}/c`, { method: 'DELETE' });
    const second = await object(`${MAPS}?limit=9&continue=${token}`);
    assert.equal(
      second.items.map(({ metadata }) => metadata.name),
      ['c', 'd', 'e'],
    );
    assert.is(second.metadata.resourceVersion, first.metadata.resourceVersion);
    const odd = await object(`${MAPS}?labelSelector=odd%3Dtrue`);
    assert.equal(
      odd.items.map(({ metadata }) => metadata.name),
      ['a', 'e'],
    );
    const named = await object(`${MAPS}?fieldSelector=metadata.name%3Db`);
    assert.equal(
      named.items.map(({ metadata }) => metadata.name),
      ['b'],
    );
    const unknown = await object(`${MAPS}?fieldSelector=data.x%3Db`, { status: 400 });
    assert.match(message(unknown), /field label not supported: data\.x/);
    const future = await object(`${MAPS}?resourceVersion=999999`, { status: 504 });
    assert.match(message(future), /Too large resource version: 999999/);
  });

  test('answers with tables and with metadata', async () => {
    const { object } = await start();
    await object(MAPS, post(map('a', { x: '1' })));
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };
    const table = await object(MAPS, { headers });
    const [row] = table['rows'] as { cells: unknown[]; object: Answered }[];
    assert.equal(
      [table.kind, row?.cells.slice(0, 2), row?.object.kind],
      ['Table', ['a', 1], 'PartialObjectMetadata'],
    );
    const partial = await object(`${MAPS}/a`, {
      headers: { accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1' },
    });
    assert.equal([partial.kind, partial['data']], ['PartialObjectMetadata', undefined]);
    const refused = await object(MAPS, { headers: { accept: 'text/html' }, status: 406 });
    assert.is(refused['reason'], 'NotAcceptable');
  });

  test('watches from the state, ends it with a bookmark, and goes on', async () => {
    const server = await start();
    const stop = new AbortController();
    cleanup(() => stop.abort());
    await server.object(MAPS, post(map('a')));
    const query =
      'watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const next = await watchOf(server, `${MAPS}?${query}`, stop.signal);
    assert.is((await next())?.type, 'ADDED');
    const end = await next();
    assert.equal(
      [end?.type, end?.object.metadata.annotations],
      ['BOOKMARK', { 'k8s.io/initial-events-end': 'true' }],
    );
    await server.object(`${MAPS}/a`, { method: 'DELETE' });
    const gone = await next();
    assert.is(gone?.type, 'DELETED');
    assert.is(Number(gone?.object.metadata.resourceVersion), server.store.revision);
  });

  test('shows objects that start and stop matching as come and gone', async () => {
    const server = await start();
    const stop = new AbortController();
    cleanup(() => stop.abort());
    const next = await watchOf(
      server,
      `${MAPS}?watch=true&resourceVersion=1&labelSelector=on%3Dyes`,
      stop.signal,
    );
    const put = (on: string) =>
      server.object(`${MAPS}/a`, { method: 'PUT', body: map('a', {}, { on }) });
    await server.object(MAPS, post(map('a', {}, { on: 'no' })));
    await put('yes');
    await put('no');
    assert.is((await next())?.type, 'ADDED');
    const gone = await next();
    assert.equal([gone?.type, gone?.object.metadata.labels], ['DELETED', { on: 'yes' }]);
  });

  test('tells a watch of forgotten history to list again, and ends one in time', async () => {
    const server = await start();
    const { signal } = new AbortController();
    for (const name of ['a', 'b', 'c']) await server.object(MAPS, post(map(name)));
    await server.store.compact(server.store.revision);
    const old = await watchOf(server, `${MAPS}?watch=true&resourceVersion=1`, signal);
    const error = await old();
    assert.equal(
      [error?.type, (error?.object as Answered | undefined)?.['reason']],
      ['ERROR', 'Expired'],
    );
    assert.is(await old(), undefined);
    const short = await watchOf(
      server,
      `${MAPS}?watch=true&timeoutSeconds=1&resourceVersion=${server.store.revision}`,
      signal,
    );
    assert.is(await short(), undefined);
  });

  test('holds deleted objects for their finalizers and lets go with the last', async () => {
    const { object } = await start();
    const body = { ...map('a'), metadata: { name: 'a', finalizers: ['example.com/hold'] } };
    await object(MAPS, post(body));
    const marked = await object(`${MAPS}/a`, { method: 'DELETE' });
    assert.ok(marked.metadata.deletionTimestamp);
    const { finalizers: _finalizers, ...metadata } = marked.metadata;
    await object(`${MAPS}/a`, { method: 'PUT', body: { ...marked, metadata } });
    await object(`${MAPS}/a`, { status: 404 });
  });

  test('gives bound pods their grace period and removes unbound ones at once', async () => {
    const { object } = await start();
    await object(PODS, post(pod));
    await object(`${PODS}/p`, { method: 'DELETE' });
    await object(`${PODS}/p`, { status: 404 });
    await object(PODS, post(pod));
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'p' },
      target: { kind: 'Node', name: 'n' },
    };
    await object(`${PODS}/p/binding`, post(binding));
    await object(`${PODS}/p/binding`, { ...post(binding), status: 409 });
    const bound = await object(`${PODS}/p`);
    assert.is(bound.spec['nodeName'], 'n');
    const marked = await object(`${PODS}/p`, { method: 'DELETE', body: { gracePeriodSeconds: 9 } });
    assert.is(marked.metadata.deletionGracePeriodSeconds, 9);
    await object(`${PODS}/p`, {
      method: 'DELETE',
      body: { gracePeriodSeconds: 0, preconditions: { uid: 'x' } },
      status: 409,
    });
    await object(`${PODS}/p`, { method: 'DELETE', body: { gracePeriodSeconds: 0 } });
    await object(`${PODS}/p`, { status: 404 });
  });

  test('lets a disruption budget refuse an eviction', async () => {
    const { object, registry } = await start();
    await object(PODS, post({ ...pod, metadata: { name: 'p', labels: { app: 'a' } } }));
    await registry.modify('pods', { namespace: 'default', name: 'p' }, (current) => ({
      ...current,
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    }));
    const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
    await object(
      budgets,
      post({
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { name: 'b' },
        spec: { minAvailable: 1, selector: { matchLabels: { app: 'a' } } },
      }),
    );
    await registry.modify(
      'poddisruptionbudgets',
      { namespace: 'default', name: 'b' },
      (current) => ({
        ...current,
        status: {
          observedGeneration: 1,
          disruptionsAllowed: 0,
          currentHealthy: 1,
          desiredHealthy: 1,
          expectedPods: 1,
        },
      }),
    );
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } };
    const refused = await object(`${PODS}/p/eviction`, { ...post(eviction), status: 429 });
    assert.is(
      message(refused),
      "Cannot evict pod as it would violate the pod's disruption budget.",
    );
    await object(`${budgets}/b`, { method: 'DELETE' });
    await object(`${PODS}/p/eviction`, post(eviction));
    await object(`${PODS}/p`, { status: 404 });
  });

  test('removes a terminating namespace when its own finalizer goes', async () => {
    const { object } = await start();
    const url = '/api/v1/namespaces/default';
    const marked = await object(url, { method: 'DELETE' });
    assert.equal(marked.status, { phase: 'Terminating' });
    await object(`${url}/finalize`, { method: 'PUT', body: { ...marked, spec: {} } });
    await object(url, { status: 404 });
  });

  test('deletes collections by selector', async () => {
    const { object } = await start();
    for (const name of ['a', 'b']) await object(MAPS, post(map(name, {}, { name })));
    await object(`${MAPS}?labelSelector=name%3Da`, { method: 'DELETE' });
    assert.equal(
      (await object(MAPS)).items.map(({ metadata }) => metadata.name),
      ['b'],
    );
  });

  test('keeps every change of many writers that race', async () => {
    const { object, registry } = await start();
    await object(MAPS, post(map('a')));
    const headers = { 'content-type': 'application/merge-patch+json' };
    const writers = Array.from({ length: 20 }, (_, index) => {
      if (index % 2)
        return object(`${MAPS}/a`, {
          method: 'PATCH',
          headers,
          body: { data: { [`k${index}`]: 'x' } },
        });
      return registry.modify<Answered>(
        'configmaps',
        { namespace: 'default', name: 'a' },
        (current) => ({
          ...current,
          data: { ...(current['data'] as object), [`k${index}`]: 'x' },
        }),
      );
    });
    const lost = (await Promise.allSettled(writers)).filter(
      ({ status }) => status === 'rejected',
    ).length;
    const { data } = await object(`${MAPS}/a`);
    assert.is(Object.keys(data as object).length, 20 - lost);
    assert.is(lost, 0);
  });

  test('answers unknown paths and verbs as Kubernetes does', async () => {
    const { object } = await start();
    const cases = [
      ['/api/v1/nonsense', 'GET', 404],
      ['/nonsense', 'GET', 404],
      [`${PODS}/p/nonsense`, 'GET', 404],
      [`${MAPS}/a%2Fb`, 'GET', 404],
      ['/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', 'POST', 405],
      [`${MAPS}/a`, 'POST', 405],
      ['/api/v1/configmaps', 'POST', 405],
    ] as const;
    for (const [url, method, status] of cases) {
      const answer = await object(url, { method, body: map('a'), status });
      assert.is(answer.kind, 'Status', url);
    }
  });
});
