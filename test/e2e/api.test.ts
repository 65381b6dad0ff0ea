/** The API of the built server as raw clients meet it: lists, watches, writes, what is refused, floods. */

import { once } from 'node:events';
import { connect as connectH2 } from 'node:http2';
import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import * as assert from 'uvu/assert';
import { encodeProtobuf } from '../../pkg/api/protobuf.ts';
import { type ApiHost, CONFIG_MAPS, startApiHost } from '../harness/api-host.ts';
import {
  eventually,
  type Json,
  type RawApi,
  type RawRequest,
  usageOf,
} from '../harness/raw-api.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 60_000;
const MERGE = 'application/merge-patch+json';
const JSON_PATCH = 'application/json-patch+json';
const APPLY = 'application/apply-patch+yaml';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';

const named = (name: string, more: object = {}) => ({ metadata: { name }, ...more });
const post = (body: RawRequest['body'], type?: string): RawRequest => ({
  method: 'POST',
  ...(body === undefined ? {} : { body }),
  ...(type ? { type } : {}),
});
const patch = (body: RawRequest['body'], type = MERGE): RawRequest => ({
  method: 'PATCH',
  ...(body === undefined ? {} : { body }),
  type,
});
const namesOf = (list: Json): string[] => list.items.map(({ metadata }: Json) => metadata.name);
const told = (events: readonly { readonly type: string; readonly object: Json }[]) =>
  events.map(({ type, object }) => `${type} ${object.metadata.name}`);

suite('e2e/api', ({ test, cleanup }) => {
  async function start(): Promise<ApiHost> {
    const started = await startApiHost();
    cleanup(() => started.close());
    return started;
  }

  test(
    'lists: chunks of one revision over changes, revisions that are too new, unknown or contradictory',
    async () => {
      const started = await start();
      const { api } = started;
      const system = '/api/v1/namespaces/kube-public/configmaps';
      for (let i = 0; i < 9; i += 1) await api.ok(system, post(named(`c${i}`)));
      const first = await api.ok(`${system}?limit=4`);
      await api.ok(`${system}/c6`, { method: 'DELETE' });
      await api.ok(system, post(named('c65')));
      const next = `${system}?limit=4&continue=${first.metadata.continue}`;
      const second = await api.ok(next);
      assert.equal(namesOf(second), ['c4', 'c5', 'c6', 'c7']);
      assert.is(second.metadata.resourceVersion, first.metadata.resourceVersion);
      assert.is(first.metadata.remainingItemCount - second.metadata.remainingItemCount, 4);
      for (const [query, code, message] of [
        ['limit=4&continue=garbage', 400, /continue key is not valid/],
        [`continue=${first.metadata.continue}&resourceVersion=7`, 400, /not allowed when using/],
        ['resourceVersion=abc', 400, /invalid resource version/],
        ['resourceVersion=99999999999999999999', 400, /invalid resource version/],
        ['resourceVersion=999999999', 504, /Too large resource version: 999999999, current: \d+/],
        ['resourceVersionMatch=Exact', 422, /forbidden unless resourceVersion is provided/],
        ['resourceVersion=0&resourceVersionMatch=Exact', 422, /forbidden for resourceVersion "0"/],
        ['limit=-1', 400, /limit/],
        ['labelSelector=a+in+(', 400, /labelSelector/],
        ['fieldSelector=spec.foo%3D1', 400, /field label not supported: spec.foo/],
        ['sendInitialEvents=true', 422, /forbidden for list/],
      ] as const) {
        const refusal = await api.ok(`${system}?${query}`, { code });
        assert.is(refusal.kind, 'Status');
        assert.match(refusal.message, message, query);
      }
      await api.ok(`${CONFIG_MAPS}?continue=${first.metadata.continue}`, { code: 400 });
      // A past revision, also from the disk.
      const past = `${system}?resourceVersionMatch=Exact&resourceVersion=${first.metadata.resourceVersion}`;
      for (const at of ['now', 'after a restart']) {
        const then = await api.ok(past);
        assert.is(then.metadata.resourceVersion, first.metadata.resourceVersion, at);
        assert.equal(
          namesOf(then).filter((name) => name.startsWith('c')),
          ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8'],
        );
        assert.is((await api.ok(`${past}&limit=4`)).items.length, 4);
        if (at === 'now') await started.restart();
      }
      assert.equal(
        namesOf(await api.ok(`${system}?resourceVersion=0&fieldSelector=metadata.name%3Dc1`)),
        ['c1'],
      );
      const many = Array.from({ length: 10_000 }, (_, i) => `k${i}!=v${i}`).join(',');
      const all = await api.ok(`${system}?labelSelector=${encodeURIComponent(many)}`);
      assert.is(all.items.length, 10);
    },
    TIMEOUT_MS,
  );

  test(
    'watches: history across kill -9, initial events, selectors, timeouts, expired chunks',
    async () => {
      const started = await start();
      const { api } = started;
      const since = (await api.ok(CONFIG_MAPS)).metadata.resourceVersion;
      await api.ok(CONFIG_MAPS, post(named('w', { data: { n: '1' } })));
      await api.ok(CONFIG_MAPS, post(named('x')));
      await api.ok(`${CONFIG_MAPS}/w`, patch({ data: { n: '2' } }));
      await api.ok(`${CONFIG_MAPS}/w`, { method: 'DELETE' });
      const chunk = await api.ok(`${CONFIG_MAPS}?limit=1`);
      const live = await api.watch(`${CONFIG_MAPS}?watch=1&resourceVersion=${since}`);
      await live.until('four events', (events) => events.length === 4);
      await started.restart();
      const again = await api.watch(
        `${CONFIG_MAPS}?watch=1&resourceVersion=${since}&fieldSelector=metadata.name%3Dw`,
      );
      await again.until('the history', (events) => events.length === 3);
      assert.equal(told(again.events), ['ADDED w', 'MODIFIED w', 'DELETED w']);
      assert.equal(again.events[1]?.object, live.events[2]?.object);
      again.stop();
      const expired = await api.ok(`${CONFIG_MAPS}?limit=1&continue=${chunk.metadata.continue}`, {
        code: 410,
      });
      assert.is(expired.reason, 'Expired');
      assert.ok(
        (await api.ok(`${CONFIG_MAPS}?continue=${expired.metadata.continue}`)).items.length > 0,
      );

      const initial = await api.watch(
        `${CONFIG_MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=3`,
      );
      await initial.until('the bookmark', (events) => events.at(-1)?.type === 'BOOKMARK');
      const { annotations } = initial.events.at(-1)?.object.metadata ?? {};
      assert.equal(annotations, { 'k8s.io/initial-events-end': 'true' });
      assert.equal(told(initial.events.slice(0, -1)), ['ADDED kube-root-ca.crt', 'ADDED x']);
      await eventually('its timeout', initial.isOver);

      const on = await api.watch(`${CONFIG_MAPS}?watch=1&labelSelector=s%3Don`);
      await api.ok(CONFIG_MAPS, post(named('t')));
      for (const s of ['on', 'off', 'on', 'on']) {
        await api.ok(`${CONFIG_MAPS}/t`, patch({ metadata: { labels: { s } }, data: { s } }));
      }
      await api.ok(`${CONFIG_MAPS}/t`, patch({ data: { more: '1' } }));
      await api.ok(`${CONFIG_MAPS}/t`, { method: 'DELETE' });
      await on.until('five events', (events) => events.length === 5);
      assert.equal(
        on.events.map(({ type }) => type),
        ['ADDED', 'DELETED', 'ADDED', 'MODIFIED', 'DELETED'],
      );
      on.stop();
      const tooNew = await api.watch(`${CONFIG_MAPS}?watch=1&resourceVersion=999999999`);
      await tooNew.until('an error', (events) => events[0]?.type === 'ERROR');
      assert.match(tooNew.events[0]?.object.message, /Too large resource version/);
    },
    TIMEOUT_MS,
  );

  test(
    'writes: 64 updaters lose nothing; finalizers, generation, dry run, apply conflicts',
    async () => {
      const { api } = await start();
      const path = `${CONFIG_MAPS}/counter`;
      await api.ok(CONFIG_MAPS, post(named('counter', { data: { n: '0' } })));
      const increments = Array.from({ length: 64 }, async () => {
        for (;;) {
          const current = await api.ok(path);
          const body = { ...current, data: { n: String(Number(current.data.n) + 1) } };
          const { code } = await api.call(path, { method: 'PUT', body });
          if (code === 200) return;
          assert.is(code, 409);
        }
      });
      await Promise.all(increments);
      const counted = await api.ok(path);
      assert.equal(counted.data, { n: '64' });
      const at = (resourceVersion: string) => ({
        method: 'PUT',
        body: { ...counted, metadata: { ...counted.metadata, resourceVersion } },
      });
      const refused = await api.ok(path, { ...at('abc'), code: 422 });
      assert.match(refused.message, /metadata.resourceVersion: Invalid value: "abc"/);
      await api.ok(path, { ...at('1'), code: 409 });
      await api.ok(path, at('0'));

      const held = `${CONFIG_MAPS}/held`;
      await api.ok(CONFIG_MAPS, post({ metadata: { name: 'held', finalizers: ['x.io/y'] } }));
      assert.ok((await api.ok(held, { method: 'DELETE' })).metadata.deletionTimestamp);
      const more = patch({ metadata: { finalizers: ['x.io/y', 'x.io/z'] } });
      assert.match((await api.ok(held, { ...more, code: 422 })).message, /no new finalizers/);
      await api.ok(held, patch({ metadata: { finalizers: null } }));
      await api.ok(held, { code: 404 });

      const template = {
        metadata: { labels: { a: 'b' } },
        spec: { containers: [{ name: 'c', image: 'x' }] },
      };
      const spec = { replicas: 0, selector: { matchLabels: { a: 'b' } }, template };
      await api.ok(DEPLOYMENTS, post(named('d', { spec })));
      const generations: number[] = [];
      for (const [suffix, body] of [
        ['', { spec: { paused: true }, status: { observedGeneration: 99 } }],
        ['/status', { spec: { replicas: 5 }, status: { collisionCount: 9 } }],
        ['', { metadata: { labels: { x: 'y' } } }],
      ] as const) {
        const changed = await api.ok(`${DEPLOYMENTS}/d${suffix}`, patch(body));
        generations.push(changed.metadata.generation);
        assert.is(changed.spec.replicas, 0);
        assert.is.not(changed.status.observedGeneration, 99);
      }
      assert.equal(generations, [2, 2, 2]);

      const dry = await api.ok(`${CONFIG_MAPS}?dryRun=All`, post(named('dry')));
      assert.not('resourceVersion' in dry.metadata);
      await api.ok(`${CONFIG_MAPS}/dry`, { code: 404 });
      const apply = (value: string) =>
        patch(
          `{apiVersion: v1, kind: ConfigMap, metadata: {name: ap}, data: {a: "${value}"}}`,
          APPLY,
        );
      await api.ok(`${CONFIG_MAPS}/ap?fieldManager=one`, { ...apply('1'), code: 201 });
      const clash = await api.ok(`${CONFIG_MAPS}/ap?fieldManager=two`, {
        ...apply('2'),
        code: 409,
      });
      assert.is(clash.message, 'Apply failed with 1 conflict: conflict with "one": .data.a');
      await api.ok(`${CONFIG_MAPS}/ap?fieldManager=two&force=true`, apply('2'));
    },
    TIMEOUT_MS,
  );

  test(
    'encodings: protobuf in and out, gzip, HTTP/2, YAML, strict and lenient fields',
    async () => {
      const { api } = await start();
      const object = { apiVersion: 'v1', kind: 'ConfigMap', ...named('p', { data: { a: 'b' } }) };
      const body = encodeProtobuf(object);
      const made = await api.call(CONFIG_MAPS, {
        ...post(body, PROTOBUF),
        headers: { accept: PROTOBUF },
      });
      assert.is(made.code, 201);
      assert.is(made.bytes.subarray(0, 4).toString(), 'k8s\0');
      assert.equal((await api.ok(`${CONFIG_MAPS}/p`)).data, { a: 'b' });
      await api.ok(
        CONFIG_MAPS,
        post('metadata: {name: yaml}\ndata: {a: "1"}\n', 'application/yaml'),
      );
      await api.ok(CONFIG_MAPS, post(named('big', { data: { a: 'x'.repeat(900_000) } })));
      const headers = { 'accept-encoding': 'gzip' };
      const packed = await api.call(`${CONFIG_MAPS}/big`, { headers });
      assert.is(packed.headers['content-encoding'], 'gzip');
      assert.is(JSON.parse(gunzipSync(packed.bytes).toString()).data.a.length, 900_000);
      assert.is(await overH2(api, `${CONFIG_MAPS}/p`), 200);

      const odd = '{"metadata":{"name":"s","foo":1},"dat":{},"data":{"a":"1","a":"2"}}';
      const strict = await api.ok(`${CONFIG_MAPS}?fieldValidation=Strict`, {
        ...post(odd),
        code: 400,
      });
      assert.match(
        strict.message,
        /strict decoding error: unknown field "metadata.foo", unknown field "dat", duplicate field "data.a"$/,
      );
      const lenient = await api.call(CONFIG_MAPS, post(odd));
      assert.is(lenient.code, 201);
      assert.match(String(lenient.headers['warning']), /299 - .*unknown field .*duplicate field/);
    },
    TIMEOUT_MS,
  );

  test(
    'what no client should send is refused with a Status that says why',
    async () => {
      const started = await start();
      const { api } = started;
      await api.ok(CONFIG_MAPS, post(named('c', { data: { n: '0' } })));
      for (const [name, code, path, options] of badRequests()) {
        const answer = await api.call(path, options);
        assert.is(answer.code, code, `${name}: ${answer.bytes}`);
        assert.is(answer.json?.kind, 'Status', `${name}: ${answer.bytes}`);
        assert.ok(answer.json.message, name);
        assert.not.match(answer.json.message, /\.[cm]?[jt]s:\d+|\n +at /, name);
      }
      const raw = await bytesSent(api, 'GARBAGE\r\n\r\n');
      assert.match(raw, /^HTTP\/1\.1 400 [\s\S]*"kind":"Status"/);
      const wide = await bytesSent(api, `GET / HTTP/1.1\r\nx: ${'y'.repeat(1_100_000)}\r\n\r\n`);
      assert.match(wide, /^HTTP\/1\.1 431 [\s\S]*"kind":"Status"/);
      assert.equal((await api.ok(`${CONFIG_MAPS}/c`)).data, { n: '0' });
      started.checkOutput();
    },
    TIMEOUT_MS,
  );

  test(
    'floods of watches, slow headers and broken-off requests leave nothing behind',
    async () => {
      const started = await start();
      const { api, server } = started;
      const pid = server.pid();
      const flood = async () => {
        const watches = await Promise.all(Array.from({ length: 200 }, () => idleWatch(api)));
        const slow = await Promise.all(Array.from({ length: 100 }, () => slowHeaders(api)));
        for (let i = 0; i < 200; i += 1) void brokenOff(api);
        assert.is((await api.call('/readyz')).code, 200);
        for (const each of [...watches, ...slow]) each.destroy();
      };
      const before = usageOf(pid);
      await flood();
      const settled = async () => usageOf(pid).handles <= before.handles + 5;
      await eventually('closed handles', settled, () => [before, usageOf(pid)]);
      const first = usageOf(pid);
      await flood();
      await flood();
      await eventually('closed handles', settled, () => [before, usageOf(pid)]);
      const grown = usageOf(pid).rssMb - first.rssMb;
      assert.ok(grown < 60, `${grown} MB more after two further floods`);
      started.checkOutput();
    },
    TIMEOUT_MS,
  );
});

type BadRequest = readonly [name: string, code: number, path: string, options?: RawRequest];

function badRequests(): readonly BadRequest[] {
  const one = `${CONFIG_MAPS}/c`;
  const invalidUtf8 = Buffer.from('{"metadata":{"name":"\xff\xfe"}}', 'latin1');
  const deep = `{"metadata":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`;
  const aliases = Array.from({ length: 8 }, (_, i) => {
    const items = Array.from({ length: 9 }, () => (i === 0 ? 'x' : `*k${i - 1}`));
    return `k${i}: &k${i} [${items.join(',')}]\n`;
  }).join('');
  const operations = Array.from({ length: 20_000 }, () => ({ op: 'test', path: '/a', value: 1 }));
  return [
    ['cut-off JSON', 400, CONFIG_MAPS, post('{"metadata":')],
    ['a list', 400, CONFIG_MAPS, post('[]')],
    ['null', 400, CONFIG_MAPS, post('null')],
    ['no body', 400, CONFIG_MAPS, post('')],
    ['deep lists', 400, CONFIG_MAPS, post('['.repeat(100_000))],
    ['deep objects', 422, CONFIG_MAPS, post(deep)],
    ['bad UTF-8 in a name', 422, CONFIG_MAPS, post(invalidUtf8)],
    ['bad YAML', 400, CONFIG_MAPS, post('a: [\n b: : :\n', 'application/yaml')],
    ['a YAML bomb', 400, CONFIG_MAPS, post(aliases, 'application/yaml')],
    ['a type nobody knows', 415, CONFIG_MAPS, post('hello', 'text/plain')],
    ['bad protobuf', 400, CONFIG_MAPS, post(Buffer.from('k8s\0\xff\xff\xff', 'latin1'), PROTOBUF)],
    ['no protobuf', 400, CONFIG_MAPS, post('hello', PROTOBUF)],
    ['over 3 MiB', 413, CONFIG_MAPS, post('x'.repeat(4 << 20))],
    ['after it, on the same connection', 422, CONFIG_MAPS, post(named('A'))],
    [
      'a ConfigMap over 1 MiB',
      422,
      CONFIG_MAPS,
      post(named('b', { data: { a: 'x'.repeat(2 << 20) } })),
    ],
    ['a name that climbs', 422, CONFIG_MAPS, post(named('../x'))],
    ['a path that climbs', 404, '/api/v1/namespaces/../../etc/passwd'],
    ['an escaped path that climbs', 404, `${CONFIG_MAPS}/..%2f..%2fsecrets`],
    ['a name with NUL', 404, `${CONFIG_MAPS}/a%00b`],
    ['a bad escape', 404, `${CONFIG_MAPS}/%zz%ff`],
    ['a very long path', 404, `/api/v1/${'x'.repeat(12_000)}`],
    ['a method nobody knows', 405, CONFIG_MAPS, { method: 'PROPFIND' }],
    ['names of JavaScript', 404, '/apis/__proto__/v1/constructor'],
    ['a resource of JavaScript', 404, '/api/v1/namespaces/default/constructor'],
    ['a number for a text', 400, CONFIG_MAPS, post({ metadata: { name: 5 } })],
    ['another kind', 400, CONFIG_MAPS, post({ kind: 'Secret', apiVersion: 'v1', ...named('x') })],
    ['another namespace', 400, CONFIG_MAPS, post({ metadata: { name: 'x', namespace: 'y' } })],
    ['a bad dryRun', 422, `${CONFIG_MAPS}?dryRun=Some`, post(named('x'))],
    ['a bad fieldValidation', 400, `${CONFIG_MAPS}?fieldValidation=x`, post(named('x'))],
    ['a missing path', 422, one, patch([{ op: 'remove', path: '/x/y' }], JSON_PATCH)],
    ['a failed test', 422, one, patch([{ op: 'test', path: '/data/n', value: '7' }], JSON_PATCH)],
    ['no list of operations', 400, one, patch({}, JSON_PATCH)],
    ['an unknown operation', 400, one, patch([{ op: 'zap', path: '/data' }], JSON_PATCH)],
    ['20,000 operations', 413, one, patch(operations, JSON_PATCH)],
    ['a number as patch', 400, one, patch('5')],
    ['a patch of no type', 415, one, patch({}, 'application/json')],
    ['an apply by nobody', 400, one, patch('{}', APPLY)],
    [
      'a stale revision',
      409,
      one,
      { ...post({ metadata: { name: 'c', resourceVersion: '3' } }), method: 'PUT' },
    ],
    ['another name', 400, one, { ...post(named('d')), method: 'PUT' }],
    ['a foreign uid', 409, one, { method: 'DELETE', body: { preconditions: { uid: 'x' } } }],
    ['a bad grace period', 400, one, { method: 'DELETE', body: { gracePeriodSeconds: 'x' } }],
    ['an unknown form', 406, CONFIG_MAPS, { headers: { accept: 'image/png' } }],
    ['a bad timeout', 400, `${CONFIG_MAPS}?watch=1&timeoutSeconds=x`],
  ];
}

function options(api: RawApi) {
  const { cert, key } = api.admin;
  return { host: '127.0.0.1', port: api.port, ca: api.ca, cert, key };
}

async function overH2(api: RawApi, path: string): Promise<unknown> {
  const session = connectH2(`https://127.0.0.1:${api.port}`, options(api));
  try {
    const stream = session.request({ ':path': path });
    const [headers] = await once(stream, 'response');
    stream.resume();
    await once(stream, 'end');
    return headers[':status'];
  } finally {
    session.close();
  }
}

/** What the server answers to these bytes before it closes. */
async function bytesSent(api: RawApi, bytes: string): Promise<string> {
  const socket = connect(options(api));
  let text = '';
  socket.on('error', () => undefined);
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const closed = once(socket, 'close');
  socket.write(bytes);
  await closed;
  return text;
}

async function idleWatch(api: RawApi) {
  const path = `${CONFIG_MAPS}?watch=1&labelSelector=none`;
  const outgoing = request({ ...options(api), path, agent: false });
  outgoing.on('error', () => undefined).end();
  const [response] = await once(outgoing, 'response');
  response.on('error', () => undefined).resume();
  return outgoing;
}

async function slowHeaders(api: RawApi) {
  const socket = connect(options(api));
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write('GET /api HTTP/1.1\r\nhost: x\r\nx-slow: ');
  return socket;
}

/** A write whose client goes while it sends. */
async function brokenOff(api: RawApi): Promise<void> {
  const headers = { 'content-length': '100000', 'content-type': 'application/json' };
  const outgoing = request({
    ...options(api),
    path: CONFIG_MAPS,
    method: 'POST',
    headers,
    agent: false,
  });
  outgoing.on('error', () => undefined);
  outgoing.write('{"metadata":');
  await sleep(50);
  outgoing.destroy();
}
