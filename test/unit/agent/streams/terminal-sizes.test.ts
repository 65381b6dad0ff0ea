import * as assert from 'uvu/assert';
import { TerminalSizes } from '../../../../pkg/agent/streams/terminal-sizes.ts';
import { suite } from '../../../harness/suite.ts';

suite('agent/streams/terminal-sizes', ({ test }) => {
  test('a size that comes before anybody listens is not lost', async () => {
    const sizes = new TerminalSizes();
    sizes.push({ columns: 80, rows: 24 });
    sizes.push({ columns: 100, rows: 30 });
    assert.equal(await sizes.latest(0), { columns: 100, rows: 30 });
    const heard: unknown[] = [];
    sizes.listen((size) => heard.push(size));
    sizes.push({ columns: 0, rows: 0 });
    sizes.push({ columns: 120, rows: 40 });
    assert.equal(heard, [
      { columns: 100, rows: 30 },
      { columns: 120, rows: 40 },
    ]);
  });

  test('waits for the first size, though not for ever', async () => {
    const sizes = new TerminalSizes();
    assert.is(await sizes.latest(1), undefined);
    const first = sizes.latest(10_000);
    sizes.push({ columns: 100, rows: 30 });
    assert.equal(await first, { columns: 100, rows: 30 });
  });
});
