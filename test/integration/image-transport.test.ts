/** How registries are spoken to: certificates, redirects, silence, and the store's own helper for unpacking. */

import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import * as assert from 'uvu/assert';
import { ImageError } from '../../pkg/image/image-store.ts';
import { HttpClient, readBody, TransferError } from '../../pkg/image/registry/http.ts';
import { openImageStore } from '../../pkg/image/store.ts';
import { describe, silent } from '../../pkg/log/log.ts';
import type { Clock } from '../../pkg/wait/clock.ts';
import { buildImage, digest } from '../harness/images.ts';
import { push, startProxy, startRegistry } from '../harness/registry.ts';
import { rejects, suite } from '../harness/suite.ts';
import { fakeUnpacker } from '../unit/image/fake-unpacker.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

function says(
  to: ServerResponse,
  body: string | Buffer,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): boolean {
  to.writeHead(status, headers).end(body);
  return true;
}

/** Answers with bytes until the client has had enough. */
function pour(to: ServerResponse): boolean {
  const endless = Readable.from(
    (function* () {
      for (;;) yield Buffer.alloc(65_536, 32);
    })(),
  );
  endless.pipe(to);
  to.once('close', () => endless.destroy());
  return true;
}

suite('image transport', ({ test, cleanup }) => {
  async function scratch(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'mini-transport-'));
    cleanup(() => rm(directory, { recursive: true, force: true }));
    return directory;
  }
  async function open(registriesYaml: unknown) {
    const dataDir = await scratch();
    const registries = join(dataDir, 'registries.yaml');
    await writeFile(registries, JSON.stringify(registriesYaml));
    const runtime = fakeUnpacker();
    const store = await openImageStore({ dataDir, runtime, log: silent, registries });
    cleanup(() => store.close());
    return store;
  }
  async function registryWithApp() {
    const registry = await startRegistry();
    cleanup(() => registry.close());
    const image = await buildImage({ tag: 'x', layers: [[{ name: 'a', content: 'data' }]] });
    await push(image, { host: registry.host, repository: 'app', tag: '1' });
    return { host: registry.host, image };
  }
  async function certificate() {
    const directory = await scratch();
    const [key, cert] = [join(directory, 'key'), join(directory, 'cert')];
    const subject = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    execFileSync('openssl', ['req', ...kind, '-keyout', key, '-out', cert, ...subject], {
      stdio: 'ignore',
    });
    return { path: cert, tls: { key: await readFile(key), cert: await readFile(cert) } };
  }

  test('trusts the CA that registries.yaml names, and says how when none is named', async () => {
    const { host, image } = await registryWithApp();
    const { path, tls } = await certificate();
    const proxy = await startProxy(host, () => false, tls);
    cleanup(() => proxy.close());
    const mirrors = { 'secure.invalid': { endpoint: [`https://${proxy.host}`] } };
    const configs = (more: unknown) => ({ mirrors, configs: { [proxy.host]: { tls: more } } });
    const trusting = await open(configs({ ca_file: path }));
    assert.is((await trusting.pull('secure.invalid/app:1')).id, digest(image.config));
    const careless = await open(configs({ insecure_skip_verify: true }));
    assert.is((await careless.pull('secure.invalid/app:1')).id, digest(image.config));
    // The registry behind the mirror does not exist: only the mirror's own failure is of interest.
    const strict = await open({
      mirrors: { '127.0.0.1:1': { endpoint: [`https://${proxy.host}`] } },
    });
    const error = await rejects(strict.pull('127.0.0.1:1/app:1'));
    assert.ok(error instanceof ImageError && error.code === 'Unreachable', String(error));
    assert.match(error.message, `certificate of ${proxy.host} is not trusted`);
    assert.match(error.message, 'ca_file');
    const plain = await open({ mirrors: { '127.0.0.1:1': { endpoint: [`https://${host}`] } } });
    assert.match(String(await rejects(plain.pull('127.0.0.1:1/app:1'))), 'does not speak TLS');
  });

  test('follows redirects to another host without taking credentials along', async () => {
    const { host, image } = await registryWithApp();
    const seen: (string | undefined)[] = [];
    const storage = await startProxy(host, (request) => {
      seen.push(request.headers.authorization);
      return false;
    });
    cleanup(() => storage.close());
    const front = await startProxy(host, (request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
        return true;
      }
      if (!request.url?.includes('/blobs/')) return false;
      response.writeHead(307, { location: `http://${storage.host}${request.url}` }).end();
      return true;
    });
    cleanup(() => front.close());
    const store = await open({
      configs: { [front.host]: { auth: { username: 'u', password: 'p' } } },
    });
    assert.is((await store.pull(`${front.host}/app:1`)).id, digest(image.config));
    assert.equal(seen, [undefined, undefined]);
    const circle = await startProxy(host, (request, response) => {
      response.writeHead(302, { location: request.url }).end();
      return true;
    });
    cleanup(() => circle.close());
    assert.match(String(await rejects(store.pull(`${circle.host}/app:1`))), 'circle');
  });

  test('says what is wrong with a registry that lies, and asks no more of it', async () => {
    const store = await open({});
    const config = Buffer.from('{"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}');
    const manifestOf = (size: number, count = 1) => {
      const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: DIGEST, size };
      const type = 'application/vnd.oci.image.config.v1+json';
      const described = { mediaType: type, digest: digest(config), size: config.length };
      const layers = Array.from({ length: count }, () => layer);
      return JSON.stringify({ schemaVersion: 2, config: described, layers });
    };
    const index = JSON.stringify({
      schemaVersion: 2,
      manifests: Array.from({ length: 900 }, (_, at) => ({
        ...{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: DIGEST, size: 1 },
        platform: { os: 'linux', architecture: `${at}${'x'.repeat(500)}` },
      })),
    });
    const asks = (challenge: string) => ({ 'www-authenticate': challenge });
    const cases: readonly (readonly [RegExp, Parameters<typeof startProxy>[1]])[] = [
      [/^127[^ ]+ answered with more than 4194304 bytes$/, (_, to) => pour(to)],
      [/is too large \(4503599627370496 bytes\)$/, (_, to) => says(to, manifestOf(2 ** 52))],
      [/more than 256 layers$/, (_, to) => says(to, manifestOf(5, 10_000))],
      [
        /127[^ ]+ sends more of sha256:a+ than it has$/,
        ({ url }, to) => {
          if (url?.includes('/manifests/')) return says(to, manifestOf(1000));
          return url?.includes(DIGEST) ? pour(to) : says(to, config);
        },
      ],
      [/it has linux\/0x+, .* and others$/, (_, to) => says(to, index)],
      [/is not JSON/, (_, to) => says(to, '<html>please log in</html>')],
      [
        /redirects to "file:\/\/\/etc\/passwd", which is no web address$/,
        (_, to) => says(to, '', 302, { location: 'file:///etc/passwd' }),
      ],
      [
        /redirects to "http:\/\/\[bad", which/,
        (_, to) => says(to, '', 302, { location: 'http://[bad' }),
      ],
      [
        /asks for a token but names no server/,
        (_, to) => says(to, '', 401, asks('Bearer realm="file:///x"')),
      ],
      [
        /^127[^ ]+ answered with more than 1048576 bytes$/,
        ({ url, headers }, to) =>
          url?.startsWith('/token')
            ? pour(to)
            : says(to, '', 401, asks(`Bearer realm="http://${headers.host}/token"`)),
      ],
      [
        /does not let x be read without permission/,
        ({ url, headers }, to) =>
          url?.startsWith('/token')
            ? says(to, '{"token":"another"}')
            : says(to, '', 401, asks(`Bearer realm="http://${headers.host}/token"`)),
      ],
      [
        /does not answer as a registry does .*Expected HTTP/,
        (_, to) => {
          to.socket?.end('SSH-2.0-OpenSSH\r\n');
          return true;
        },
      ],
    ];
    for (const [message, answer] of cases) {
      const evil = await startProxy('127.0.0.1:1', answer);
      cleanup(() => evil.close());
      const error = await rejects(store.pull(`${evil.host}/x:1`));
      assert.instance(error, ImageError, String(error));
      assert.match(describe(error), message, describe(error).slice(0, 300));
      assert.ok(describe(error).length < 2000, 'no longer than a status can bear');
      assert.ok(evil.requests.length <= 6, String(evil.requests));
    }
    assert.equal(store.list(), []);
  });

  test('gives up on a server that falls silent or trickles, before and within an answer', async () => {
    const tasks = new Set<() => void>();
    let time = 0;
    const clock: Clock = {
      now: () => time,
      monotonic: () => time,
      after(_delayMs, task) {
        tasks.add(task);
        return () => tasks.delete(task);
      },
    };
    const http = new HttpClient(clock);
    cleanup(() => http.close());
    const arrived = Promise.withResolvers<void>();
    const server = await startProxy('127.0.0.1:1', (request, response) => {
      if (request.url === '/begins') response.write('some');
      arrived.resolve();
      return true;
    });
    cleanup(() => server.close());
    const never = http.send({ url: `http://${server.host}/never` });
    await arrived.promise;
    time = 60_000;
    for (const task of tasks) task();
    assert.instance(await rejects(never), TransferError);
    const { body } = await http.send({ url: `http://${server.host}/begins` });
    const reading = rejects(readBody(body, 100, 'h'));
    for (const task of tasks) task();
    assert.match(String(await reading), /only \d bytes within 30 s/);
    assert.is(tasks.size, 0, 'no timer is left');
  });
});
