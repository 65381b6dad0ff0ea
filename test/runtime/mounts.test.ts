/** config.json's mounts: options of all kinds, propagation both ways, copies of what a tmpfs covers. */

import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture, type Fixture, type Options } from './fixture.ts';

const ADMIN = ['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE'];
const privileges = { bounding: ADMIN, effective: ADMIN, permitted: ADMIN };

/** A line of mountinfo: what it says of the mount at this place. */
interface Seen {
  readonly options: string;
  /** 'shared', 'slave', 'unbindable', or '' = private. */
  readonly propagation: string;
}

function seen(lines: readonly string[], path: string): Seen {
  const line = lines.map((one) => one.split(' ')).findLast(([, , , , at]) => at === path) ?? [];
  const [shared, slave, unbindable] = [/^shared:/, /^master:/, /^unbindable$/].map((one) =>
    line.slice(6, line.indexOf('-')).some((field) => one.test(field)),
  );
  const names = [shared && 'shared', slave && 'slave', unbindable && 'unbindable'];
  return { options: line[5] ?? '', propagation: names.filter(Boolean).join('+') };
}

suite('runtime mounts', ({ test, cleanup }) => {
  async function fixture(): Promise<Fixture> {
    const f = await createFixture();
    cleanup(() => f.close());
    return f;
  }

  /** A tmpfs below the fixture's directory with another one at `sub`, gone with it. */
  function tree(f: Fixture, flags = '--make-shared'): string {
    const path = join(f.dir, 'tree');
    const mount = (...args: readonly string[]) => execFileSync('mount', args);
    mkdirSync(path);
    mount('-t', 'tmpfs', 'tree', path);
    cleanup(() => void execFileSync('umount', ['-R', path]));
    mount(flags, path);
    mkdirSync(join(path, 'sub'));
    mount('-t', 'tmpfs', 'sub', join(path, 'sub'));
    writeFileSync(join(path, 'file'), 'text\n');
    return path;
  }

  async function mountinfo(f: Fixture, options: Options, before = 'true') {
    const args = ['sh', '-c', `${before}; cat /proc/self/mountinfo`];
    const { lines, exit } = await f.runToEnd(args, options);
    assert.is(exit.exitCode, 0, lines.join('\n'));
    return lines;
  }

  test('options hold for the mount, recursive ones for those below it too', async () => {
    const f = await fixture();
    const bind = { type: 'bind', source: tree(f) };
    const of = (destination: string, ...options: readonly string[]) => ({
      ...bind,
      destination,
      options: ['rbind', ...options],
    });
    const lines = await mountinfo(f, {
      mounts: [
        of('/ro', 'ro', 'nosuid', 'noatime', 'nosymfollow'),
        of('/rro', 'rro', 'rnosuid', 'rnodev', 'rnoexec', 'rnoatime', 'rnodiratime'),
        of('/back', 'rro', 'rrw', 'rnoexec', 'rexec', 'rstrictatime', 'rrelatime'),
        of('/strict', 'rstrictatime', 'rnosymfollow'),
      ],
    });
    assert.is(seen(lines, '/ro').options, 'ro,nosuid,noatime,nosymfollow');
    assert.is(seen(lines, '/ro/sub').options, 'rw,relatime');
    for (const path of ['/rro', '/rro/sub'])
      assert.is(seen(lines, path).options, 'ro,nosuid,nodev,noexec,noatime,nodiratime');
    for (const path of ['/back', '/back/sub']) assert.is(seen(lines, path).options, 'rw,relatime');
    for (const path of ['/strict', '/strict/sub'])
      assert.is(seen(lines, path).options, 'rw,nosymfollow');
  });

  test('propagation is as asked for, and private without a wish', async () => {
    const f = await fixture();
    const source = tree(f);
    const kinds = ['private', 'slave', 'shared', 'unbindable'];
    const mounts = ['none', ...kinds, ...kinds.map((kind) => `r${kind}`)].map((kind) => ({
      destination: `/${kind}`,
      type: 'bind',
      source,
      options: ['rbind', ...(kind === 'none' ? [] : [kind])],
    }));
    const lines = await mountinfo(f, { mounts, linux: { rootfsPropagation: 'rshared' } });
    const told = mounts.map(({ destination }) => [
      destination,
      seen(lines, destination).propagation,
      seen(lines, `${destination}/sub`).propagation,
    ]);
    // The root's own wish, rshared, comes last and holds for all of them.
    for (const [path, own, below] of told) {
      assert.match(own ?? '', /shared/, path);
      assert.match(below ?? '', /shared/, path);
    }
    const plain = await mountinfo(f, { mounts });
    const expected: Readonly<Record<string, readonly [string, RegExp]>> = {
      '/none': ['', /^$/],
      '/private': ['', /./],
      '/rprivate': ['', /^$/],
      '/slave': ['slave', /./],
      '/rslave': ['slave', /slave/],
      '/unbindable': ['unbindable', /./],
      '/runbindable': ['unbindable', /unbindable/],
    };
    for (const [path, [own, below]] of Object.entries(expected)) {
      assert.is(seen(plain, path).propagation, own, path);
      assert.match(seen(plain, `${path}/sub`).propagation, below, path);
    }
    for (const path of ['/shared', '/rshared'])
      assert.match(seen(plain, path).propagation, /shared/, path);
  });

  test('mounts go both ways where they are shared all along', async () => {
    const f = await fixture();
    const source = tree(f);
    const mounts = [
      { destination: '/both', type: 'bind', source, options: ['rbind', 'rshared'] },
      { destination: '/down', type: 'bind', source, options: ['rbind', 'rslave'] },
    ];
    const before =
      'mkdir /both/up /down/own && mount -t tmpfs up /both/up && mount -t tmpfs own /down/own';
    await mountinfo(
      f,
      { mounts, linux: { rootfsPropagation: 'rshared' }, process: { capabilities: privileges } },
      before,
    );
    const host = execFileSync('cat', ['/proc/self/mountinfo'], { encoding: 'utf8' }).split('\n');
    assert.is.not(seen(host, `${source}/up`).options, '');
    assert.is(seen(host, `${source}/own`).options, '');
  });

  test('a container sees the same whether or not the host has been copied for it', async () => {
    const f = await fixture();
    const source = tree(f);
    const later = join(source, 'later');
    mkdirSync(later);
    const bind = { type: 'bind', source };
    const options = {
      mounts: [
        { ...bind, destination: '/plain', options: ['rbind', 'ro'] },
        { ...bind, destination: '/private', options: ['bind', 'rprivate'] },
        { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] },
      ],
      root: { path: 'rootfs', readonly: true },
    };
    // Apart from the mounts' numbers, in whose order they are, and the host's file descriptors.
    const told = (lines: readonly string[]) =>
      lines.map((line) => line.replace(/^\d+ \d+ \S+ /, '').replace(/self\/fd\/\d+/g, 'fd')).sort();
    // A hook is to find the host's files, so that the host's mounts are copied.
    const hooks = { createContainer: [{ path: '/bin/true' }] };
    const [without, copied] = [
      await mountinfo(f, options),
      await mountinfo(f, { ...options, config: { hooks } }),
    ];
    assert.equal(told(without), told(copied));
    for (const path of ['/plain', '/plain/sub', '/private'])
      assert.is(seen(without, path).propagation, '', path);
    assert.is(seen(without, '/private/sub').options, '');
    await f.runtime.run(f.spec('waiting', ['sleep', '100'], options));
    execFileSync('mount', ['-t', 'tmpfs', 'later', later]);
    const pid = (await f.runtime.state('waiting'))?.pid;
    const inside = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n');
    assert.is(seen(inside, '/plain/later').options, '');
    assert.is(seen(inside, '/plain').options, 'ro,relatime');
  });

  test('rootfsPropagation: unbindable, private, and nothing else than those known', async () => {
    const f = await fixture();
    for (const [kind, propagation] of [
      ['unbindable', 'unbindable'],
      ['private', ''],
      ['slave', ''],
      ['shared', 'shared'],
    ] as const) {
      const lines = await mountinfo(f, { linux: { rootfsPropagation: kind } });
      assert.is(seen(lines, '/').propagation, propagation, kind);
    }
    const wrong = f.spec('x', ['true'], { linux: { rootfsPropagation: 'sharde' } });
    assert.match(
      String(await rejects(f.runtime.run(wrong))),
      /rootfsPropagation "sharde" is unknown/,
    );
  });

  test('binds files, makes their places, names a source that is not there', async () => {
    const f = await fixture();
    const source = join(tree(f), 'file');
    const bind = { type: 'bind', options: ['bind', 'ro'] };
    const mounts = [{ ...bind, source, destination: '/some/where/file' }];
    const { lines } = await f.runToEnd(['cat', '/some/where/file'], { mounts });
    assert.equal(lines, ['text']);
    const missing = [{ ...bind, source: '/no/such/source', destination: '/x' }];
    const failure = async (id: string, options: Options) =>
      String(await rejects(f.runtime.run(f.spec(id, ['true'], options))));
    assert.match(
      await failure('a', { mounts: missing }),
      /bind mount source \/no\/such\/source: No such file/,
    );
    const nowhere = [{ ...bind, source, destination: '' }];
    assert.match(await failure('b', { mounts: nowhere }), /has no destination/);
    const unknown = [{ type: 'nosuchfs', source: 'x', destination: '/x' }];
    assert.match(await failure('c', { mounts: unknown }), /mount nosuchfs at \/x: No such device/);
  });

  test('tmpcopyup begins with what the image has there, owners, modes and links included', async () => {
    const f = await fixture();
    const home = join(f.rootfs, 'home');
    mkdirSync(join(home, 'deep'), { recursive: true });
    writeFileSync(join(home, 'deep/file'), 'text\n');
    chownSync(join(home, 'deep/file'), 5, 6);
    chmodSync(join(home, 'deep/file'), 0o4755);
    symlinkSync('/etc/passwd', join(home, 'link'));
    chmodSync(home, 0o711);
    const options = ['tmpcopyup', 'nosuid', 'size=1m'];
    const mounts = [{ destination: '/home', type: 'tmpfs', source: 'tmpfs', options }];
    const script =
      'stat -c "%a %u:%g %n" /home /home/deep/file; cat /home/deep/file; ls -l /home/link; touch /home/new; mount';
    const { lines } = await f.runToEnd(['sh', '-c', script], { mounts });
    assert.equal(lines.slice(0, 3), ['711 0:0 /home', '4755 5:6 /home/deep/file', 'text']);
    assert.match(lines[3] ?? '', /link -> \/etc\/passwd$/);
    assert.match(
      lines.find((line) => line.includes(' /home ')) ?? '',
      /tmpfs \(rw,nosuid,.*size=1024k/,
    );
    const proc = [{ destination: '/x', type: 'proc', source: 'proc', options: ['tmpcopyup'] }];
    const error = await rejects(f.runtime.run(f.spec('x', ['true'], { mounts: proc })));
    assert.match(String(error), /tmpcopyup is for tmpfs only/);
  });

  test('volumes in huge pages, of sizes that the kernel has', async () => {
    const f = await fixture();
    const path = join(f.dir, 'huge');
    await f.runtime.mountHugePages(path, 2 ** 21);
    await f.runtime.mountHugePages(path, 2 ** 21);
    const host = execFileSync('cat', ['/proc/self/mounts'], { encoding: 'utf8' }).split('\n');
    const [line = '', ...more] = host.filter((one) => one.includes(path));
    assert.match(line, / hugetlbfs .*pagesize=2M/);
    assert.equal(more, []);
    await f.runtime.unmount(path);
    const error = await rejects(f.runtime.mountHugePages(join(f.dir, 'odd'), 3 * 2 ** 20));
    assert.match(String(error), /this kernel has no huge pages of 3145728 bytes/);
  });

  test('joins a mount namespace by path and makes its root there', async () => {
    const f = await fixture();
    const holder = spawn('unshare', ['-m', 'sh', '-c', 'echo ready; exec sleep 60']);
    cleanup(() => void holder.kill('SIGKILL'));
    await new Promise((ready) => holder.stdout.once('data', ready));
    const namespaces = [
      { type: 'mount', path: `/proc/${holder.pid}/ns/mnt` },
      { type: 'pid' },
      { type: 'network' },
      { type: 'ipc' },
      { type: 'uts' },
    ];
    const { lines } = await f.runToEnd(['sh', '-c', 'ls /; hostname'], { namespaces });
    assert.ok(lines.includes('bin') && lines.includes('tmp') && !lines.includes('work'));
    assert.is(lines.at(-1), 'box');
  });

  test('shows the container its own cgroups, with a cgroup namespace and without', async () => {
    const f = await fixture();
    const list =
      'cat /proc/self/cgroup | head -1; ls /sys/fs/cgroup/pids; touch /sys/fs/cgroup/x 2>&1';
    const { lines } = await f.runToEnd(['sh', '-c', list]);
    assert.match(lines[0] ?? '', /:\/$/);
    assert.ok(lines.includes('pids.max'), lines.join('\n'));
    assert.match(lines.at(-1) ?? '', /Read-only file system/);
    const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
    const all = await f.runToEnd(
      ['sh', '-c', 'ls /sys/fs/cgroup/pids; ls -d /sys/fs/cgroup/memory'],
      {
        namespaces,
      },
    );
    assert.ok(all.lines.includes('pids.max'), all.lines.join('\n'));
    assert.not.ok(all.lines.includes(f.cgroupParent.slice(1)), all.lines.join('\n'));
    assert.is(all.lines.at(-1), '/sys/fs/cgroup/memory');
  });
});
