/** The latest events in memory: bounds, and what they must not hold. */

import * as assert from 'uvu/assert';
import type { StoreEvent } from '../../../pkg/store/backend.ts';
import { History } from '../../../pkg/store/history.ts';
import { suite } from '../../harness/suite.ts';

function put(revision: number, previous?: StoreEvent): StoreEvent {
  const current = { key: '/a', revision, createRevision: 1, value: Buffer.from(`v${revision}`) };
  return { type: 'put', current, previous: previous?.current };
}

suite('history', ({ test }) => {
  test('gives what came after a revision, with what was before it', () => {
    const history = new History(0);
    const first = put(1);
    history.push(first);
    history.push(put(2, first));
    assert.equal(history.since('/', 1), [put(2, first)]);
    assert.equal(history.since('/b', 0), []);
  });

  test('does not hold the values themselves, on which readers hang decoded objects', () => {
    const history = new History(0);
    const first = put(1);
    history.push(first);
    const second = put(2, first);
    history.push(second);
    const held = history.since('/', 0).flatMap(({ current, previous }) => [current, previous]);
    assert.is(held.length, 4);
    for (const value of held)
      assert.not.ok(value === first.current || value === second.current, 'a value is held');
  });

  test('drops the oldest beyond its bytes', () => {
    const history = new History(0, { maxEvents: 100, maxBytes: 4 });
    for (const revision of [1, 2, 3]) history.push(put(revision));
    assert.is(history.floor, 1);
    assert.equal(
      history.since('/', 1).map(({ current }) => current.revision),
      [2, 3],
    );
  });
});
