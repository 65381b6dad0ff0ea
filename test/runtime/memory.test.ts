/** What a container costs while it does nothing: the memory that only its shim has. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import { createFixture } from './fixture.ts';

const PRIVATE_MAX_KB = 200;

suite('memory', ({ test, cleanup }) => {
  test('a shim has at most 200 KB of its own', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    await f.runtime.run(f.spec('a', ['sleep', '1000']));
    const state = readFileSync(join(f.runDir, 'containers/a/state.json'), 'utf8');
    const pid: unknown = JSON.parse(state).shimPid;
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kilobytes = [...text.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm)];
    assert.is(kilobytes.length, 2);
    const total = kilobytes.reduce((sum, [, amount]) => sum + Number(amount), 0);
    assert.ok(total <= PRIVATE_MAX_KB, `${total} KB`);
  });
});
