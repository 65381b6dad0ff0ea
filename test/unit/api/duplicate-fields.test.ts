/** Names that a JSON object has twice. */

import * as assert from 'uvu/assert';
import { decodeObject } from '../../../pkg/api/decode.ts';
import { duplicateFields } from '../../../pkg/api/duplicate-fields.ts';
import { suite } from '../../harness/suite.ts';

const CONFIG_MAP = 'io.k8s.api.core.v1.ConfigMap';

suite('api/duplicate-fields', ({ test }) => {
  for (const [text, expected] of [
    ['{"a":1,"b":2}', []],
    ['{"a":1,"a":2,"a":3}', ['a']],
    ['{"a":{"b":1},"c":{"b":1}}', []],
    ['{"a":[{"x":1},{"x":1,"y":{},"x":[]}]}', ['a[1].x']],
    ['[{"a":1},{"a":1}]', []],
    ['{"a":"{\\"a\\":1,\\"a\\":2}"}', []],
    ['{"a\\\\":1,"a":"\\\\","\\u0061":2}', ['a']],
    ['{"a":{},"b":[],"a":{"c":[[1,2],[{"d":"a","d":null}]]}}', ['a.c[1][0].d', 'a']],
    ['{"__proto__":1,"__proto__":2}', ['__proto__']],
    ['"a"', []],
  ] as const) {
    test(`${text} repeats ${expected.join(', ') || 'nothing'}`, () => {
      assert.equal(duplicateFields(text).sort(), [...expected].sort());
    });
  }

  test('repeated fields are warned of after unknown ones, which are not reported twice', () => {
    const duplicates = ['data.a', 'extra', 'extra.x', 'extraordinary'];
    const value = { data: { a: '1' }, extra: { x: 1 } };
    assert.equal(decodeObject(CONFIG_MAP, value, { mode: 'Warn', duplicates }).warnings, [
      'unknown field "extra"',
      'duplicate field "data.a"',
      'duplicate field "extraordinary"',
    ]);
    assert.equal(decodeObject(CONFIG_MAP, value, { mode: 'Ignore', duplicates }).warnings, []);
  });
});
