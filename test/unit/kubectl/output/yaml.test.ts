/** YAML as Go's yaml.v2 writes it; each expectation is what kubectl 1.35.2 printed. */
import * as assert from 'uvu/assert';
import { jsonText } from '../../../../pkg/kubectl/output/json.ts';
import { yamlText } from '../../../../pkg/kubectl/output/yaml.ts';
import { suite } from '../../../harness/suite.ts';

suite('kubectl yaml and json', ({ test }) => {
  const cases: readonly (readonly [unknown, string])[] = [
    ['yes', '"yes"\n'],
    ['1:20', '"1:20"\n'],
    ['1e3', '"1e3"\n'],
    ['2024-01-01', '"2024-01-01"\n'],
    ['2024-01-01T00:00:00Z', '"2024-01-01T00:00:00Z"\n'],
    ['', '""\n'],
    [' a', "' a'\n"],
    ['a: b', "'a: b'\n"],
    ["it's: x", "'it''s: x'\n"],
    ['a\tb', '"a\\tb"\n'],
    ['x:y', 'x:y\n'],
    ['10.0.0.1', '10.0.0.1\n'],
    ['0755', '"0755"\n'],
    ['-', "'-'\n"],
    ['*x', "'*x'\n"],
    [true, 'true\n'],
    [null, 'null\n'],
    [{}, '{}\n'],
    [[], '[]\n'],
  ];
  for (const [value, expected] of cases) {
    test(`writes ${JSON.stringify(value)}`, () => {
      assert.is(yamlText(value), expected);
    });
  }

  test('sorts keys, keeps lists at the indent of their key, nests', () => {
    const value = { b: [{ y: 1, x: [['z']] }], a: { e: {}, d: 'text' } };
    assert.is(yamlText(value), 'a:\n  d: text\n  e: {}\nb:\n- x:\n  - - z\n  "y": 1\n');
  });

  test('writes lines as a block and says how it ends', () => {
    assert.is(yamlText({ a: 'x\ny\n' }), 'a: |\n  x\n  y\n');
    assert.is(yamlText({ a: 'x\ny' }), 'a: |-\n  x\n  y\n');
    assert.is(yamlText({ a: ' x\ny\n\n' }), 'a: |2+\n   x\n  y\n\n');
  });

  test('breaks long lines at the first space after column 80', () => {
    const text = `${'word '.repeat(17)}end`;
    assert.is(yamlText({ a: text }), `a: ${'word '.repeat(15)}word\n  word end\n`);
  });

  test('counts runs of digits in keys as numbers', () => {
    assert.is(yamlText({ a10: 1, a9: 2 }), 'a9: 2\na10: 1\n');
  });

  test('writes JSON with sorted keys and the escapes of Go', () => {
    assert.is(
      jsonText({ b: '<&>', a: 1 }),
      '{\n    "a": 1,\n    "b": "\\u003c\\u0026\\u003e"\n}\n',
    );
  });
});
