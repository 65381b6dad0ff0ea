/** Quantities: what Kubernetes reads, how it writes it back. Expected values as apimachinery's own tests have them. */

import * as assert from 'uvu/assert';
import {
  addQuantities,
  bytes,
  canonicalQuantity,
  compareQuantities,
  cpuMilli,
  parseQuantity,
  QuantityError,
  subtractQuantities,
} from '../../../pkg/api/quantity.ts';
import { suite } from '../../harness/suite.ts';

/** Text as given, in canonical form. */
const CANONICAL: readonly [string | number, string][] = [
  ['0', '0'],
  ['0n', '0'],
  ['0Ki', '0'],
  ['-0', '0'],
  ['100m', '100m'],
  ['0.1', '100m'],
  ['1000m', '1'],
  ['1.5', '1500m'],
  [2, '2'],
  [0.5, '500m'],
  ['1000', '1k'],
  ['1234', '1234'],
  ['1.2k', '1200'],
  ['1e3', '1e3'],
  ['1E3', '1e3'],
  ['12e5', '1200e3'],
  ['1e-3', '1e-3'],
  ['100e-9', '100e-9'],
  ['1024Mi', '1Gi'],
  ['1536Mi', '1536Mi'],
  ['1.5Gi', '1536Mi'],
  ['0.5Gi', '512Mi'],
  ['1023', '1023'],
  ['0.5Ki', '512'],
  ['0.0001Ki', '102400u'],
  ['1Ki', '1Ki'],
  ['.5', '500m'],
  ['1.', '1'],
  ['+1.01', '1010m'],
  ['-5Mi', '-5Mi'],
  ['-0.25', '-250m'],
  ['1.0000000001', '1000000001n'],
  ['0.0000000001', '1n'],
  ['128974848', '128974848'],
  ['129M', '129M'],
  ['123Mi', '123Mi'],
  ['10E', '9223372036854775807'],
  ['8Ei', '9223372036854775807'],
  ['1e100', '9223372036854775807'],
];

const WRONG = [
  '',
  'x',
  '1x',
  '1 Gi',
  '1.1.M',
  '1+1.0M',
  '.',
  '1ki',
  '1iM',
  '0.1mi',
  '1m1',
  'aGi',
  '1e',
  '1KiB',
  '-',
];

suite('quantity', ({ test }) => {
  test('writes every quantity in its canonical form', () => {
    for (const [given, expected] of CANONICAL) {
      // Values above 2^63-1 are capped; binary ones lose their suffix when it no longer fits.
      assert.is(canonicalQuantity(given), expected, String(given));
    }
  });

  test('reads its own output as the same value', () => {
    for (const [given] of CANONICAL) {
      assert.is(compareQuantities(given, canonicalQuantity(given)), 0, String(given));
    }
  });

  test('refuses what is no quantity', () => {
    for (const text of WRONG) {
      assert.throws(
        () => parseQuantity(text),
        (error: unknown) => error instanceof QuantityError,
        text,
      );
    }
  });

  test('compares across formats', () => {
    assert.is(compareQuantities('1Gi', '1G'), 1);
    assert.is(compareQuantities('1000m', '1'), 0);
    assert.is(compareQuantities('999m', '1'), -1);
  });

  test('adds and subtracts exactly, in the format of the first', () => {
    assert.is(addQuantities('100m', '0.2'), '300m');
    assert.is(addQuantities('1Gi', '512Mi'), '1536Mi');
    assert.is(addQuantities('0', '512Mi'), '512Mi');
    assert.is(addQuantities(), '0');
    assert.is(subtractQuantities('1', '1m'), '999m');
  });

  test('gives thousandths of CPUs and whole bytes, rounded up', () => {
    assert.equal(['1', '250m', '0.0001', undefined].map(cpuMilli), [1000, 250, 1, 0]);
    assert.equal(['1Ki', '1k', '0.5', '110', undefined].map(bytes), [1024, 1000, 1, 110, 0]);
  });
});
