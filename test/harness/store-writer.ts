/**
 * Child of test/integration/store-crash.test.ts: WRITERS concurrent writers and one watcher on a store, until it is
 * killed. Reports on stdout, one line each: `ack <key> <revision> <value>` and `seen <key> <revision>`.
 * Arguments: database file, number of this round.
 */

import { writeSync } from 'node:fs';
import { silent } from '../../pkg/log/log.ts';
import { openSqlite } from '../../pkg/store/sqlite.ts';

const WRITERS = 64;
const STDOUT = 1;
const [file = '', round = '0'] = process.argv.slice(2);

const store = await openSqlite({ file, log: silent });
const say = (line: string) => writeSync(STDOUT, `${line}\n`);
say(`open ${store.revision}`);

async function write(writer: number): Promise<never> {
  for (let count = 0; ; count++) {
    const key = `/crash/${writer}/${count % 4}`;
    const value = `${round}.${count}.${'x'.repeat(200)}`;
    if (count % 16 === 15) {
      const { revision } = await store.delete(`/crash/${writer}/${(count - 1) % 4}`);
      say(`ack /crash/${writer}/${(count - 1) % 4} ${revision} -`);
    }
    const stored = await store.put(key, () => Buffer.from(value));
    say(`ack ${key} ${stored.revision} ${value}`);
  }
}

async function observe(): Promise<void> {
  for await (const batch of store.watch('/crash/', store.revision)) {
    for (const { current } of batch) say(`seen ${current.key} ${current.revision}`);
  }
}

await Promise.all([observe(), ...Array.from({ length: WRITERS }, (_, writer) => write(writer))]);
