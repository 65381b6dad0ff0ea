/** What a directory takes on its disk, and how long an answer is kept. */

import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { DiskUsages, measureDisk } from '../../../../pkg/agent/stats/disk-usage.ts';
import { movableClock } from '../../../harness/movable-clock.ts';
import { suite } from '../../../harness/suite.ts';

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

suite('disk usage', ({ test, cleanup }) => {
  const directory = () => {
    const dir = mkdtempSync(join(tmpdir(), 'mini-du-'));
    cleanup(() => rmSync(dir, { recursive: true }));
    return dir;
  };

  test('a file with two names counts once, links and other file systems do not', async () => {
    const dir = directory();
    const tree = join(dir, 'tree');
    mkdirSync(join(tree, 'sub/inner'), { recursive: true });
    mkdirSync(join(tree, 'other'));
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(tree, 'other')]);
    cleanup(() => void execFileSync('umount', [join(tree, 'other')]));
    writeFileSync(join(tree, 'other/file'), Buffer.alloc(MIB, 1));
    writeFileSync(join(tree, 'sub/file'), Buffer.alloc(3 * MIB, 1));
    linkSync(join(tree, 'sub/file'), join(tree, 'again'));
    writeFileSync(join(dir, 'outside'), Buffer.alloc(MIB, 1));
    symlinkSync(join(dir, 'outside'), join(tree, 'link'));
    const { bytes, inodes } = await measureDisk(tree);
    assert.ok(bytes >= 3 * MIB && bytes < 4 * MIB, `${bytes}`);
    assert.is(inodes, 5, 'the tree, sub, inner, the file and the link');
    assert.equal(await measureDisk(join(dir, 'none')), { bytes: 0, inodes: 0 });
  });

  test('an answer is kept for a minute', async () => {
    const dir = directory();
    const clock = movableClock();
    const usages = new DiskUsages(clock);
    assert.is((await usages.of(dir)).inodes, 1);
    writeFileSync(join(dir, 'file'), 'x');
    await clock.pass(MINUTE_MS - 1);
    assert.is((await usages.of(dir)).inodes, 1);
    await clock.pass(1);
    assert.is((await usages.of(dir)).inodes, 2);
  });
});
