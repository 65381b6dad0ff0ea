/** The frames between pkg/runtime and a shim. */

import * as assert from 'uvu/assert';
import { encodeFrames, FrameReader } from '../../../pkg/runtime/shim-frames.ts';
import { suite } from '../../harness/suite.ts';

suite('shim frames', ({ test }) => {
  test('encodes kind, size and data', () => {
    assert.is(
      Buffer.concat(encodeFrames('I', Buffer.from('hi'))).toString('hex'),
      '49000000026869',
    );
    assert.is(Buffer.concat(encodeFrames('I', Buffer.alloc(0))).toString('hex'), '4900000000');
  });

  test('cuts data into frames that a shim accepts', () => {
    const parts = encodeFrames('I', Buffer.alloc((1 << 20) + 5));
    assert.equal(
      parts.map((part) => part.length),
      [5, 1 << 20, 5, 5],
    );
  });

  for (const size of [1, 2, 7, 100])
    test(`reads frames that arrive ${size} bytes at a time`, () => {
      const bytes = Buffer.concat([
        ...encodeFrames('H', Buffer.from('first')),
        ...encodeFrames('I', Buffer.alloc(0)),
        ...encodeFrames('R', Buffer.from('third')),
      ]);
      const reader = new FrameReader();
      const seen: string[] = [];
      for (let at = 0; at < bytes.length; at += size)
        for (const { kind, data } of reader.push(bytes.subarray(at, at + size)))
          seen.push(`${kind}:${data}`);
      assert.equal(seen, ['H:first', 'I:', 'R:third']);
    });
});
