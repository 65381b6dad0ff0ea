/** Which logins of pull secrets are tried for an image, and in which order; files with environment variables. */

import * as assert from 'uvu/assert';
import { credentialsFor } from '../../../../pkg/agent/images/keyring.ts';
import { parseEnvFile } from '../../../../pkg/agent/pod/env-file.ts';
import type { Secret } from '../../../../pkg/api/generated/types.ts';
import { suite } from '../../../harness/suite.ts';

function secret(auths: Readonly<Record<string, object>>): Secret {
  const data = Buffer.from(JSON.stringify({ auths })).toString('base64');
  const metadata = { name: 's', uid: 'u', resourceVersion: '1', creationTimestamp: '' };
  return { apiVersion: 'v1', kind: 'Secret', metadata, data: { '.dockerconfigjson': data } };
}

const named = (username: string) => ({ username, password: 'p' });
const users = (image: string, auths: Readonly<Record<string, object>>) =>
  credentialsFor(image, [secret(auths)]).map(({ username }) => username);

suite('keyring', ({ test }) => {
  const CASES: readonly (readonly [string, string, boolean])[] = [
    ['busybox', 'https://index.docker.io/v1/', true],
    ['team/app:1', 'docker.io', true],
    ['registry.example.org/team/app:1', 'registry.example.org', true],
    ['registry.example.org/team/app:1', 'https://registry.example.org/v2/', true],
    ['registry.example.org/team/app:1', '*.example.org', true],
    ['a.b.example.org/app', '*.example.org', false],
    ['registry.example.org/team/app:1', 'registry.example.org/team', true],
    ['registry.example.org/other/app:1', 'registry.example.org/team', false],
    ['registry.example.org:5000/app', 'registry.example.org', false],
    ['registry.example.org:5000/app@sha256:00', 'registry.example.org:5000', true],
    ['registry.example.org/app', 'registry-example.org', false],
  ];
  for (const [image, key, fits] of CASES) {
    test(`${key} is ${fits ? '' : 'not '}for ${image}`, () => {
      assert.equal(users(image, { [key]: named('a') }), fits ? ['a'] : []);
    });
  }

  test('the most specific login is tried first, then the others', () => {
    const auths = {
      'r.io': named('all'),
      'r.io/team/app': named('app'),
      'r.io/team': named('team'),
    };
    assert.equal(users('r.io/team/app:1', auths), ['app', 'team', 'all']);
  });

  test('reads both kinds of secrets, with `auth` or names, and passes over what is no JSON', () => {
    const auth = Buffer.from('bob:se:cret').toString('base64');
    const old = { 'r.io': { auth } };
    const legacy = {
      ...secret({}),
      data: { '.dockercfg': Buffer.from(JSON.stringify(old)).toString('base64') },
    };
    const broken = { ...secret({}), data: { '.dockerconfigjson': 'bm8=' } };
    assert.equal(credentialsFor('r.io/app', [broken, legacy]), [
      { username: 'bob', password: 'se:cret' },
    ]);
  });
});

suite('environment files', ({ test }) => {
  test('values stand in single quotes, over several lines too; comments and blanks are passed over', () => {
    const text = "# c\n\nA='1'\n  B='two words' # why\nC='x\ny'\nA='2'\n";
    assert.equal(
      [...parseEnvFile(text)],
      [
        ['A', '2'],
        ['B', 'two words'],
        ['C', 'x\ny'],
      ],
    );
  });

  for (const [text, why] of [
    ['A=1', "line 1: it is not NAME='value'"],
    ["\nA='1", 'line 2: its quote is not closed'],
    ["A='1'2", 'line 1: something follows the value'],
    ["1A='x'", "line 1: it is not NAME='value'"],
  ] as const) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseEnvFile(text), why);
    });
  }
});
