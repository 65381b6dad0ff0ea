/** The store's contract, run against every backend: what pkg/store/backend.ts promises. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { silent } from '../../../pkg/log/log.ts';
import {
  type Backend,
  Compacted,
  KeyNotFound,
  RevisionConflict,
  type StoreEvent,
  type Watch,
} from '../../../pkg/store/backend.ts';
import { openMemory } from '../../../pkg/store/memory.ts';
import { openSqlite } from '../../../pkg/store/sqlite.ts';
import { type Declare, rejects, suite } from '../../harness/suite.ts';

interface Opened {
  readonly store: Backend;
  close(): Promise<void>;
}

const BACKENDS: Record<string, () => Promise<Opened>> = {
  memory: async () => {
    const store = openMemory();
    return { store, close: () => store.close() };
  },
  sqlite: async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mini-store-'));
    const store = await openSqlite({ file: join(dir, 'state.db'), log: silent });
    return {
      store,
      close: async () => {
        await store.close();
        rmSync(dir, { recursive: true });
      },
    };
  },
};

function text(value: string) {
  return () => Buffer.from(value);
}

/** Reads from a watch until `count` events came. */
async function take(watch: Watch, count: number): Promise<StoreEvent[]> {
  const seen: StoreEvent[] = [];
  for await (const batch of watch) {
    seen.push(...batch);
    if (seen.length >= count) break;
  }
  return seen;
}

function shape(events: readonly StoreEvent[]): string[] {
  return events.map(
    ({ type, current, previous }) =>
      `${type} ${current.key}=${current.value} was ${previous ? previous.value : 'absent'}`,
  );
}

suite('store contract', (declare) => {
  for (const [name, open] of Object.entries(BACKENDS)) contract(name, open, declare);
});

function contract(
  name: string,
  open: () => Promise<Opened>,
  { test: declareTest, cleanup }: Declare,
): void {
  const test: Declare['test'] = (title, body) => declareTest(`${name}: ${title}`, body);
  const opened = async () => {
    const { store, close } = await open();
    cleanup(close);
    return store;
  };

  test('a put is visible with its revision once it resolves', async () => {
    const store = await opened();
    const stored = await store.put('/a/1', (revision) => Buffer.from(`at ${revision}`));
    assert.is(String(stored.value), `at ${stored.revision}`);
    assert.is(stored.createRevision, stored.revision);
    assert.equal(store.get('/a/1'), stored);
    assert.is(store.revision, stored.revision);
  });

  test('an update keeps the create revision; a new creation after a delete does not', async () => {
    const store = await opened();
    const first = await store.put('/a', text('1'));
    const second = await store.put('/a', text('2'));
    assert.is(second.createRevision, first.revision);
    const deleted = await store.delete('/a');
    assert.is(String(deleted.value), '2');
    assert.ok(deleted.revision > second.revision);
    const third = await store.put('/a', text('3'));
    assert.is(third.createRevision, third.revision);
  });

  test('compare-and-swap counts writes in flight', async () => {
    const store = await opened();
    const create = store.put('/a', text('1'), { expected: 0 });
    const again = await rejects(store.put('/a', text('2'), { expected: 0 }));
    assert.instance(again, RevisionConflict);
    const { revision } = await create;
    const update = store.put('/a', text('3'), { expected: revision });
    assert.instance(await rejects(store.delete('/a', { expected: revision })), RevisionConflict);
    await update;
    assert.is(String(store.get('/a')?.value), '3');
  });

  test('deleting what is absent, or about to be, is refused', async () => {
    const store = await opened();
    assert.instance(await rejects(store.delete('/none')), KeyNotFound);
    await store.put('/a', text('1'));
    const first = store.delete('/a');
    assert.instance(await rejects(store.delete('/a')), KeyNotFound);
    await first;
    assert.is(store.get('/a'), undefined);
  });

  test('a value that cannot be encoded takes no revision', async () => {
    const store = await opened();
    const before = (await store.put('/a', text('1'))).revision;
    await rejects(
      store.put('/b', () => {
        throw new Error('no');
      }),
    );
    assert.is((await store.put('/c', text('1'))).revision, before + 1);
  });

  test('lists are sorted, limited, resumed and counted', async () => {
    const store = await opened();
    await Promise.all(
      Array.from({ length: 1500 }, (_, i) =>
        store.put(`/l/${String(i * 7919).padStart(8, '0')}`, text('x')),
      ),
    );
    await store.put('/m/other', text('x'));
    const all = store.list('/l/').items.map((item) => item.key);
    assert.is(all.length, 1500);
    assert.equal(all, [...all].sort());
    const page = store.list('/l/', { limit: 400 });
    assert.is(page.remaining, 1100);
    const next = store.list('/l/', { limit: 2000, after: page.items.at(-1)?.key ?? '' });
    assert.equal(
      [...page.items, ...next.items].map((item) => item.key),
      all,
    );
    assert.is(next.remaining, 0);
  });

  test('a watch tells every change after its revision, in order, with the value before', async () => {
    const store = await opened();
    const { revision } = await store.put('/w/a', text('1'));
    const watch = store.watch('/w/', revision);
    await store.put('/x/ignored', text('1'));
    await store.put('/w/a', text('2'));
    await store.put('/w/b', text('1'));
    await store.delete('/w/a');
    const events = await take(watch, 3);
    assert.equal(shape(events), [
      'put /w/a=2 was 1',
      'put /w/b=1 was absent',
      'delete /w/a=2 was 2',
    ]);
    const revisions = events.map((event) => event.current.revision);
    assert.equal(
      revisions,
      [...revisions].sort((a, b) => a - b),
    );
  });

  test('a watch from an old revision replays what it missed', async () => {
    const store = await opened();
    const { revision } = await store.put('/w/a', text('1'));
    await store.put('/w/a', text('2'));
    await store.delete('/w/a');
    assert.equal(shape(await take(store.watch('/w/', revision), 2)), [
      'put /w/a=2 was 1',
      'delete /w/a=2 was 2',
    ]);
  });

  test('watching from a compacted revision is refused; from the compacted one it is not', async () => {
    const store = await opened();
    const { revision } = await store.put('/w/a', text('1'));
    const second = await store.put('/w/a', text('2'));
    await store.compact(second.revision);
    assert.throws(
      () => store.watch('/w/', revision),
      (error: unknown) => error instanceof Compacted,
    );
    const watch = store.watch('/w/', second.revision);
    await store.put('/w/a', text('3'));
    assert.equal(shape(await take(watch, 1)), ['put /w/a=3 was 2']);
    assert.is(String(store.get('/w/a')?.value), '3');
  });

  test('a past revision is listed as it was, unless it was compacted', async () => {
    const store = await opened();
    const listed = async (revision: number) => {
      const page = await store.listAt('/w/', revision);
      assert.is(page.revision, revision);
      return page.items.map(({ key, value, revision: at }) => `${key}=${value}@${at}`);
    };
    const b = (await store.put('/w/b', text('1'))).revision;
    const a = (await store.put('/w/a', text('1'))).revision;
    await store.put('/other', text('1'));
    const changed = (await store.put('/w/b', text('2'))).revision;
    const gone = (await store.delete('/w/a')).revision;
    await store.put('/w/a', text('new'));
    assert.equal(await listed(b), [`/w/b=1@${b}`]);
    assert.equal(await listed(a), [`/w/a=1@${a}`, `/w/b=1@${b}`]);
    assert.equal(await listed(changed), [`/w/a=1@${a}`, `/w/b=2@${changed}`]);
    assert.equal(await listed(gone), [`/w/b=2@${changed}`]);
    assert.is((await listed(store.revision)).length, 2);
    await store.compact(changed);
    assert.ok((await rejects(store.listAt('/w/', a))) instanceof Compacted);
    assert.equal(await listed(gone), [`/w/b=2@${changed}`]);
  });

  test('volatile and durable writes become visible in the order of revisions', async () => {
    const store = await opened();
    const { revision } = await store.put('/v/start', text('0'));
    const watch = store.watch('/v/', revision);
    const writes = Array.from({ length: 40 }, (_, i) =>
      store.put(`/v/${i}`, text(String(i)), { isVolatile: i % 3 === 0 }),
    );
    const stored = await Promise.all(writes);
    const seen = (await take(watch, 40)).map((event) => event.current.revision);
    assert.equal(
      seen,
      stored.map((item) => item.revision),
    );
  });

  test('closing ends every watch', async () => {
    const { store, close } = await open();
    const watch = store.watch('/', 0);
    const ended = take(watch, 1);
    await close();
    assert.equal(await ended, []);
  });
}
