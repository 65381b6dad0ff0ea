/** When memory is saved and when processor time. */

import * as assert from 'uvu/assert';
import { type Heap, saveMemory } from '../../../cmd/memory-mode.ts';
import { suite } from '../../harness/suite.ts';

/** A heap and a clock that the test moves. */
function world() {
  let nowMs = 0;
  let timers: { readonly atMs: number; readonly task: () => void }[] = [];
  const calls: string[] = [];
  let tell: (count: number) => void = () => undefined;
  const heap: Heap = {
    onCollections: (listener) => {
      tell = listener;
    },
    setSaving: (isOn) => void calls.push(isOn ? 'save' : 'spend'),
    collect: () => void calls.push('collect'),
  };
  const clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    after(delayMs: number, task: () => void) {
      const timer = { atMs: nowMs + delayMs, task };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
  };
  const pass = (ms: number) => {
    nowMs += ms;
    const due = timers.filter(({ atMs }) => atMs <= nowMs);
    timers = timers.filter(({ atMs }) => atMs > nowMs);
    for (const { task } of due) task();
  };
  const end = saveMemory(clock, heap);
  return { calls, pass, collections: (count: number) => tell(count), end, timers: () => timers };
}

suite('memory mode', ({ test }) => {
  test('a few collections now and then change nothing', () => {
    const { calls, pass, collections, timers } = world();
    for (let i = 0; i < 20; i++) {
      collections(5);
      pass(1_100);
    }
    assert.equal(calls, ['save']);
    assert.is(timers().length, 0, 'an idle process has no timer');
  });

  test('many at once are a burst, and once it is over everything is collected', () => {
    const { calls, pass, collections, timers } = world();
    collections(6);
    collections(6);
    assert.equal(calls, ['save', 'spend']);
    collections(1);
    pass(3_000);
    assert.equal(calls, ['save', 'spend'], 'there was one since');
    pass(3_000);
    assert.equal(calls, ['save', 'spend', 'save', 'collect']);
    assert.is(timers().length, 0);
    collections(10);
    assert.equal(calls.at(-1), 'spend', 'the next burst');
  });

  test('an end leaves no timer', () => {
    const { collections, end, timers } = world();
    collections(10);
    assert.is(timers().length, 1);
    end();
    assert.is(timers().length, 0);
  });
});
