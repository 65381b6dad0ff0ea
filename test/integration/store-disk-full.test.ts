/** A full disk makes the store read-only with a clear error, loses nothing, and ends when there is space again. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { silent } from '../../pkg/log/log.ts';
import { ReadOnly } from '../../pkg/store/backend.ts';
import { openSqlite } from '../../pkg/store/sqlite.ts';
import { rejects, suite } from '../harness/suite.ts';

const DISK = '4m';
const BALLAST_BYTES = 2 * 1024 * 1024;
const VALUE = Buffer.alloc(20_000, 'v');

suite('store on a full disk', ({ test, cleanup }) => {
  test('turns read-only, serves reads and volatile writes, and recovers', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mini-full-'));
    cleanup(() => rmSync(dir, { recursive: true }));
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'mini-test', dir]);
    cleanup(() => void execFileSync('umount', [dir]));
    writeFileSync(join(dir, 'ballast'), Buffer.alloc(BALLAST_BYTES));

    const file = join(dir, 'state.db');
    const store = await openSqlite({ file, log: silent });
    const written: string[] = [];
    let refusal: unknown;
    for (let i = 0; i < 1000 && !refusal; i++) {
      const key = `/full/${i}`;
      await store
        .put(key, () => VALUE)
        .then(
          () => written.push(key),
          (error: unknown) => {
            refusal = error;
          },
        );
    }
    assert.instance(refusal, ReadOnly);
    assert.match(String(refusal), /read-only: .*full/);
    assert.ok(written.length > 10);
    assert.is(store.list('/full/').items.length, written.length);
    await store.put('/lease', () => Buffer.from('renewed'), { isVolatile: true });
    assert.instance(await rejects(store.delete(written[0] ?? '')), ReadOnly);

    rmSync(join(dir, 'ballast'));
    const deadlineMs = Date.now() + 15_000;
    let isRecovered = false;
    while (!isRecovered && Date.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      isRecovered = await store
        .put('/after', () => Buffer.from('1'))
        .then(
          () => true,
          () => false,
        );
    }
    assert.ok(isRecovered, 'still read-only after space came back');
    await store.close();
    const again = await openSqlite({ file, log: silent });
    assert.equal(
      again.list('/full/').items.map((item) => item.key),
      [...written].sort(),
    );
    await again.close();
  }, 30_000);
});
