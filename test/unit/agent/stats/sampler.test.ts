/** Rates: over which window, what is waited for, what is forgotten. */

import * as assert from 'uvu/assert';
import { Sampler, type Subject } from '../../../../pkg/agent/stats/sampler.ts';
import type { Clock } from '../../../../pkg/wait/clock.ts';
import { suite } from '../../../harness/suite.ts';

/** A clock on which waiting takes no time. */
function instantClock(): Clock & { nowMs: number; waits: number } {
  return {
    nowMs: 1_000_000,
    waits: 0,
    now() {
      return this.nowMs;
    },
    monotonic() {
      return this.nowMs;
    },
    after(ms, run) {
      this.nowMs += ms;
      this.waits += 1;
      queueMicrotask(run);
      return () => undefined;
    },
  };
}

suite('sampler', ({ test }) => {
  const start = () => {
    const clock = instantClock();
    /** Half a core since `startedAtMs`, and all of it from the start. */
    const busy = (key: string, startedAtMs: number): Subject => ({
      key,
      startedAtMs,
      sample: { atMs: clock.nowMs, cpuNanos: (clock.nowMs - startedAtMs) * 500_000 },
    });
    return { clock, sampler: new Sampler(clock), busy };
  };

  test('what started lately is measured from its start, at once', async () => {
    const { clock, sampler, busy } = start();
    const startedAtMs = clock.nowMs - 2_000;
    const rates = await sampler.rates(async () => [busy('a', startedAtMs)]);
    assert.equal(rates.get('a'), { nanoCores: 500_000_000, windowMs: 2_000 });
    assert.is(clock.waits, 0);
  });

  test('what has run for long, or hardly, takes a short wait', async () => {
    const { clock, sampler, busy } = start();
    const old = clock.nowMs - 3_600_000;
    const fresh = clock.nowMs - 5;
    const rates = await sampler.rates(async () => [busy('old', old), busy('new', fresh)]);
    assert.equal(rates.get('old'), { nanoCores: 500_000_000, windowMs: 500 });
    assert.equal(rates.get('new'), { nanoCores: 500_000_000, windowMs: 500 });
    assert.is(clock.waits, 1);
  });

  test('asked again: the same for a second, then the time since, and anew after a minute', async () => {
    const { clock, sampler, busy } = start();
    const old = clock.nowMs - 3_600_000;
    const ask = () => sampler.rates(async () => [busy('old', old)]);
    await ask();
    clock.nowMs += 900;
    assert.is((await ask()).get('old')?.windowMs, 500);
    clock.nowMs += 14_100;
    assert.is((await ask()).get('old')?.windowMs, 15_000);
    assert.is(clock.waits, 1);
    clock.nowMs += 61_000;
    assert.is((await ask()).get('old')?.windowMs, 500);
    assert.is(clock.waits, 2);
  });

  test('a clock that was set back, and a counter that fell, give no rate of the past', async () => {
    const { clock, sampler, busy } = start();
    const old = clock.nowMs - 3_600_000;
    const ask = () => sampler.rates(async () => [busy('old', old)]);
    await ask();
    clock.nowMs -= 100_000;
    assert.equal((await ask()).get('old'), { nanoCores: 500_000_000, windowMs: 500 });
    clock.nowMs += 5_000;
    const again = clock.nowMs - 2_000;
    const rates = await sampler.rates(async () => [busy('old', again)]);
    assert.equal(rates.get('old'), { nanoCores: 500_000_000, windowMs: 2_000 });
  });

  test('what has gone meanwhile has no rate', async () => {
    const { clock, sampler, busy } = start();
    const old = clock.nowMs - 3_600_000;
    let calls = 0;
    const rates = await sampler.rates(async () => {
      calls += 1;
      return calls === 1 ? [busy('a', old), busy('b', old)] : [busy('b', old)];
    });
    assert.equal([...rates.keys()], ['b']);
  });
});
