/** What only a durable store has: state, history and revisions across openings, and clear errors on bad files. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { silent } from '../../../pkg/log/log.ts';
import { openSqlite } from '../../../pkg/store/sqlite.ts';
import { rejects, suite } from '../../harness/suite.ts';

const open = (file: string) => openSqlite({ file, log: silent });
const text = (value: string) => () => Buffer.from(value);

suite('sqlite store', ({ test, cleanup }) => {
  const directory = () => {
    const dir = mkdtempSync(join(tmpdir(), 'mini-store-'));
    cleanup(() => rmSync(dir, { recursive: true }));
    return dir;
  };

  test('keeps values, volatile ones too, and goes on with the next revision', async () => {
    const file = join(directory(), 'state.db');
    const first = await open(file);
    await first.put('/a', text('1'));
    await first.put('/lease', text('held'), { isVolatile: true });
    const last = await first.delete('/a');
    await first.close();
    const second = await open(file);
    cleanup(() => second.close());
    assert.is(second.get('/a'), undefined);
    assert.is(String(second.get('/lease')?.value), 'held');
    assert.is(second.revision, last.revision);
    assert.is((await second.put('/b', text('1'))).revision, last.revision + 1);
  });

  test('a watch resumes across an opening, with the values before each event', async () => {
    const file = join(directory(), 'state.db');
    const first = await open(file);
    const { revision } = await first.put('/w/a', text('1'));
    await first.put('/w/a', text('2'));
    await first.put('/w/b', text('x'));
    await first.delete('/w/a');
    await first.close();
    const second = await open(file);
    cleanup(() => second.close());
    const watch = second.watch('/w/', revision);
    await second.put('/w/b', text('y'));
    const seen: string[] = [];
    for await (const batch of watch) {
      for (const { type, current, previous } of batch)
        seen.push(`${type} ${current.value} ${previous?.value}`);
      if (seen.length === 4) break;
    }
    assert.equal(seen, ['put 2 1', 'put x undefined', 'delete 2 2', 'put y x']);
  });

  test('a value that is read from the file or its history keeps no memory but its own', async () => {
    const file = join(directory(), 'state.db');
    const first = await open(file);
    const { revision } = await first.put('/w/a', text('1'));
    await first.put('/w/a', text('22'));
    await first.close();
    const second = await open(file);
    cleanup(() => second.close());
    const { items } = await second.listAt('/w/', revision);
    const values = [second.get('/w/a'), ...items].map((item) => item?.value);
    assert.equal(values.map(String), ['22', '1']);
    assert.equal(
      values.map((value) => value?.buffer.byteLength),
      [2, 1],
    );
  });

  test('what a write replaces is right when volatile and durable writes of a key take turns', async () => {
    const file = join(directory(), 'state.db');
    const first = await open(file);
    const { revision } = await first.put('/w/a', text('1'));
    await first.put('/w/a', text('never logged'), { isVolatile: true });
    await first.put('/w/a', text('lazy'), { isVolatile: true });
    await first.flush();
    const [, last] = await Promise.all([
      first.put('/w/a', text('2')),
      first.put('/w/a', text('3')),
      first.put('/w/b', text('after')),
    ]);
    await first.close();
    const second = await open(file);
    cleanup(() => second.close());
    const seen: string[] = [];
    for await (const batch of second.watch('/w/', revision)) {
      for (const { current, previous } of batch) seen.push(`${current.value} ${previous?.value}`);
      if (seen.length >= 4) break;
    }
    assert.equal(seen, ['lazy 1', '2 lazy', '3 2', 'after undefined']);
    await second.compact(last.revision);
    assert.is(String(second.get('/w/a')?.value), '3');
  });

  test('compaction keeps what is live and the history after it', async () => {
    const file = join(directory(), 'state.db');
    const first = await open(file);
    for (let i = 0; i < 50; i++) await first.put(`/k/${i % 5}`, text(String(i)));
    const { revision } = await first.delete('/k/0');
    await first.put('/k/1', text('after'));
    await first.compact(revision);
    await first.close();
    const second = await open(file);
    cleanup(() => second.close());
    assert.equal(
      second.list('/k/').items.map((item) => String(item.value)),
      ['after', '47', '48', '49'],
    );
    assert.is(second.compactedRevision, revision);
    for await (const [event] of second.watch('/k/', revision)) {
      assert.is(`${event?.current.value} after ${event?.previous?.value}`, 'after after 46');
      break;
    }
  });

  test('says what is wrong with a file it cannot use', async () => {
    const dir = directory();
    writeFileSync(
      join(dir, 'text.db'),
      'this is not a database, but it is long enough to be one'.repeat(40),
    );
    assert.match(String(await rejects(open(join(dir, 'text.db')))), /damaged/);
    assert.match(String(await rejects(open(join(dir, 'missing', 'state.db')))), /directory/);
    const held = await open(join(dir, 'state.db'));
    cleanup(() => held.close());
    assert.match(String(await rejects(open(join(dir, 'state.db')))), /in use by another/);
  });
});
