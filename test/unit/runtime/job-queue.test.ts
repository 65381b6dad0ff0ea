/** In which order requests reach the helper when more wait than it may work on. */

import * as assert from 'uvu/assert';
import { JobQueue } from '../../../pkg/runtime/job-queue.ts';
import { rejects, suite } from '../../harness/suite.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Jobs that end when they are told to. */
function jobs() {
  const queue = new JobQueue();
  const started: string[] = [];
  const ends: (() => void)[] = [];
  const begin = (verb: string, name: string, signal?: AbortSignal) => {
    const work = () => {
      started.push(name);
      return new Promise<string>((resolve) => ends.push(() => resolve(name)));
    };
    return queue.run(verb, work, signal);
  };
  /** Takes up all places. */
  const fill = async () => {
    for (let i = 0; i < 24; i++) void begin('run', `busy-${i}`);
    await turn();
    assert.is(started.length, 24);
    started.length = 0;
  };
  const end = async (count: number) => {
    for (const done of ends.splice(0, count)) done();
    await turn();
  };
  return { begin, started, fill, end };
}

suite('runtime: job queue', ({ test }) => {
  test('what finishes a pod goes before what begins one, each in its order', async () => {
    const { begin, started, fill, end } = jobs();
    await fill();
    for (const name of ['s1', 's2']) void begin('sandbox-create', name);
    for (const name of ['r1', 'r2']) void begin('run', name);
    await turn();
    assert.equal(started, []);
    await end(3);
    assert.equal(started, ['r1', 'r2', 's1']);
    await end(1);
    assert.equal(started, ['r1', 'r2', 's1', 's2']);
  });

  test('removing trees does not wait for others, nor they for it', async () => {
    const { begin, started, fill } = jobs();
    await fill();
    for (let i = 0; i < 9; i++) void begin('remove-tree', `t${i}`);
    await turn();
    assert.is(started.length, 8);
  });

  test('a failure frees its place, and one that is given up does not take one', async () => {
    const { begin, started, fill, end } = jobs();
    await fill();
    const stop = new AbortController();
    const given = begin('run', 'given up', stop.signal);
    void begin('run', 'next');
    stop.abort(new Error('not needed any more'));
    assert.match(String(await rejects(given)), /not needed any more/);
    await end(1);
    assert.equal(started, ['next']);
    const queue = new JobQueue();
    const fail = () => Promise.reject(new Error('no'));
    for (let i = 0; i < 50; i++) await rejects(queue.run('run', fail));
    assert.is(await queue.run('run', () => Promise.resolve('done')), 'done');
  });
});
