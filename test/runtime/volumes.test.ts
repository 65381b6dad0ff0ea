/** Volumes of limited size, and whole trees: the helper's verbs on this machine's own kernel. */

import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { silent } from '../../pkg/log/log.ts';
import { createRuntime } from '../../pkg/runtime/create-runtime.ts';
import type { RuntimeError } from '../../pkg/runtime/runtime.ts';
import { attachedFiles } from '../harness/leaks.ts';
import { rejects, suite } from '../harness/suite.ts';
import { helperPath } from './fixture.ts';

const MIB = 1024 * 1024;
/** Of the ext4 itself: journal and tables. */
const OVERHEAD = 0.25;

/** A mount namespace that somebody makes meanwhile has a copy of a mount, and its device, for a moment. */
const LET_GO_MAX_MS = 60_000;

async function letGo(part: string): Promise<void> {
  const left = () => attachedFiles().filter((file) => file.includes(part));
  const endMs = performance.now() + LET_GO_MAX_MS;
  while (left().length > 0 && performance.now() < endMs) await sleep(20);
  assert.equal(left(), []);
}

suite('runtime volumes', ({ test, cleanup }) => {
  async function setUp() {
    const dir = mkdtempSync(join(tmpdir(), 'mini-vol-'));
    const runtime = await createRuntime({
      helper: helperPath(),
      runDir: join(dir, 'run'),
      log: silent,
    });
    const at = (name: string) => join(dir, name);
    cleanup(async () => {
      for (const path of mountsIn(dir)) await runtime.unmount(path);
      await runtime.close();
      assert.equal(mountsIn(dir), []);
      await letGo(basename(dir));
      rmSync(dir, { recursive: true });
    });
    return { dir, runtime, at };
  }

  test(
    'a full disk below an image is told to its writers, and takes nothing of what they had written',
    async () => {
      const { runtime, dir, at } = await setUp();
      await runtime.mountMemory(at('disk'), 8 * MIB);
      await runtime.makeImage(at('disk/v.ext4'), 32 * MIB);
      await runtime.mountImage(at('disk/v.ext4'), at('v'));
      const write = (name: string, bytes: number) => {
        const fd = openSync(at(name), 'w');
        try {
          writeSync(fd, Buffer.alloc(bytes, 1));
          fsyncSync(fd);
        } finally {
          closeSync(fd);
        }
      };
      write('v/kept', MIB);
      assert.throws(() => write('v/big', 16 * MIB), /EIO|ENOSPC/);
      assert.equal(readFileSync(at('v/kept')), Buffer.alloc(MIB, 1));
      await runtime.unmount(at('v'));
      await runtime.mountImage(at('disk/v.ext4'), at('v'));
      assert.equal(readFileSync(at('v/kept')), Buffer.alloc(MIB, 1));
      // Once there is room again it goes on.
      execFileSync('mount', ['-o', 'remount,size=64m', at('disk')]);
      write('v/more', 16 * MIB);
      await runtime.unmount(at('v'));
      execFileSync('umount', ['-l', at('disk')]);
      await letGo(basename(dir));
    },
    2 * LET_GO_MAX_MS,
  );

  test('memory volumes hold as much as they may, are mounted once and unmounted twice', async () => {
    const { runtime, at } = await setUp();
    await runtime.mountMemory(at('m'), MIB);
    writeFileSync(at('m/a'), Buffer.alloc(MIB / 2));
    await runtime.mountMemory(at('m'), MIB);
    assert.ok(existsSync(at('m/a')));
    assert.throws(() => writeFileSync(at('m/b'), Buffer.alloc(MIB)), /ENOSPC/);
    assert.is(statSync(at('m')).mode & 0o7777, 0o777);
    await runtime.unmount(at('m'));
    await runtime.unmount(at('m'));
    assert.is(existsSync(at('m/a')), false);
  });

  test(
    'images limit what they hold, keep it and give room back',
    async () => {
      const { runtime, at } = await setUp();
      await runtime.makeImage(at('i'), 32 * MIB);
      await runtime.mountImage(at('i'), at('m'));
      await runtime.mountImage(at('i'), at('m'));
      assert.ok(statSync(at('i')).blocks * 512 < 4 * MIB, 'sparse');
      assert.throws(() => writeFileSync(at('m/big'), Buffer.alloc(33 * MIB)), /ENOSPC/);
      rmSync(at('m/big'));
      writeFileSync(at('m/kept'), 'kept');
      await runtime.unmount(at('m'));
      await letGo(at('i'));
      await runtime.makeImage(at('i'), 32 * MIB);
      await runtime.mountImage(at('i'), at('m'));
      assert.is(readFileSync(at('m/kept'), 'utf8'), 'kept');
    },
    2 * LET_GO_MAX_MS,
  );

  test(
    'an image grows, mounted where the kernel lets it, else with the next mount',
    async () => {
      const { runtime, at } = await setUp();
      const size = () =>
        Number(execFileSync('stat', ['-f', '-c', '%b', at('m')], { encoding: 'utf8' })) * 4096;
      await runtime.makeImage(at('i'), 32 * MIB);
      await runtime.mountImage(at('i'), at('m'));
      writeFileSync(at('m/kept'), 'kept');
      assert.ok(size() <= 32 * MIB);
      const grown = await runtime.growImage(at('i'), at('m'), 64 * MIB).then(
        () => true,
        (error: RuntimeError) => {
          assert.is(error.code, 'EPERM');
          return false;
        },
      );
      assert.is(grown, canGrowMounted());
      if (!grown) {
        await runtime.unmount(at('m'));
        await letGo(at('i'));
        await runtime.mountImage(at('i'), at('m'));
      }
      assert.ok(size() > 64 * MIB * (1 - OVERHEAD), `${size()}`);
      await runtime.unmount(at('m'));
      await letGo(at('i'));
      await runtime.growImage(at('i'), at('m'), 96 * MIB);
      await runtime.mountImage(at('i'), at('m'));
      assert.ok(size() > 96 * MIB * (1 - OVERHEAD), `${size()}`);
      assert.is(readFileSync(at('m/kept'), 'utf8'), 'kept');
    },
    4 * LET_GO_MAX_MS,
  );

  test('an image that another mount namespace still holds is mounted from the same device, never twice', async () => {
    const { runtime, dir, at } = await setUp();
    await runtime.makeImage(at('i'), 32 * MIB);
    await runtime.mountImage(at('i'), at('m'));
    const other = spawn('unshare', ['-m', 'sh', '-c', 'echo; exec cat'], { stdio: 'pipe' });
    const gone = new Promise((done) => other.once('close', done));
    const attached = () => attachedFiles().filter((file) => file.includes(basename(dir))).length;
    try {
      await new Promise((done) => other.stdout.once('data', done));
      writeFileSync(at('m/kept'), 'kept');
      await runtime.unmount(at('m'));
      assert.is(attached(), 1);
      const refused = (await rejects(
        runtime.growImage(at('i'), at('m'), 64 * MIB),
      )) as RuntimeError;
      assert.is(refused.code, 'EPERM');
      assert.match(
        String(await rejects(runtime.mountImage(at('i'), at('m')))),
        /mounted elsewhere/,
      );
      truncateSync(at('i'), 32 * MIB);
      await runtime.mountImage(at('i'), at('m'));
      assert.is(attached(), 1);
      assert.is(readFileSync(at('m/kept'), 'utf8'), 'kept');
    } finally {
      other.stdin.end();
      await gone;
    }
  });

  test('an image that was damaged is mended before it is mounted, or refused with the reason', async () => {
    const { runtime, at } = await setUp();
    const debug = (...commands: readonly string[]) =>
      execFileSync('debugfs', ['-w', '-f', '-', at('i')], {
        input: commands.join('\n'),
        stdio: ['pipe', 'pipe', 'pipe'],
      }).toString();
    await runtime.makeImage(at('i'), 32 * MIB);
    await runtime.mountImage(at('i'), at('m'));
    writeFileSync(at('m/kept'), 'kept');
    mkdirSync(at('m/lost'));
    await runtime.unmount(at('m'));
    // As after an error that the kernel met: the flag, and a directory without its inode.
    debug('ssv state 2', 'clri lost');
    await runtime.mountImage(at('i'), at('m'));
    assert.is(readFileSync(at('m/kept'), 'utf8'), 'kept');
    assert.equal(readdirSync(at('m')).sort(), ['kept', 'lost+found']);
    await runtime.unmount(at('m'));
    assert.match(debug('show_super_stats -h'), /Filesystem state: +clean\n/);
    debug('ssv state 2');
    const fd = openSync(at('i'), 'r+');
    const table = Buffer.alloc(4096);
    readSync(fd, table, 0, table.length, 4096);
    writeSync(fd, Buffer.alloc(table.length), 0, table.length, 4096);
    assert.match(String(await rejects(runtime.mountImage(at('i'), at('m')))), /e2fsck failed: /);
    writeSync(fd, table, 0, table.length, 4096);
    closeSync(fd);
    await runtime.mountImage(at('i'), at('m'));
    assert.is(readFileSync(at('m/kept'), 'utf8'), 'kept');
  });

  test('a disk keeps its one device until it is detached, and grows with it', async () => {
    const { runtime, at } = await setUp();
    await runtime.makeDisk(at('d'), MIB);
    const device = await runtime.attachDisk(at('d'));
    cleanup(() => runtime.detachDisk(at('d')));
    const [same, again] = await Promise.all([
      runtime.attachDisk(at('d')),
      runtime.attachDisk(at('d')),
    ]);
    assert.equal([same, again], [device, device]);
    const size = () => Number(execFileSync('blockdev', ['--getsize64', device]));
    assert.is(size(), MIB);
    const fd = openSync(device, 'r+');
    writeSync(fd, 'kept', 0);
    fsyncSync(fd);
    await runtime.makeDisk(at('d'), 2 * MIB);
    assert.is(size(), 2 * MIB);
    await runtime.makeDisk(at('d'), MIB);
    assert.is(statSync(at('d')).size, 2 * MIB);
    closeSync(fd);
    await runtime.detachDisk(at('d'));
    await runtime.detachDisk(at('d'));
    assert.equal(
      attachedFiles().filter((file) => file === at('d')),
      [],
    );
    assert.is(readFileSync(at('d'), 'utf8').slice(0, 4), 'kept');
    // A file that was removed does not keep its device for ever.
    await runtime.attachDisk(at('d'));
    rmSync(at('d'));
    await runtime.detachDisk(at('d'));
    assert.match(String(await rejects(runtime.attachDisk(at('d')))), /open .*d: No such file/);
  });

  test('a directory gets a project quota only where the file system keeps them', async () => {
    const { runtime, at } = await setUp();
    await runtime.mountMemory(at('m'));
    const error = (await rejects(runtime.setQuota(at('m'), MIB))) as RuntimeError;
    assert.is(error.code, 'EOPNOTSUPP');
    assert.match(error.message, /no project quota on the file system of/);
  });

  test('what is no image, and what cannot be made, is said so and leaves nothing', async () => {
    const { runtime, at } = await setUp();
    writeFileSync(at('junk'), Buffer.alloc(MIB));
    assert.match(
      String(await rejects(runtime.mountImage(at('junk'), at('m')))),
      /junk holds no ext4/,
    );
    assert.match(String(await rejects(runtime.makeImage(at('none/i'), MIB))), /none\/i/);
    assert.match(String(await rejects(runtime.makeImage(at('tiny'), 4096))), /mkfs.ext4 failed/);
    assert.is(existsSync(at('tiny')) || existsSync(at('tiny.part')), false);
  });

  test('a tree is given to a group without following links or entering mounts', async () => {
    const { runtime, at } = await setUp();
    mkdirSync(at('t/sub/inner'), { recursive: true });
    await runtime.mountMemory(at('t/other'), MIB);
    writeFileSync(at('t/other/x'), 'x');
    writeFileSync(at('t/sub/file'), 'x');
    writeFileSync(at('outside'), 'x', { mode: 0o600 });
    chmodSync(at('outside'), 0o600);
    symlinkSync(at('outside'), at('t/link'));
    await runtime.ownTree(at('t'), 2000);
    for (const [path, mode] of [
      ['t', 0o2775],
      ['t/sub/inner', 0o2775],
      ['t/sub/file', 0o664],
    ] as const) {
      const info = statSync(at(path));
      assert.equal([info.gid, info.mode & 0o7777], [2000, mode], path);
    }
    const outside = statSync(at('outside'));
    assert.equal([outside.gid, outside.mode & 0o777], [0, 0o600]);
    assert.is(statSync(at('t/other')).gid, 0);
  });
});

function mountsIn(dir: string): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${dir}/`))
    .reverse();
}

/** CAP_SYS_RESOURCE, without which ext4 grows only while it is not mounted. */
function canGrowMounted(): boolean {
  const caps = /CapEff:\s*([0-9a-f]+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return (BigInt(`0x${caps}`) & (1n << 24n)) !== 0n;
}
