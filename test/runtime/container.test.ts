/** What a program finds inside its container, and how its end is told. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { RuntimeError } from '../../pkg/runtime/runtime.ts';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture } from './fixture.ts';

suite('runtime container', ({ test, cleanup }) => {
  const fixture = async () => {
    const made = await createFixture();
    cleanup(() => made.close());
    return made;
  };

  test('delivers exit codes, signals and logs of both streams in order', async () => {
    const f = await fixture();
    const script = 'echo one; echo two >&2; printf three; exit 7';
    await f.runtime.run(f.spec('a', ['sh', '-c', script]));
    const exit = await f.exit('a');
    assert.is(exit.exitCode, 7);
    assert.is(exit.isOomKilled, false);
    assert.ok(exit.startedAt < exit.finishedAt);
    const lines = f.log('a');
    assert.equal([...lines].sort(), ['stderr F two', 'stdout F one', 'stdout P three']);
    const state = await f.runtime.state('a');
    assert.is(state?.status, 'stopped');
    assert.equal(state?.exit, exit);
    await f.runtime.run(f.spec('b', ['sleep', '100']));
    await f.runtime.kill('b', 15);
    // As PID 1 of its namespace sleep has no handler, so only SIGKILL ends it.
    await f.runtime.kill('b', 9);
    const killed = await f.exit('b');
    assert.equal([killed.exitCode, killed.signal], [137, 9]);
  });

  test('has its own namespaces, hostname, devices and a private root', async () => {
    const f = await fixture();
    const script = [
      'hostname',
      'ls /dev',
      'echo $$',
      'ls /proc/self/fd | wc -l 2>/dev/null || ls /proc/self/fd',
      'ip link | head -1',
      'cat /proc/self/cgroup | head -1',
      'touch /new && echo written',
      'echo x > /proc/sys/kernel/hostname || echo readonly',
      'ls /sys/firmware',
    ].join('; ');
    const { lines } = await f.runToEnd(['sh', '-c', `${script} 2>&1`]);
    assert.is(lines[0], 'box');
    for (const name of [
      'null',
      'zero',
      'full',
      'random',
      'urandom',
      'tty',
      'ptmx',
      'fd',
      'shm',
      'pts',
    ])
      assert.ok(lines.includes(name), `/dev/${name}`);
    assert.ok(lines.includes('1'), 'is PID 1');
    assert.ok(lines.some((line) => line.startsWith('1: lo: <LOOPBACK>')));
    assert.ok(lines.includes('written'));
    assert.not.ok(readdirSync(f.rootfs).includes('new'));
    assert.ok(lines.includes('readonly'));
  });

  test('holds no open file of the host', async () => {
    const f = await fixture();
    const { lines } = await f.runToEnd(['sh', '-c', 'for x in /proc/1/fd/*; do echo $x; done']);
    // The shell itself keeps 0 to 2 and may have its directory listing open.
    assert.ok(lines.length <= 4, lines.join(' '));
  });

  test('applies user, groups, capabilities, limits, umask, directory and environment', async () => {
    const f = await fixture();
    const { lines } = await f.runToEnd(
      [
        'sh',
        '-c',
        'id; umask; pwd; ulimit -n; echo $HOME $FOO; cat /proc/self/status /proc/self/oom_score_adj',
      ],
      {
        process: {
          user: { uid: 1234, gid: 5678, additionalGids: [7, 8], umask: 0o27 },
          cwd: '/tmp',
          env: ['PATH=/bin', 'FOO=bar'],
          rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
          oomScoreAdj: 500,
          capabilities: { bounding: ['CAP_KILL', 'CAP_SYS_RESOURCE'] },
        },
      },
    );
    assert.is(lines[0], 'uid=1234 gid=5678 groups=7,8');
    assert.equal(lines.slice(1, 5), ['0027', '/tmp', '100', '/ bar']);
    const status = (name: string) => lines.find((line) => line.startsWith(name))?.split(/\s+/)[1];
    assert.is(status('CapEff:'), '0000000000000000');
    assert.is(Number.parseInt(status('CapBnd:') ?? '', 16) & 0x20, 0x20);
    assert.is(status('NoNewPrivs:'), '1');
    assert.is(lines.at(-1), '500');
  });

  test('mounts binds with their options, below the root whatever links say', async () => {
    const f = await fixture();
    const source = join(f.dir, 'source');
    mkdirSync(source);
    writeFileSync(join(source, 'file'), 'content\n');
    const { lines } = await f.runToEnd(
      [
        'sh',
        '-c',
        'cat /data/deep/file /one; touch /data/deep/x 2>&1; mount | head -99; ls -l /esc',
      ],
      {
        mounts: [
          { destination: '/data/deep', type: 'bind', source, options: ['rbind', 'ro', 'nosuid'] },
          { destination: '/one', type: 'bind', source: join(source, 'file'), options: ['bind'] },
          { destination: '/../../esc', type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] },
        ],
      },
    );
    assert.equal(lines.slice(0, 2), ['content', 'content']);
    assert.match(lines[2] ?? '', /Read-only file system/);
    assert.ok(lines.some((line) => / on \/data\/deep .*\(ro,nosuid/.test(line)));
    assert.ok(lines.some((line) => / on \/esc type tmpfs/.test(line)));
  });

  test('makes the root read-only when asked', async () => {
    const f = await fixture();
    const { lines } = await f.runToEnd(['sh', '-c', 'touch /x 2>&1; touch /dev/shm/y && echo ok'], {
      root: { readonly: true },
    });
    assert.match(lines[0] ?? '', /Read-only file system/);
    assert.is(lines[1], 'ok');
  });

  for (const [args, code, message] of [
    [['nope'], 'ENOENT', 'exec: "nope": executable file not found in $PATH'],
    [['/bin/nope'], 'ENOENT', 'exec: "/bin/nope": stat /bin/nope: no such file or directory'],
    [['/tmp'], 'EACCES', 'exec: "/tmp": is a directory: permission denied'],
  ] as const)
    test(`says why ${args[0]} cannot be executed, and leaves nothing`, async () => {
      const f = await fixture();
      const error = await rejects(f.runtime.run(f.spec('x', args)));
      assert.instance(error, RuntimeError);
      assert.equal(
        [(error as RuntimeError).code, (error as RuntimeError).message],
        [code, message],
      );
      assert.equal(await f.runtime.list(), []);
      assert.is(await f.runtime.state('x'), undefined);
    });

  for (const [what, options] of [
    ['linux.intelRdt', { linux: { intelRdt: { closID: 'x' } } }],
    ['linux.mountLabel', { linux: { mountLabel: 'system_u:object_r:x_t:s0' } }],
  ] as const)
    test(`refuses ${what} instead of ignoring it`, async () => {
      const f = await fixture();
      const error = await rejects(f.runtime.run(f.spec('x', ['true'], options)));
      assert.match(String(error), what);
    });

  test('waits between create and start, and can be deleted in between', async () => {
    const f = await fixture();
    const created = await f.runtime.create(f.spec('a', ['sh', '-c', 'exit 3']));
    assert.is(created.status, 'created');
    assert.is((await f.runtime.start('a')).id, 'a');
    assert.is((await f.exit('a')).exitCode, 3);
    assert.match(String(await rejects(f.runtime.start('a'))), /it is stopped/);
    await f.runtime.create(f.spec('b', ['true']));
    assert.match(String(await rejects(f.runtime.create(f.spec('b', ['true'])))), /already exists/);
    await f.runtime.delete('b');
    await f.runtime.delete('b');
    assert.equal(
      (await f.runtime.list()).map((c) => c.id),
      ['a'],
    );
  });

  test('will not delete a running container unless forced, also a frozen one', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '100']));
    const error = await rejects(f.runtime.delete('a'));
    assert.match(String(error), /not stopped: running/);
    await f.runtime.pause('a');
    assert.is((await f.runtime.state('a'))?.status, 'paused');
    await f.runtime.resume('a');
    assert.is((await f.runtime.state('a'))?.status, 'running');
    await f.runtime.pause('a');
    await f.runtime.delete('a', { isForced: true });
    assert.is((await f.exit('a')).exitCode, 137);
  });

  test('limits memory and pids, and tells an out-of-memory kill from others', async () => {
    const f = await fixture();
    const { exit } = await f.runToEnd(['sh', '-c', 'x=$(yes | head -c 100000000); exit 0'], {
      linux: { resources: { memory: { limit: 16 << 20 }, pids: { limit: 20 } } },
    });
    assert.ok(exit.exitCode !== 0);
    assert.is(exit.isOomKilled, true);
    await f.runtime.run(
      f.spec('a', ['sleep', '100'], { linux: { resources: { pids: { limit: 20 } } } }),
    );
    const limit = join('/sys/fs/cgroup/pids', f.cgroupParent, 'a/pids.max');
    assert.is(readFileSync(limit, 'utf8'), '20\n');
    await f.runtime.update('a', {
      pids: { limit: 30 },
      cpu: { shares: 512, quota: 50000, period: 100000 },
    });
    assert.is(readFileSync(limit, 'utf8'), '30\n');
    const cpu = join('/sys/fs/cgroup/cpu', f.cgroupParent, 'a');
    assert.is(readFileSync(join(cpu, 'cpu.shares'), 'utf8'), '512\n');
    assert.is(readFileSync(join(cpu, 'cpu.cfs_quota_us'), 'utf8'), '50000\n');
    assert.is((await f.runtime.processes('a')).length, 1);
  });

  test('denies devices that are not allowed', async () => {
    const f = await fixture();
    const { lines } = await f.runToEnd(
      ['sh', '-c', 'cat /dev/kmsg 2>&1 | head -1; echo a > /dev/null && echo ok'],
      {
        linux: {
          resources: { devices: [{ allow: false, access: 'rwm' }] },
          devices: [{ path: '/dev/kmsg', type: 'c', major: 1, minor: 11, fileMode: 0o666 }],
        },
      },
    );
    assert.match(lines[0] ?? '', /Operation not permitted/);
    assert.is(lines[1], 'ok');
  });

  test('shares a pid namespace, and ends with its first process', async () => {
    const f = await fixture();
    const first = await f.runtime.run(
      f.spec('a', ['sh', '-c', 'read x; exit 2'], { hasStdin: true }),
    );
    const session = await f.runtime.attach('a', { hasStdin: true });
    const shared = (path: string) => [
      { type: 'mount' },
      { type: 'uts' },
      { type: 'ipc' },
      { type: 'network' },
      { type: 'pid', path },
    ];
    const namespaces = shared(`/proc/${first.pid}/ns/pid`);
    const { lines } = await f.runToEnd(
      ['sh', '-c', 'cat /proc/1/cmdline | head -c 2; echo; echo $$'],
      {
        namespaces,
      },
    );
    assert.is(lines[0], 'sh');
    assert.ok(Number(lines[1]) > 1);
    await f.runtime.run(f.spec('b', ['sleep', '100'], { namespaces }));
    session.stdout.write('\n');
    assert.is((await f.exit('a')).exitCode, 2);
    assert.is((await f.exit('b')).exitCode, 137);
  });

  test('ends what a container left in the host pid namespace', async () => {
    const f = await fixture();
    const namespaces = ['mount', 'uts', 'ipc', 'network'].map((type) => ({ type }));
    const script = 'sleep 100 >/dev/null 2>&1 & exit 0';
    await f.runtime.run(f.spec('a', ['sh', '-c', script], { namespaces }));
    await f.exit('a');
    while ((await f.runtime.processes('a')).length > 0)
      await new Promise((done) => setImmediate(done));
    await f.runtime.delete('a');
  });

  for (const cwd of ['/proc/self/fd/3', '/proc/self/fd/7/../../..', '/proc/1/fd/5'])
    test(`will not work in ${cwd}, a directory of the host`, async () => {
      const f = await fixture();
      const error = await rejects(f.runtime.run(f.spec('x', ['true'], { process: { cwd } })));
      assert.match(String(error), /cwd|chdir/);
    });

  test("is refused the helper's own executable", async () => {
    const f = await fixture();
    const before = readFileSync(f.helper);
    await f.runtime.run(
      f.spec('a', ['sh', '-c', 'until cat /proc/[2-9]*/exe >/dev/null; do :; done']),
    );
    const script = 'echo x > /proc/self/exe';
    const session = await f.runtime.exec('a', {
      execId: 'e',
      args: ['sh', '-c', script],
      env: ['PATH=/bin'],
      cwd: '/',
      user: { uid: 0, gid: 0 },
      hasTerminal: false,
      hasStdin: false,
    });
    assert.ok((await session.exited).exitCode !== 0);
    // The copy may run, or lack what it needs in here; it must not reach the host's file.
    const again = f.runtime.exec('a', {
      execId: 'f',
      args: ['/proc/self/exe', 'sh'],
      env: ['PATH=/bin'],
      cwd: '/',
      user: { uid: 0, gid: 0 },
      hasTerminal: false,
      hasStdin: false,
    });
    await again.then(({ exited }) => exited).catch(() => undefined);
    assert.is((await f.runtime.list()).length, 1);
    assert.equal(readFileSync(f.helper), before);
  });
});
