import * as assert from 'uvu/assert';
import { Ticker } from '../../../pkg/apiserver/ticker.ts';
import { handClock } from '../../harness/hand-clock.ts';
import { suite } from '../../harness/suite.ts';

async function* never(): AsyncGenerator<string> {
  await new Promise(() => undefined);
  yield 'unreachable';
}

async function* two(): AsyncGenerator<string> {
  yield 'a';
  yield 'b';
}

suite('Ticker', ({ test }) => {
  const make = (source: AsyncIterator<string>, stop = new AbortController()) => {
    const hand = handClock();
    let ends = 0;
    const ticker = new Ticker({
      source,
      clock: hand,
      signals: [stop.signal],
      endMs: 100,
      everyMs: 30,
      onEnd: () => {
        ends += 1;
      },
    });
    return { ...hand, ticker, stop, ends: () => ends };
  };

  test('hands over items and ends with its source', async () => {
    const { ticker } = make(two());
    assert.equal(await ticker.next(), { kind: 'item', value: 'a' });
    assert.equal(await ticker.next(), { kind: 'item', value: 'b' });
    assert.equal(await ticker.next(), { kind: 'end' });
  });

  test('ticks while the source is silent and ends in time', async () => {
    const { ticker, pass, ends } = make(never());
    for (const expected of ['tick', 'tick', 'tick']) {
      const turn = ticker.next();
      pass(30);
      assert.is((await turn).kind, expected);
    }
    const last = ticker.next();
    pass(30);
    assert.is((await last).kind, 'end');
    assert.is(ends(), 1);
  });

  test('ends and leaves no timer when its signal aborts, though nobody waits', async () => {
    const { ticker, stop, pending, ends } = make(never());
    stop.abort();
    assert.equal([pending(), ends()], [0, 1]);
    assert.is((await ticker.next()).kind, 'end');
  });
});
