/** Join tokens: both forms, and errors that tell what is wrong without showing the secret. */

import * as assert from 'uvu/assert';
import { caHash, formatToken, newBootstrapToken, parseToken } from '../../../pkg/pki/token.ts';
import { suite } from '../../harness/suite.ts';

const HASH = caHash('pem');

suite('pki/token', ({ test }) => {
  test('reads what it writes', () => {
    for (const text of [`K10${HASH}::server:s3cret`, `K10${HASH}::abc123.0123456789abcdef`]) {
      assert.is(formatToken(parseToken(text)), text);
    }
    assert.equal(parseToken('plain').secret, {
      kind: 'password',
      user: 'server',
      password: 'plain',
    });
    assert.is(parseToken(` K10${HASH}::node:a:b\n`).secret.kind, 'password');
  });

  const wrong: [string, RegExp][] = [
    ['', /empty/],
    [`K10${HASH}`, /from "::" on is missing/],
    [`K10${HASH.slice(1)}::server:x`, /64 hex digits, it has 63/],
    [`K10${HASH}::server:`, /no user or no secret/],
    [`K10${HASH}::`, /no user or no secret/],
  ];
  for (const [text, message] of wrong) {
    test(`refuses "${text.replace(HASH, '<hash>')}"`, () => {
      assert.throws(() => parseToken(text), message);
    });
  }

  test('makes bootstrap tokens of the right form', () => {
    const { id, secret } = newBootstrapToken();
    assert.match(`${id}.${secret}`, /^[a-z0-9]{6}\.[a-z0-9]{16}$/);
  });
});
