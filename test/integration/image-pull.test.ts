/** Pulls from a real registry on loopback: plain, guarded, through mirrors, with cut transfers. */

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ImageError } from '../../pkg/image/image-store.ts';
import { openImageStore } from '../../pkg/image/store.ts';
import { silent } from '../../pkg/log/log.ts';
import { type BuiltImage, buildImage, digest } from '../harness/images.ts';
import { push, pushManifest, startProxy, startRegistry } from '../harness/registry.ts';
import { rejects, suite } from '../harness/suite.ts';
import { fakeUnpacker } from '../unit/image/fake-unpacker.ts';

const ALICE = { username: 'alice', password: 'secret' };
const BASIC = `Basic ${Buffer.from('alice:secret').toString('base64')}`;
const BIG = 3 * 1024 * 1024;

suite('image pull', ({ test, cleanup }) => {
  async function open(registriesYaml?: unknown) {
    const directory = await mkdtemp(join(tmpdir(), 'mini-pull-'));
    cleanup(() => rm(directory, { recursive: true, force: true }));
    const registries = join(directory, 'registries.yaml');
    if (registriesYaml !== undefined) await writeFile(registries, JSON.stringify(registriesYaml));
    const runtime = fakeUnpacker();
    const store = await openImageStore({ dataDir: directory, runtime, log: silent, registries });
    cleanup(() => store.close());
    return { store, directory };
  }
  async function registry(options: { isGuarded?: boolean } = {}) {
    const started = await startRegistry(options);
    cleanup(() => started.close());
    return started;
  }
  async function proxy(...options: Parameters<typeof startProxy>) {
    const started = await startProxy(...options);
    cleanup(() => started.close());
    return started;
  }
  const sample = (content = 'data', architecture?: string): Promise<BuiltImage> =>
    buildImage({
      tag: 'unused',
      layers: [[{ name: 'a', content }], [{ name: 'b', content: 'more' }]],
      ...(architecture === undefined ? {} : { architecture }),
    });
  function codeOf(error: unknown): string {
    return error instanceof ImageError ? error.code : `no ImageError: ${String(error)}`;
  }

  test('pulls by tag and by digest', async () => {
    const { host } = await registry();
    const image = await sample();
    await push(image, { host, repository: 'team/app', tag: 'v1' });
    const { store } = await open();
    const progress = new Map<string, number>();
    const pulled = await store.pull(`${host}/team/app:v1`, {
      onProgress: ({ layer, doneBytes }) => progress.set(layer, doneBytes),
    });
    assert.is(pulled.id, digest(image.config));
    assert.equal(pulled.tags, [`${host}/team/app:v1`]);
    assert.equal(pulled.digests, [`${host}/team/app@${digest(image.manifest)}`]);
    assert.is(pulled.isPinned, false);
    assert.is(await readFile(join(pulled.layers[1] ?? '', 'a'), 'utf8'), 'data');
    for (const { packed } of image.layers) assert.is(progress.get(digest(packed)), packed.length);
    const byDigest = await store.pull(`${host}/team/app@${digest(image.manifest)}`);
    assert.is(byDigest.id, pulled.id);
    assert.equal(byDigest.tags, pulled.tags);
  });

  test('chooses this host from an index, and names what there is when it is missing', async () => {
    const { host } = await registry();
    const own = process.arch === 'arm64' ? 'arm64' : 'amd64';
    const image = await sample('own', own);
    const other = await sample('other', 's390x');
    const to = { host, repository: 'multi', type: 'application/vnd.oci.image.index.v1+json' };
    await push(image, { ...to, tag: 'own' });
    await push(other, { ...to, tag: 'other' });
    const indexOf = (images: readonly (readonly [BuiltImage, string])[]) =>
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: to.type,
          manifests: images.map(([{ manifest }, architecture]) => ({
            mediaType: 'application/vnd.oci.image.manifest.v1+json',
            digest: digest(manifest),
            size: manifest.length,
            platform: { os: 'linux', architecture },
          })),
        }),
      );
    const both = indexOf([
      [other, 's390x'],
      [image, own],
    ]);
    await pushManifest(both, { ...to, tag: 'both' });
    await pushManifest(indexOf([[other, 's390x']]), { ...to, tag: 'foreign' });
    const { store } = await open();
    const pulled = await store.pull(`${host}/multi:both`);
    assert.is(pulled.id, digest(image.config));
    assert.equal(
      pulled.digests,
      [`${host}/multi@${digest(both)}`],
      'of the index, as docker has it',
    );
    const error = await rejects(store.pull(`${host}/multi:foreign`));
    assert.is(codeOf(error), 'NotFound');
    assert.match(String(error), 'linux/s390x');
  });

  test('signs in with basic credentials: given, from registries.yaml, and says so when refused', async () => {
    const { host } = await registry({ isGuarded: true });
    await push(await sample(), { host, repository: 'app', tag: '1' }, BASIC);
    const { store } = await open();
    assert.is(codeOf(await rejects(store.pull(`${host}/app:1`))), 'Unauthorized');
    const wrong = { credentials: [{ username: 'alice', password: 'wr0ng' }] };
    const error = await rejects(store.pull(`${host}/app:1`, wrong));
    assert.is(codeOf(error), 'Unauthorized');
    assert.match(String(error), host);
    assert.not.match(String(error), 'wr0ng');
    await store.pull(`${host}/app:1`, { credentials: [...wrong.credentials, ALICE] });
    const configured = await open({ configs: { [host]: { auth: ALICE } } });
    await configured.store.pull(`${host}/app:1`);
  });

  test('fetches a bearer token from the server that the registry names', async () => {
    const { host: origin } = await registry();
    await push(await sample(), { host: origin, repository: 'app', tag: '1' });
    const asked: string[] = [];
    const guarded = await proxy(origin, (request, response) => {
      const isToken = request.url?.startsWith('/token') === true;
      if (isToken) {
        asked.push(`${request.url} ${request.headers.authorization}`);
        response.end(JSON.stringify({ token: 'T1' }));
        return true;
      }
      if (request.headers.authorization === 'Bearer T1') return false;
      response.writeHead(401, {
        'www-authenticate': `Bearer realm="http://${request.headers.host}/token",service="reg",scope="repository:app:pull"`,
      });
      response.end();
      return true;
    });
    const { store } = await open();
    await store.pull(`${guarded.host}/app:1`, { credentials: [ALICE] });
    assert.equal(asked, [`/token?service=reg&scope=repository%3Aapp%3Apull ${BASIC}`]);
  });

  test('goes on where a transfer was cut, and counts only attempts without progress', async () => {
    const { host: origin } = await registry();
    // Random bytes do not compress, so that the layer is as large as it looks.
    const content = Buffer.from(crypto.getRandomValues(new Uint8Array(65536))).toString('base64');
    const image = await buildImage({
      tag: 'x',
      layers: [[{ name: 'big', content: content.repeat(BIG / content.length + 1) }]],
      compression: 'none',
    });
    await push(image, { host: origin, repository: 'app', tag: '1' });
    const layer = image.layers[0]?.packed ?? Buffer.alloc(0);
    const ranges: (string | undefined)[] = [];
    const flaky = await proxy(origin, (request, response) => {
      if (!request.url?.includes(digest(layer))) return false;
      const { range } = request.headers;
      ranges.push(range);
      const from = Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
      if (ranges.length > 8) return false;
      response.writeHead(from > 0 ? 206 : 200, { 'content-length': layer.length - from });
      response.write(layer.subarray(from, from + 100_000), () => response.destroy());
      return true;
    });
    const { store } = await open();
    const pulled = await store.pull(`${flaky.host}/app:1`);
    assert.is(pulled.id, digest(image.config));
    assert.is(ranges[0], undefined);
    assert.ok(ranges.length > 8 && ranges.slice(1).every((range) => range?.startsWith('bytes=')));
  });

  test('refuses content that is not what its digest says, and keeps none of it', async () => {
    const { host: origin } = await registry();
    const image = await sample();
    await push(image, { host: origin, repository: 'app', tag: '1' });
    const evil = await proxy(origin, (request, response) => {
      const layer = image.layers[0]?.packed ?? Buffer.alloc(0);
      if (!request.url?.includes(digest(layer))) return false;
      response.end(Buffer.alloc(layer.length, 7));
      return true;
    });
    const { store, directory } = await open();
    const error = await rejects(store.pull(`${evil.host}/app:1`));
    assert.is(codeOf(error), 'Corrupt');
    assert.equal(store.list(), []);
    assert.equal(await readdir(join(directory, 'images/ingest')), []);
    assert.equal(await readdir(join(directory, 'images/layers')), ['empty']);
  });

  test('makes two pulls of one image one, and ends it when both callers are gone', async () => {
    const { host: origin } = await registry();
    await push(await sample(), { host: origin, repository: 'app', tag: '1' });
    const counting = await proxy(origin, () => false);
    const { store } = await open();
    const reference = `${counting.host}/app:1`;
    const gone = new AbortController();
    const [one, two, three] = await Promise.allSettled([
      store.pull(reference),
      store.pull(reference),
      (async () => {
        const pulled = store.pull(reference, {}, gone.signal);
        gone.abort(new Error('gone'));
        return pulled;
      })(),
    ]);
    assert.is(one.status, 'fulfilled');
    assert.is(two.status, 'fulfilled');
    assert.is(three.status === 'rejected' && String(three.reason), 'Error: gone');
    assert.is(counting.requests.length, 4, 'one manifest, one config, two layers');
    const silentHost = await proxy(origin, () => true);
    const stop = new AbortController();
    const stuck = store.pull(`${silentHost.host}/app:1`, {}, stop.signal);
    stop.abort(new Error('enough'));
    assert.is(String(await rejects(stuck)), 'Error: enough');
  });

  test('asks mirrors first, with rewritten names, and then the registry itself', async () => {
    const { host } = await registry();
    const image = await sample();
    await push(image, { host, repository: 'hub/library/app', tag: '1' });
    const mirror = await proxy(host, () => false);
    const { store } = await open({
      mirrors: {
        'docker.io': {
          endpoint: [`http://${mirror.host}`],
          rewrite: { '^library/(.*)': `hub/library/$1` },
        },
        'example.invalid': { endpoint: ['http://127.0.0.1:1', `http://${host}`] },
      },
    });
    const pulled = await store.pull('app:1');
    assert.equal(pulled.tags, ['docker.io/library/app:1']);
    assert.match(mirror.requests[0] ?? '', '/v2/hub/library/app/manifests/1?ns=docker.io');
    const fallback = await store.pull('example.invalid/hub/library/app:1');
    assert.is(fallback.id, pulled.id);
  });

  test('says in plain words what is wrong: no such image, nobody there', async () => {
    const { host } = await registry();
    const { store } = await open();
    const missing = await rejects(store.pull(`${host}/nothing:1`));
    assert.is(codeOf(missing), 'NotFound');
    assert.match(String(missing), `${host} has no nothing`);
    const nobody = await rejects(store.pull('127.0.0.1:1/app'));
    assert.is(codeOf(nobody), 'Unreachable');
    assert.match(String(nobody), '127.0.0.1:1: nothing listens there');
    assert.is(codeOf(await rejects(store.pull('NOT VALID'))), 'InvalidReference');
  });
});
