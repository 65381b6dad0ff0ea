import * as assert from 'uvu/assert';
import { isReason } from '../../../pkg/api/errors.ts';
import { Chunks, ExpiredToken, readToken, writeToken } from '../../../pkg/apiserver/chunks.ts';
import { suite } from '../../harness/suite.ts';

suite('Chunked lists', ({ test }) => {
  test('forgets a list after its time and says how to go on without it', () => {
    let now = 0;
    const chunks = new Chunks({ now: () => 0, monotonic: () => now, after: () => () => undefined });
    const id = chunks.keep({ items: [], revision: 7 });
    const token = readToken(writeToken({ id, revision: 7, after: 'k' }));
    assert.is(chunks.find(token)?.revision, 7);
    now += 6 * 60 * 1000;
    try {
      chunks.find(token);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, ExpiredToken);
      const { metadata, code } = (error as ExpiredToken).toStatus();
      assert.is(code, 410);
      assert.equal(readToken(metadata.continue).after, 'k');
      assert.is(chunks.find(readToken(metadata.continue)), undefined);
    }
  });

  test('keeps no more lists than its limit', () => {
    const chunks = new Chunks({ now: () => 0, monotonic: () => 0, after: () => () => undefined });
    const first = chunks.keep({ items: [], revision: 1 });
    for (let i = 0; i < 256; i += 1) chunks.keep({ items: [], revision: 1 });
    assert.throws(() => chunks.find({ id: first, revision: 1, after: '' }));
  });

  test('refuses tokens that it did not write', () => {
    for (const text of ['x', Buffer.from('{"after":1}').toString('base64url')]) {
      try {
        readToken(text);
        assert.unreachable();
      } catch (error) {
        assert.ok(isReason(error, 'BadRequest'));
      }
    }
  });
});
