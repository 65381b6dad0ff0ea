/** The executable where little else is: a minimal Debian, another processor, damaged, on a full or noexec disk. */

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import * as assert from 'uvu/assert';
import { type Host, Switch } from '../harness/hosts.ts';
import { suite } from '../harness/suite.ts';

const MINI = resolve('dist/mini');
const MINI_ARM64 = resolve('dist/mini-arm64');
/** Made once for a checkout. */
const MINBASE = resolve('.cache/minbase-bookworm');
const DEBOOTSTRAP_MS = 300_000;
/** Of a server, that of another processor included, which is emulated. */
const START_MS = 240_000;
/** No directory of the harness: where the executable lays itself out is what is tested. */
const OWN = { MINI_UNPACK_DIR: '' };
const QEMU = ['qemu-aarch64-static'];

/** A Debian with nothing but its essential packages. */
function minbase(): string {
  if (existsSync(MINBASE)) return MINBASE;
  const unfinished = `${MINBASE}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  execFileSync('debootstrap', ['--variant=minbase', 'bookworm', unfinished], { stdio: 'pipe' });
  renameSync(unfinished, MINBASE);
  return MINBASE;
}

async function withHost(work: (host: Host) => Promise<void>): Promise<void> {
  const network = new Switch();
  try {
    await work(await network.addHost('one'));
  } finally {
    await network.close();
  }
}

/** Mounts a writable copy of the minimal root on the host; resolves to its path. */
async function mountRoot(host: Host): Promise<string> {
  const root = join(host.dir, 'root');
  const upper = join(host.dir, 'upper');
  await host.ok([
    'sh',
    '-ec',
    `mkdir ${root} ${upper}; mount -t tmpfs tmpfs ${upper}; mkdir ${upper}/upper ${upper}/work
mount -t overlay -o lowerdir=${minbase()},upperdir=${upper}/upper,workdir=${upper}/work overlay ${root}
cp ${MINI} ${root}/usr/bin/mini; mkdir -p ${root}/var/lib/mini
mount -t tmpfs tmpfs ${root}/var/lib/mini; mount -t proc proc ${root}/proc
mount --rbind /sys ${root}/sys; mount --rbind /dev ${root}/dev; mount -t tmpfs tmpfs ${root}/run`,
  ]);
  return root;
}

/** Resolves when the server answers an authenticated request; rejects with its output when it does not in time. */
async function answers(ask: () => Promise<boolean>, output: () => string): Promise<void> {
  const deadlineMs = Date.now() + START_MS / 2;
  while (!(await ask())) {
    if (Date.now() > deadlineMs) throw new Error(`No answer:\n${output()}`);
    await new Promise((next) => setTimeout(next, 200));
  }
}

/** A copy of the executable that takes itself for another version; its path. */
function otherVersion(host: Host, id: string): string {
  const bytes = readFileSync(MINI);
  bytes.write(id, bytes.length - id.length, 'latin1');
  const path = join(host.dir, id);
  writeFileSync(path, bytes, { mode: 0o755 });
  return path;
}

function versions(parent: string): readonly string[] {
  return readdirSync(parent)
    .filter((name) => !name.startsWith('.'))
    .sort();
}

/** The directory into which the executable has laid itself out. */
async function laidOut(host: Host, parent: string): Promise<string> {
  const [name = ''] = (await host.ok(['ls', parent])).trim().split('\n');
  return join(parent, name);
}

suite('the executable', ({ test }) => {
  test('a minimal Debian can be made', () => assert.ok(existsSync(minbase())), DEBOOTSTRAP_MS);

  test(
    'runs on a minimal Debian',
    () =>
      withHost(async (host) => {
        const root = await mountRoot(host);
        const inside = (...args: readonly string[]) =>
          host.run(['chroot', root, ...args], { env: OWN });
        assert.not.ok(existsSync(join(MINBASE, 'usr/lib/x86_64-linux-gnu/libatomic.so.1')));
        const version = await inside('mini', 'version');
        assert.is(version.code, 0, version.stderr);
        assert.match(version.stdout, /^mini /);
        const server = host.start(['chroot', root, 'mini', 'server'], OWN);
        await answers(
          async () => (await inside('mini', 'token', 'list')).code === 0,
          () => server.output(),
        );
        await answers(
          async () => server.output().includes('Node runs'),
          () => server.output(),
        );
        const listed = await inside('mini', 'image', 'ls');
        assert.match(listed.stdout, 'mini/hello', listed.stderr);
        await inside('mini', 'down', '--remove-data');
        assert.is(await server.exited, 0, server.output());
      }),
    START_MS,
  );

  test(
    'removes the versions that nobody runs any more, and mends a damaged one',
    () =>
      withHost(async (host) => {
        const parent = join(host.dir, 'versions');
        const env = { MINI_UNPACK_DIR: parent };
        const older = otherVersion(host, 'a'.repeat(16));
        const newer = otherVersion(host, 'b'.repeat(16));
        const server = host.start([older, 'server', '--disable-agent'], env);
        await answers(
          async () => (await host.run([older, 'token', 'list'], { env })).code === 0,
          () => server.output(),
        );
        await host.ok([newer, 'version'], { env });
        assert.equal(versions(parent), ['a'.repeat(16), 'b'.repeat(16)]);
        await host.ok([older, 'down'], { env });
        assert.is(await server.exited, 0, server.output());
        await host.ok([MINI, 'version'], { env });
        const [own = '', ...others] = versions(parent);
        assert.equal(others, [], 'what nobody runs is gone');
        rmSync(join(parent, own, 'mini'));
        await host.ok([MINI, 'version'], { env });
      }),
    START_MS,
  );

  test(
    'for arm64 lays itself out, starts and opens its store',
    () =>
      withHost(async (host) => {
        const parent = join(host.dir, 'arm64');
        const outer = await host.run([...QEMU, MINI_ARM64, 'version'], {
          env: { MINI_UNPACK_DIR: parent },
        });
        const home = await laidOut(host, parent);
        // The launcher can become the program only where the kernel knows what to do with it.
        if (outer.code !== 0) assert.match(outer.stderr, `Cannot execute ${home}/mini`);
        const env = { MINI_HOME: home, MINI_SELF: MINI_ARM64 };
        const about = JSON.parse(
          await host.ok([...QEMU, join(home, 'mini'), 'version', '-o', 'json'], { env }),
        );
        assert.is(about.arch, 'arm64');
        const server = host.start([...QEMU, join(home, 'mini'), 'server', '--disable-agent'], env);
        await answers(
          async () => (await host.run([MINI, 'token', 'list'])).code === 0,
          () => server.output(),
        );
        const token = (await host.mini('token', 'create')).trim();
        await server.kill('SIGTERM');
        assert.is(await server.exited, 0, server.output());
        // What it has stored under emulation is there for the next start.
        const again = host.startMini('server', '--disable-agent');
        const id = token.split('::')[1]?.split('.')[0] ?? '?';
        await answers(
          async () => (await host.run([MINI, 'token', 'list'])).stdout.includes(id),
          () => again.output(),
        );
        await again.kill('SIGTERM');
      }),
    START_MS,
  );

  test(
    'that is cut off or damaged says so and leaves nothing',
    () =>
      withHost(async (host) => {
        const whole = readFileSync(MINI);
        const damaged = Buffer.from(whole);
        damaged.fill(0x55, 20_000_000, 20_000_064);
        const cases = { cut: whole.subarray(0, whole.length - 1_000_000), damaged };
        for (const [name, content] of Object.entries(cases)) {
          const file = join(host.dir, name);
          const parent = join(host.dir, `${name}-out`);
          writeFileSync(file, content, { mode: 0o755 });
          const { code, stderr } = await host.run([file, 'version'], {
            env: { MINI_UNPACK_DIR: parent },
          });
          assert.is(code, 1, name);
          assert.match(stderr, /damaged.*fetch it again/);
          if (existsSync(parent)) assert.is((await host.ok(['ls', parent])).trim(), '');
        }
      }),
    30_000,
  );

  test(
    'on a full, a read-only and a noexec disk says what to do',
    () =>
      withHost(async (host) => {
        const disk = join(host.dir, 'small');
        const start = (options: string) =>
          host.run(
            [
              'sh',
              '-c',
              `mkdir -p ${disk}; mount -t tmpfs -o ${options} tmpfs ${disk}; ${MINI} version`,
            ],
            {
              env: { MINI_UNPACK_DIR: join(disk, 'mini') },
            },
          );
        const full = await start('size=20m');
        assert.is(full.code, 1);
        assert.match(full.stderr, /No space left.*\n.*MINI_UNPACK_DIR/);
        assert.is((await host.ok(['ls', join(disk, 'mini')])).trim(), '');
        await host.ok(['umount', disk]);
        const readOnly = await start('ro');
        assert.is(readOnly.code, 1);
        assert.match(readOnly.stderr, /Read-only file system\n.*MINI_UNPACK_DIR/);
        await host.ok(['umount', disk]);
        const noexec = await start('noexec');
        assert.is(noexec.code, 1);
        assert.match(noexec.stderr, /noexec/);
      }),
    30_000,
  );
});
