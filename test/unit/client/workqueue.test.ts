import * as assert from 'uvu/assert';
import { WorkQueue } from '../../../pkg/client/workqueue.ts';
import { handClock } from '../../harness/hand-clock.ts';
import { suite } from '../../harness/suite.ts';

/** Work that ends when it is told to. */
function controlledWork() {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (key: string) => {
    started.push(key);
    return new Promise<void>((resolve) => ends.set(key, resolve));
  };
  const end = async (key: string) => {
    ends.get(key)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { started, work, end };
}

suite('workqueue', ({ test }) => {
  test('works on nothing before it is started', () => {
    const { started, work } = controlledWork();
    const queue = new WorkQueue(work, { concurrency: 1, clock: handClock() });
    queue.add('a');
    assert.equal(started, []);
    queue.start();
    assert.equal(started, ['a']);
  });

  test('runs a key once however often it is added, and again if added while it runs', async () => {
    const { started, work, end } = controlledWork();
    const queue = new WorkQueue(work, { concurrency: 4, clock: handClock() });
    queue.add('a');
    queue.add('a');
    queue.start();
    queue.add('a');
    queue.add('a');
    assert.equal(started, ['a']);
    await end('a');
    assert.equal(started, ['a', 'a']);
    await end('a');
    assert.equal(started, ['a', 'a']);
  });

  test('a key that ran long rests before it runs again, and what is added meanwhile is one run', async () => {
    const { started, work, end } = controlledWork();
    const clock = handClock();
    const queue = new WorkQueue(work, { concurrency: 4, clock });
    queue.start();
    queue.add('a');
    queue.add('a');
    clock.pass(40);
    await end('a');
    queue.add('a');
    queue.add('b');
    assert.equal(started, ['a', 'b'], 'only what ran rests');
    clock.pass(39);
    assert.equal(started, ['a', 'b']);
    clock.pass(1);
    assert.equal(started, ['a', 'b', 'a']);
    clock.pass(100_000);
    await end('a');
    clock.pass(100);
    queue.add('a');
    assert.equal(started, ['a', 'b', 'a', 'a'], 'no rest is longer than 100 ms');
  });

  test('a closed queue does not run what rests', async () => {
    const { started, work, end } = controlledWork();
    const clock = handClock();
    const queue = new WorkQueue(work, { concurrency: 4, clock });
    queue.start();
    queue.add('a');
    queue.add('a');
    clock.pass(40);
    await end('a');
    await queue.close();
    clock.pass(40);
    assert.equal(started, ['a']);
  });

  test('runs no more keys at once than allowed, in the order they came', async () => {
    const { started, work, end } = controlledWork();
    const queue = new WorkQueue(work, { concurrency: 2, clock: handClock() });
    queue.start();
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    assert.equal(started, ['a', 'b']);
    assert.is(queue.length, 2);
    await end('b');
    assert.equal(started, ['a', 'b', 'c']);
  });

  test('delays a key, and brings it forward when it is added sooner', () => {
    const { started, work } = controlledWork();
    const clock = handClock();
    const queue = new WorkQueue(work, { concurrency: 4, clock });
    queue.start();
    queue.addAfter('a', 100);
    queue.addAfter('b', 100);
    queue.addAfter('b', 10);
    clock.pass(10);
    assert.equal(started, ['b']);
    queue.add('a');
    assert.equal(started, ['b', 'a']);
    clock.pass(1000);
    assert.equal(started, ['b', 'a']);
  });

  test('waits 5 ms after the first failure of a key, then twice as long each time', async () => {
    const clock = handClock();
    const times: number[] = [];
    const queue = new WorkQueue(
      async (key) => {
        times.push(clock.now());
        if (times.length < 5) queue.addRateLimited(key);
        else queue.forget(key);
      },
      { concurrency: 1, clock },
    );
    queue.start();
    queue.add('a');
    for (let ms = 0; ms < 100; ms += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.pass(1);
    }
    assert.equal(times, [0, 5, 15, 35, 75]);
    assert.is(queue.failures('a'), 0);
  });

  test('closes when what runs has ended, and takes nothing more', async () => {
    const { started, work, end } = controlledWork();
    const queue = new WorkQueue(work, { concurrency: 1, clock: handClock() });
    queue.start();
    queue.add('a');
    queue.add('b');
    let isClosed = false;
    const closed = queue.close().then(() => {
      isClosed = true;
    });
    await Promise.resolve();
    assert.is(isClosed, false);
    await end('a');
    await closed;
    queue.add('c');
    assert.equal(started, ['a']);
  });
});
