/** Label and field selectors: grammar, errors, matching. */

import * as assert from 'uvu/assert';
import {
  formatFieldSelector,
  matchesFields,
  parseFieldSelector,
} from '../../../pkg/api/field-selectors.ts';
import {
  formatSelector,
  matchesLabels,
  parseLabelSelector,
  SelectorError,
  selectorOf,
  showSelector,
} from '../../../pkg/api/selectors.ts';
import { suite } from '../../harness/suite.ts';

/** Text, and its canonical form. */
const FORMS: readonly [string, string][] = [
  ['', ''],
  ['a=b', 'a=b'],
  ['a==b', 'a==b'],
  [' a = b , c != d ', 'a=b,c!=d'],
  ['c,a', 'a,c'],
  ['!a', '!a'],
  ['! a , b', '!a,b'],
  ['x in (b,a)', 'x in (a,b)'],
  ['x notin ( a )', 'x notin (a)'],
  ['x in (a,)', 'x in (,a)'],
  ['a=', 'a='],
  ['a=,b', 'a=,b'],
  ['app.kubernetes.io/name=web', 'app.kubernetes.io/name=web'],
  ['in=notin', 'in=notin'],
  ['n>5,m<3', 'm<3,n>5'],
];

const WRONG: readonly [string, string][] = [
  ['a,', "found '', expected: identifier after ','"],
  [',a', "found ',', expected: !, identifier, or 'end of string'"],
  ['a=b c', "found 'c', expected: ',' or 'end of string'"],
  ['x in', "unable to parse requirement: found '' expected: '('"],
  ['x in (a', "unable to parse requirement: found '', expected: ',' or ')'"],
  ['x foo (a)', "unable to parse requirement: found 'foo', expected: in, notin, =, ==, !=, gt, lt"],
  ['!', "unable to parse requirement: found '', expected: identifier"],
  ['a=(b)', "unable to parse requirement: found '(', expected: identifier"],
];

const MATCHES: readonly [string, Record<string, string>, boolean][] = [
  ['', {}, true],
  ['a=b', { a: 'b' }, true],
  ['a=b', {}, false],
  ['a!=b', {}, true],
  ['a!=b', { a: 'b' }, false],
  ['a', { a: '' }, true],
  ['!a', { a: '' }, false],
  ['a in (b,c)', { a: 'c' }, true],
  ['a notin (b,c)', {}, true],
  ['a notin (b,c)', { a: 'b' }, false],
  ['n>5', { n: '6' }, true],
  ['n>5', { n: '5' }, false],
  ['n<5', { n: 'x' }, false],
  ['a=b,c=d', { a: 'b', c: 'e' }, false],
];

suite('label selectors', ({ test }) => {
  test('reads every form and writes it sorted by key', () => {
    for (const [given, expected] of FORMS)
      assert.is(formatSelector(parseLabelSelector(given)), expected, given);
  });

  test('says what it found and what it expected', () => {
    for (const [given, message] of WRONG) {
      assert.throws(
        () => parseLabelSelector(given),
        (error: unknown) => {
          assert.ok(error instanceof SelectorError, given);
          assert.is((error as Error).message, message, given);
          return true;
        },
      );
    }
  });

  test('refuses keys and values that no label can have', () => {
    for (const text of [
      'a b=c',
      '-a=b',
      'a=-b',
      `a=${'x'.repeat(64)}`,
      'a/b/c=d',
      'n>x',
      'a in ()',
    ]) {
      assert.throws(
        () => parseLabelSelector(text),
        (error: unknown) => error instanceof SelectorError,
        text,
      );
    }
  });

  test('matches labels as Kubernetes does', () => {
    for (const [text, labels, expected] of MATCHES) {
      assert.is(
        matchesLabels(parseLabelSelector(text), labels),
        expected,
        `${text} ${JSON.stringify(labels)}`,
      );
    }
  });

  test('an absent selector object matches nothing, an empty one everything', () => {
    assert.not.ok(matchesLabels(selectorOf(undefined), { a: 'b' }));
    assert.ok(matchesLabels(selectorOf({}), { a: 'b' }));
    assert.is(showSelector({}), '<none>');
  });

  test('takes both parts of a selector object', () => {
    const object = {
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['b', 'a'] },
        { key: 'old', operator: 'DoesNotExist' },
      ],
    };
    assert.is(showSelector(object), 'app=web,!old,tier in (a,b)');
    assert.ok(matchesLabels(selectorOf(object), { app: 'web', tier: 'a' }));
    assert.not.ok(matchesLabels(selectorOf(object), { app: 'web', tier: 'a', old: '' }));
  });
});

suite('field selectors', ({ test }) => {
  const fields: Record<string, string> = { 'status.phase': 'Running', 'metadata.name': 'a,b=c\\d' };
  const read = (field: string): string | undefined => fields[field];

  test('reads equality, inequality and escapes', () => {
    const cases: readonly [string, boolean][] = [
      ['', true],
      ['status.phase=Running', true],
      ['status.phase==Running', true],
      ['status.phase!=Running', false],
      ['status.phase!=Failed,status.phase!=Succeeded', true],
      ['metadata.name=a\\,b\\=c\\\\d', true],
      ['unknown=', false],
    ];
    for (const [text, expected] of cases) {
      const selector = parseFieldSelector(text);
      assert.is(matchesFields(selector, read), expected, text);
      assert.equal(parseFieldSelector(formatFieldSelector(selector)), selector);
    }
  });

  test('refuses a term without an operator', () => {
    assert.throws(
      () => parseFieldSelector('status.phase'),
      /invalid selector: 'status.phase'; can't understand 'status.phase'/,
    );
  });
});
