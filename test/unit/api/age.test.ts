/** Ages as kubectl prints them. */

import * as assert from 'uvu/assert';
import { ageOf, humanDuration } from '../../../pkg/api/age.ts';
import { suite } from '../../harness/suite.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

const CASES: readonly [number, string][] = [
  [0, '0s'],
  [999, '0s'],
  [-1 * SECOND, '0s'],
  [-3 * SECOND, '<invalid>'],
  [59 * SECOND, '59s'],
  [119 * SECOND, '119s'],
  [2 * MINUTE, '2m'],
  [5 * MINUTE + 12 * SECOND, '5m12s'],
  [9 * MINUTE + 59 * SECOND, '9m59s'],
  [10 * MINUTE + 1 * SECOND, '10m'],
  [179 * MINUTE, '179m'],
  [3 * HOUR, '3h'],
  [7 * HOUR + 59 * MINUTE, '7h59m'],
  [8 * HOUR + 5 * MINUTE, '8h'],
  [47 * HOUR, '47h'],
  [48 * HOUR, '2d'],
  [3 * DAY + 4 * HOUR, '3d4h'],
  [8 * DAY + 1 * HOUR, '8d'],
  [729 * DAY, '729d'],
  [2 * YEAR, '2y'],
  [2 * YEAR + 3 * DAY, '2y3d'],
  [8 * YEAR + 3 * DAY, '8y'],
];

suite('age', ({ test }) => {
  test('prints durations in one or two units', () => {
    for (const [durationMs, expected] of CASES) assert.is(humanDuration(durationMs), expected);
  });

  test('knows no age without a time', () => {
    assert.is(ageOf(undefined, 0), '<unknown>');
    assert.is(ageOf('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:01:30Z')), '90s');
  });
});
