/** A wall clock that is moved by hours while things wait. */

import * as assert from 'uvu/assert';
import { monotonicOf, sleep } from '../../../pkg/wait/clock.ts';
import { watchClock } from '../../../pkg/wait/clock-jumps.ts';
import { movableClock } from '../../harness/movable-clock.ts';
import { suite } from '../../harness/suite.ts';

const HOUR_MS = 3_600_000;

suite('wait/clock-jumps', ({ test }) => {
  test('tells of each jump once, and of none while time passes or a time service trims the clock', async () => {
    const clock = movableClock();
    const jumps: number[] = [];
    const stop = watchClock({ clock, onJump: (byMs) => jumps.push(byMs) });
    await clock.pass(HOUR_MS);
    clock.move(900);
    await clock.pass(60_000);
    assert.equal(jumps, []);
    clock.move(3 * HOUR_MS);
    await clock.pass(60_000);
    assert.equal(jumps, [3 * HOUR_MS]);
    clock.move(-5 * HOUR_MS);
    await clock.pass(60_000);
    assert.equal(jumps, [3 * HOUR_MS, -5 * HOUR_MS]);
    stop();
    clock.move(HOUR_MS);
    await clock.pass(60_000);
    assert.is(jumps.length, 2);
  });

  test('carries a noted time over, and takes one that is yet to come for now', () => {
    const clock = movableClock();
    assert.is(monotonicOf(clock.now() - 7_000, clock), clock.monotonic() - 7_000);
    const noted = clock.now();
    clock.move(-HOUR_MS);
    assert.is(monotonicOf(noted, clock), clock.monotonic());
  });

  test('a sleep lasts as long as it was to, wherever the clock is moved', async () => {
    const clock = movableClock();
    let isOver = false;
    const sleeping = sleep(1_000, undefined, clock).then(() => {
      isOver = true;
    });
    clock.move(HOUR_MS);
    await clock.pass(999);
    assert.is(isOver, false);
    clock.move(-2 * HOUR_MS);
    await clock.pass(1);
    await sleeping;
    assert.is(isOver, true);
  });
});
