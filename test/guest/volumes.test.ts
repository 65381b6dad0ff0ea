/** What the test machine's own kernel does not let volumes do: project quotas, ext4 that grows while it is mounted. Run inside the machine of test/vm. */

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { silent } from '../../pkg/log/log.ts';
import { createRuntime } from '../../pkg/runtime/create-runtime.ts';
import { suite } from '../harness/suite.ts';
import { helperPath } from '../runtime/fixture.ts';

const MIB = 1024 * 1024;
/** Generous: the machine is emulated. */
const TIMEOUT_MS = 120_000;
const NOBODY = 65_534;

suite('volumes on a whole kernel', ({ test, cleanup }) => {
  test(
    'project quotas limit a directory, show in df, grow, and leave others alone',
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'mini-quota-'));
      const disk = join(dir, 'disk');
      const at = (name: string) => join(dir, 'mnt', name);
      chmodSync(dir, 0o755);
      mkdirSync(at(''));
      execFileSync('truncate', ['-s', `${128 * MIB}`, disk]);
      execFileSync('mkfs.ext4', [
        '-q',
        '-F',
        '-O',
        'quota,project',
        '-E',
        'quotatype=prjquota',
        disk,
      ]);
      execFileSync('mount', ['-o', 'loop,prjquota', disk, at('')]);
      const runtime = await createRuntime({
        helper: helperPath(),
        runDir: join(dir, 'run'),
        log: silent,
      });
      cleanup(async () => {
        await runtime.close();
        execFileSync('umount', [at('')]);
        rmSync(dir, { recursive: true });
      });
      for (const name of ['a', 'b']) {
        mkdirSync(at(name));
        chmodSync(at(name), 0o777);
        await runtime.setQuota(at(name), 8 * MIB);
      }
      const fill = (file: string, mebibytes: number) =>
        writeFileSync(at(file), Buffer.alloc(mebibytes * MIB));
      fill('a/fits', 6);
      assert.throws(
        () => asNobody('dd', 'if=/dev/zero', `of=${at('a/over')}`, 'bs=1M', 'count=4'),
        /No space left|Disk quota exceeded/,
      );
      const size = execFileSync('df', ['-m', at('a')], { encoding: 'utf8' }).split('\n')[1] ?? '';
      assert.match(size, / 8 /);
      fill('b/fits', 6);
      fill('free', 12);
      await runtime.setQuota(at('a'), 16 * MIB);
      asNobody('dd', 'if=/dev/zero', `of=${at('a/more')}`, 'bs=1M', 'count=4');
    },
    TIMEOUT_MS,
  );

  test(
    'an image grows while it is mounted',
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'mini-grow-'));
      const [image, mounted] = [join(dir, 'image'), join(dir, 'mnt')];
      const runtime = await createRuntime({
        helper: helperPath(),
        runDir: join(dir, 'run'),
        log: silent,
      });
      cleanup(async () => {
        await runtime.unmount(mounted);
        await runtime.close();
        rmSync(dir, { recursive: true });
      });
      await runtime.makeImage(image, 16 * MIB);
      await runtime.mountImage(image, mounted);
      const write = () => writeFileSync(join(mounted, 'big'), Buffer.alloc(24 * MIB));
      assert.throws(write, /ENOSPC/);
      await runtime.growImage(image, mounted, 48 * MIB);
      write();
    },
    TIMEOUT_MS,
  );
});

/** Root with CAP_SYS_RESOURCE is above quotas; containers have it only when they are privileged. */
function asNobody(...[program, ...args]: readonly [string, ...string[]]): void {
  execFileSync(program, args, { uid: NOBODY, gid: NOBODY, stdio: 'pipe' });
}
