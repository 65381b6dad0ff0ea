/** JSONPath templates, custom columns and sorting. */
import * as assert from 'uvu/assert';
import { customColumns } from '../../../../pkg/kubectl/output/custom-columns.ts';
import { jsonPathPrinter } from '../../../../pkg/kubectl/output/json-path.ts';
import { sortedBy } from '../../../../pkg/kubectl/output/sort.ts';
import { aligned } from '../../../../pkg/kubectl/output/tab-writer.ts';
import { suite } from '../../../harness/suite.ts';

const LIST = {
  items: [
    { metadata: { name: 'a', labels: { 'x.y/z': '1' } }, status: { phase: 'Running', n: 1 } },
    { metadata: { name: 'b' }, status: { phase: 'Pending', n: 2 } },
    { metadata: { name: 'c' }, status: { phase: 'Running', n: 10 } },
  ],
};

suite('kubectl jsonpath', ({ test }) => {
  const cases: readonly (readonly [string, string])[] = [
    ['{.items[*].metadata.name}', 'a b c'],
    ['{.items[0].metadata.name}', 'a'],
    ['{.items[-1].metadata.name}', 'c'],
    ['{.items[0:2].metadata.name}', 'a b'],
    ['{.items[?(@.status.phase=="Running")].metadata.name}', 'a c'],
    ['{.items[?(@.status.n>1)].metadata.name}', 'b c'],
    ['{.items[?(@.metadata.labels)].metadata.name}', 'a'],
    ["{.items[0].metadata.labels['x\\.y/z']}", '1'],
    ['{.items[0].metadata.labels.x\\.y/z}', '1'],
    ['{.items[0].metadata.labels}', '{"x.y/z":"1"}'],
    ['{range .items[*]}{.metadata.name}={.status.n}{"\\n"}{end}', 'a=1\nb=2\nc=10\n'],
    ['{..name}', 'a b c'],
    ['names: {.items[1].metadata.name}!', 'names: b!'],
    ['{.items[0].nothing}', ''],
    ['{.items[0].status.n}{"\\t"}{.items[1].status.n}', '1\t2'],
    ["{.items[0]['metadata']['name']}", 'a'],
    ['{$.items[2].metadata.name}', 'c'],
  ];
  for (const [template, expected] of cases) {
    test(`prints ${template}`, () => {
      assert.is(jsonPathPrinter(template)(LIST), expected);
    });
  }

  for (const template of ['{.items[', '{range .items[*]}', '{end}', '{.a', '{.items[?(@.x==y)]}']) {
    test(`refuses ${template}`, () => {
      assert.throws(() => jsonPathPrinter(template), /error parsing jsonpath/);
    });
  }

  test('prints custom columns, <none> for what is not there', () => {
    const print = customColumns('NAME:.metadata.name,L:.metadata.labels', { hasHeaders: true });
    assert.is(print(LIST.items.slice(0, 2)), 'NAME   L\na      map[x.y/z:1]\nb      <none>\n');
  });

  test('sorts by a field, numbers as numbers', () => {
    const items = [...LIST.items].reverse();
    const sorted = sortedBy(items, { path: '.status.n', objectOf: (item) => item });
    assert.equal(
      sorted.map(({ metadata }) => metadata.name),
      ['a', 'b', 'c'],
    );
  });

  test('aligns a column within the lines around that have it', () => {
    const rows = [['a', 'b'], ['alone'], ['longer', 'c']];
    assert.is(aligned(rows, { minWidth: 0, padding: 2 }), 'a  b\nalone\nlonger  c\n');
  });
});
