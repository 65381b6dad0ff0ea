/** registries.yaml as k3s has it, and the challenges that registries make. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { parseReference } from '../../../../pkg/image/reference.ts';
import { parseChallenges } from '../../../../pkg/image/registry/auth.ts';
import { endpointsOf, loadRegistries } from '../../../../pkg/image/registry/registries.ts';
import { rejects, suite } from '../../../harness/suite.ts';

const FULL = `
mirrors:
  docker.io:
    endpoint:
      - "https://mirror.example:5000"
      - "http://cache.example/proxy/hub"
    rewrite:
      "^library/(.*)": "hub/$1"
  "*":
    endpoint: ["https://any.example"]
  self.example:
    endpoint: ["http://self.example"]
configs:
  "mirror.example:5000":
    auth: { username: u, password: p }
    tls: { ca_file: CA, insecure_skip_verify: true }
  "docker.io":
    auth: { auth: "YTpiOmM=" }
  "any.example":
    auth: { identity_token: idt }
`;

suite('registries.yaml', ({ test, cleanup }) => {
  async function load(text: string) {
    const directory = await mkdtemp(join(tmpdir(), 'mini-registries-'));
    cleanup(() => rm(directory, { recursive: true, force: true }));
    await writeFile(join(directory, 'ca'), 'certificate');
    const path = join(directory, 'registries.yaml');
    await writeFile(path, text.replace('CA', join(directory, 'ca')));
    return loadRegistries(path);
  }
  const at = async (text: string, name: string) =>
    endpointsOf(await load(text), parseReference(name));

  test('without a file each registry is asked itself: plain HTTP on loopback only', async () => {
    const none = await loadRegistries(undefined);
    const origins = (name: string) =>
      endpointsOf(none, parseReference(name)).map(({ origin, prefix }) => origin + prefix);
    assert.equal(origins('busybox'), ['https://registry-1.docker.io/v2']);
    assert.equal(origins('quay.io/a'), ['https://quay.io/v2']);
    assert.equal(origins('localhost:5000/a'), ['http://localhost:5000/v2']);
    assert.equal(origins('127.0.0.1:5000/a'), ['http://127.0.0.1:5000/v2']);
    assert.equal(origins('127.example.org/a'), ['https://127.example.org/v2']);
    assert.equal((await loadRegistries('/no/such/file')).mirrors.size, 0);
  });

  test('mirrors come first, with their names, credentials and certificates; the registry last', async () => {
    const [first, second, own] = await at(FULL, 'busybox');
    assert.is(first?.origin, 'https://mirror.example:5000');
    assert.is(first?.repository, 'hub/busybox');
    assert.is(first?.mirrorOf, 'docker.io');
    assert.equal(first?.credentials, { username: 'u', password: 'p' });
    assert.is(first?.tls?.isInsecure, true);
    assert.is(String(first?.tls?.ca), 'certificate');
    assert.is(second?.prefix, '/proxy/hub', 'a path is taken as it stands');
    assert.is(own?.origin, 'https://registry-1.docker.io');
    assert.is(own?.repository, 'library/busybox');
    assert.is(own?.mirrorOf, undefined);
    assert.equal(own?.credentials, { username: 'a', password: 'b:c' });
  });

  test('the star stands for every other registry; an endpoint may be the registry itself', async () => {
    const [any, own] = await at(FULL, 'quay.io/team/app');
    assert.is(any?.origin, 'https://any.example');
    assert.equal(any?.credentials, { identityToken: 'idt' });
    assert.is(own?.origin, 'https://quay.io');
    const self = await at(FULL, 'self.example/app');
    assert.equal(
      self.map(({ origin, mirrorOf }) => [origin, mirrorOf]),
      [['http://self.example', undefined]],
    );
  });

  const wrong: readonly (readonly [text: string, why: string])[] = [
    ['mirrors: [a]', 'mirrors is not a mapping'],
    ['mirrors: {a: {endpoint: x}}', 'not a list'],
    ['mirrors: {a: {endpoint: ["http://%"]}}', 'not an address'],
    ['configs: {a: {auth: {auth: "!"}}}', 'not base64 of user:password'],
    ['configs: {a: {tls: {ca_file: /no/such}}}', 'ENOENT'],
    ['a: [', 'is not valid'],
  ];
  for (const [text, why] of wrong) {
    test(`says what is wrong: ${why}`, async () => {
      assert.match(String(await rejects(load(text))), why);
    });
  }

  test('challenges are taken apart', () => {
    const header =
      'Bearer realm="https://a/t?x=\\"1\\"",service=reg,scope="repository:a/b:pull,push", Basic realm="r"';
    assert.equal(parseChallenges(header), [
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://a/t?x="1"',
          service: 'reg',
          scope: 'repository:a/b:pull,push',
        },
      },
      { scheme: 'basic', parameters: { realm: 'r' } },
    ]);
    assert.equal(parseChallenges('Basic'), [{ scheme: 'basic', parameters: {} }]);
    assert.equal(parseChallenges(''), []);
  });
});
