/** Verbs and flags of the command line beyond the life of one container. */

import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import { type Bundle, createBundle } from './bundle.ts';

suite('runtime verbs', ({ test, cleanup }) => {
  const setUp = async () => {
    const made = await createBundle();
    cleanup(() => made.close());
    return made;
  };
  const running = async (options = {}) => {
    const b = await setUp();
    b.config(['sleep', '100'], options);
    assert.is(b.create('a').status, 0);
    assert.is(b.oci('start', 'a').status, 0);
    return b;
  };
  /** The helper on a terminal of 33 rows and 77 columns. */
  const onTerminal = (b: Bundle, args: readonly string[], input = '') => {
    const quoted = [b.helper, ...b.global, ...args].map((arg) => `'${arg}'`).join(' ');
    const command = `stty rows 33 cols 77; ${quoted}`;
    return spawnSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8', input });
  };

  test('joins the terminal of the caller to the one of the container', async () => {
    const b = await setUp();
    b.config(['sh', '-c', 'stty size; tty; read line; echo "got $line"; exit 3'], {
      hasTerminal: true,
    });
    const ran = onTerminal(b, ['run', '--bundle', b.bundle, 'a'], 'hello\n');
    assert.is(ran.status, 3, ran.stdout);
    assert.match(ran.stdout, /33 77\r\n/);
    assert.match(ran.stdout, /\/dev\/pts\/0\r\n/);
    assert.match(ran.stdout, /got hello\r\n/);
    assert.match(b.oci('state', 'a').stderr, /does not exist/);
  });

  test('runs in the foreground on a terminal without having one itself', async () => {
    const b = await setUp();
    b.config(['sh', '-c', 'tty; cat; exit 4'], { hasTerminal: true });
    const args = [...b.global, 'run', '--bundle', b.bundle, 'a'];
    const ran = spawnSync(b.helper, args, { encoding: 'utf8', input: 'line\n' });
    assert.is(ran.status, 4, ran.stderr);
    assert.match(ran.stdout, /\/dev\/pts\/0\r\n/);
    // What the terminal echoes, and what cat writes.
    assert.is(ran.stdout.split('line\r\n').length, 3, ran.stdout);
  });

  test('a container has a session keyring of its own unless told otherwise', async () => {
    const b = await setUp();
    const program = join(import.meta.dirname, 'session-keyring.c');
    execFileSync('gcc', ['-static', '-o', join(b.bundle, 'rootfs/bin/keyring'), program]);
    const keyringsOf = (...flags: readonly string[]) => {
      b.config(['sh', '-c', 'keyring > /out; exec sleep 100']);
      assert.is(b.create(...flags, 'a').status, 0);
      assert.is(b.oci('start', 'a').status, 0);
      const script = 'until [ -s /out ]; do sleep 0.1; done; cat /out; keyring';
      const { stdout, stderr } = b.oci('exec', 'a', 'sh', '-c', script);
      assert.is(stderr, '');
      assert.is(b.oci('delete', '--force', 'a').status, 0);
      rmSync(join(b.bundle, 'rootfs/out'));
      return stdout.trim().split('\n');
    };
    const [first, other] = keyringsOf();
    assert.match(first ?? '', / keyring;0;0;[0-9a-f]+;_ses\.a$/);
    assert.is(other, first, 'an exec is in it, too');
    for (const line of keyringsOf('--no-new-keyring')) assert.not.match(line, /_ses\.a$/);
  });

  test('executes with a terminal, and on the flags of users', async () => {
    const b = await running({ process: { env: ['PATH=/bin', 'A=1', 'B=2'], cwd: '/tmp' } });
    const shown = onTerminal(b, ['exec', '--tty', 'a', 'sh', '-c', 'stty size; tty; exit 5']);
    assert.is(shown.status, 5, shown.stdout);
    // Between the two may come an echo of the ^D that `script` types once its input has ended.
    assert.match(shown.stdout, /33 77\r\n/);
    assert.match(shown.stdout, /\/dev\/pts\/0\r\n/);
    const script = 'id; pwd; echo $A $B $C; cat /proc/self/status';
    const flags = [
      ...['--user', '12:34', '--additional-gids', '56', '-g', '78', '--cwd', '/bin'],
      ...['--env', 'A=x', '-e', 'C=3', '--cap', 'CAP_SYS_CHROOT', '--no-new-privs'],
    ];
    const lines = b.oci('exec', ...flags, 'a', 'sh', '-c', script).stdout.split('\n');
    assert.is(lines[0], 'uid=12 gid=34 groups=56,78');
    assert.equal(lines.slice(1, 3), ['/bin', 'x 2 3']);
    const status = (name: string) => lines.find((line) => line.startsWith(name))?.split('\t')[1];
    assert.is(Number.parseInt(status('CapBnd:') ?? '', 16) & (1 << 18), 1 << 18);
    assert.is(status('NoNewPrivs:'), '1');
    for (const [flag, value, message] of [
      ['--user', 'root', /--user "root" must be UID\[:GID\]/],
      ['--additional-gids', 'x', /--additional-gids "x" must be a number/],
      ['--env', 'x', /--env "x" must be NAME=VALUE/],
      ['--apparmor', 'x', /this kernel has no AppArmor/],
      ['--process-label', 'x', /this host has no SELinux/],
    ] as const)
      assert.match(b.oci('exec', flag, value, 'a', 'true').stderr, message);
  });

  test('takes a process file as it stands', async () => {
    const b = await running();
    const file = join(b.dir, 'process.json');
    const script = 'grep -e CapBnd -e NoNewPrivs /proc/self/status; echo $X';
    const args = ['busybox', 'sh', '-c', script];
    writeFileSync(file, JSON.stringify({ args, cwd: '/', env: ['PATH=/bin', 'X=y'], user: {} }));
    const { stdout, stderr } = b.oci('exec', '--process', file, 'a');
    assert.is(stdout, 'CapBnd:\t0000000000000000\nNoNewPrivs:\t0\ny\n', stderr);
    writeFileSync(file, '{}');
    assert.match(b.oci('exec', '--process', file, 'a').stderr, /args must not be empty/);
  });

  test('starts in the background with a pid file', async () => {
    const b = await running();
    const pidFile = join(b.dir, 'pid');
    const flags = [...b.global, 'exec', '--detach', '--pid-file', pidFile, 'a', 'sleep', '50'];
    assert.is(spawnSync(b.helper, flags, { stdio: 'ignore' }).status, 0);
    const pids: readonly number[] = JSON.parse(b.oci('ps', '--format', 'json', 'a').stdout);
    assert.ok(pids.includes(Number(readFileSync(pidFile, 'utf8'))));
    assert.is(b.oci('kill', '--all', 'a', 'KILL').status, 0);
    while (b.state()['status'] !== 'stopped') await new Promise((done) => setImmediate(done));
    while (b.oci('ps', '--format', 'json', 'a').stdout !== '[]\n')
      await new Promise((done) => setImmediate(done));
  });

  test('executes in a paused container only when told to', async () => {
    const b = await running();
    assert.is(b.oci('pause', 'a').status, 0);
    assert.match(b.oci('exec', 'a', 'true').stderr, /it is paused \(use --ignore-paused\)/);
    // It waits with the others until they go on.
    const call = (...args: readonly string[]) => [b.helper, ...b.global, ...args].join(' ');
    const both = `${call('exec', '--ignore-paused', 'a', 'echo', 'late')} & ${call('resume', 'a')}; wait`;
    assert.is(spawnSync('sh', ['-c', both], { encoding: 'utf8' }).stdout, 'late\n');
  });

  test('passes file descriptors on', async () => {
    const b = await setUp();
    const path = join(b.dir, 'text');
    writeFileSync(path, 'from the caller\n');
    const fd = openSync(path, 'r');
    const call = (...args: readonly string[]) =>
      spawnSync(b.helper, [...b.global, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe', fd],
      });
    const script = 'cat <&3; for x in /proc/self/fd/*; do echo $x; done';
    b.config(['sh', '-c', script]);
    const ran = call('run', '--bundle', b.bundle, '--preserve-fds', '1', 'a');
    assert.match(ran.stdout, /^from the caller\n/, ran.stderr);
    assert.not.match(ran.stdout, /fd\/5/);
    assert.match(
      call('run', '--bundle', b.bundle, '--preserve-fds=4', 'a').stderr,
      /--preserve-fds 4: fd \d is not open/,
    );
    closeSync(fd);
    b.config(['sleep', '100']);
    b.create('a');
    const again = openSync(path, 'r');
    const executed = spawnSync(
      b.helper,
      [...b.global, 'exec', '--preserve-fds', '1', 'a', 'sh', '-c', 'cat <&3'],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe', again] },
    );
    closeSync(again);
    assert.is(executed.stdout, 'from the caller\n', executed.stderr);
  });

  test('tells what the cgroups count', async () => {
    const b = await running({ linux: { resources: { pids: { limit: 33 } } } });
    const { type, id, data } = JSON.parse(b.oci('events', '--stats', 'a').stdout);
    assert.equal([type, id], ['stats', 'a']);
    assert.equal(data.pids, { current: 1, limit: 33 });
    assert.ok(data.memory.usage.usage > 0 && data.memory.usage.limit > 0);
    assert.ok(data.memory.raw.inactive_file >= 0);
    assert.ok(data.cpu.usage.total > 0);
    assert.is(data.cpu.throttling.periods, 0);
    assert.match(b.oci('events', '--interval', '0', 'a').stderr, /must be a time like 5s/);
    b.oci('kill', 'a', 'KILL');
    while (b.state()['status'] !== 'stopped') await new Promise((done) => setImmediate(done));
    assert.match(b.oci('events', '--stats', 'a').stderr, /is not running/);
  });

  test('tells of events until the container ends', async () => {
    const b = await setUp();
    const script = 'read x < /proc/1/comm; (x=$(yes | head -c 90000000)); echo; sleep 0.3';
    b.config(['sh', '-c', script], { linux: { resources: { memory: { limit: 16 << 20 } } } });
    assert.is(b.create('a').status, 0);
    const watching = `{ ${[b.helper, ...b.global, 'events', '--interval', '20ms', 'a'].join(' ')}; } &
      ${[b.helper, ...b.global, 'start', 'a'].join(' ')}; wait`;
    const { stdout } = spawnSync('sh', ['-c', watching], { encoding: 'utf8' });
    const events: readonly { type: string; id: string }[] = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
    assert.ok(events.some((event) => event.type === 'stats'));
    assert.ok(events.some((event) => event.type === 'oom' && event.id === 'a'));
  });

  test('writes a config.json that runs, once', async () => {
    const b = await setUp();
    assert.is(b.oci('spec', '--bundle', b.bundle).status, 0);
    assert.match(b.oci('spec', '--bundle', b.bundle).stderr, /config.json exists/);
    const path = join(b.bundle, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8'));
    config.process.terminal = false;
    config.process.args = ['hostname'];
    config.linux.cgroupsPath = b.cgroup;
    writeFileSync(path, JSON.stringify(config));
    const ran = b.oci('run', '--bundle', b.bundle, 'a');
    assert.equal([ran.status, ran.stdout], [0, 'mini\n'], ran.stderr);
  });

  test('lists by id and as JSON, and prints processes as asked for', async () => {
    const b = await running();
    assert.is(b.oci('list', '--quiet').stdout, 'a\n');
    const [only] = JSON.parse(b.oci('list', '-f', 'json').stdout);
    assert.equal([only.id, only.status], ['a', 'running']);
    const lines = b.oci('ps', 'a').stdout.trimEnd().split('\n');
    assert.is(lines.length, 2);
    assert.match(lines[0] ?? '', /\bPID\b.*\bCMD\b/);
    assert.match(lines[1] ?? '', /sleep 100/);
    assert.match(b.oci('ps', 'a', '-o', 'pid,args').stdout, /^ +PID COMMAND\n *\d+ sleep 100\n$/);
    assert.match(b.oci('ps', 'a', '-o', 'args').stderr, /no column PID/);
    assert.match(b.oci('list', '--format', 'xml').stderr, /must be json or table/);
  });

  test('updates limits by flags and by standard input', async () => {
    const b = await running({ linux: { resources: { pids: { limit: 33 } } } });
    const flags = [
      '--memory',
      '64m',
      '--cpu-share=512',
      '--cpu-quota',
      '40000',
      '--pids-limit',
      '9',
    ];
    assert.is(b.oci('update', ...flags, 'a').status, 0);
    const value = (file: string) => {
      const [controller = ''] = file.split('.');
      return readFileSync(join('/sys/fs/cgroup', controller, b.cgroup, file), 'utf8').trim();
    };
    assert.is(value('memory.limit_in_bytes'), String(64 << 20));
    assert.equal([value('cpu.shares'), value('cpu.cfs_quota_us')], ['512', '40000']);
    assert.is(value('pids.max'), '9');
    const args = [...b.global, 'update', '--resources', '-', 'a'];
    const input = JSON.stringify({ pids: { limit: 12 } });
    assert.is(spawnSync(b.helper, args, { input }).status, 0);
    assert.is(value('pids.max'), '12');
    assert.match(b.oci('update', '--memory', '64x', 'a').stderr, /--memory "64x" is no number/);
    assert.match(b.oci('update', '--memory', '9999999t', 'a').stderr, /"9999999t" is no number/);
    assert.match(b.oci('update', 'a').stderr, /usage/);
  });

  test('says in the log, too, what it refuses', async () => {
    const b = await setUp();
    for (const [args, message] of [
      [['--systemd-cgroup', 'state', 'a'], /--systemd-cgroup is not supported/],
      [['create', '--no-pivot', 'a'], /--no-pivot is not supported/],
      [['--rootless', 'true', 'list'], /--rootless \\"true\\" is not supported/],
      [['exec', 'a'], /does not exist/],
      [['start'], /usage: mini-runtime start ID/],
      [['nope'], /unknown command \\"nope\\"/],
    ] as const) {
      assert.is(b.oci(...args).status, 1);
      const last = readFileSync(join(b.dir, 'log'), 'utf8').trimEnd().split('\n').at(-1) ?? '';
      assert.is(JSON.parse(last).level, 'error');
      assert.match(last, message);
    }
    assert.is(b.oci('--systemd-cgroup=false', 'list', '-q').status, 0);
    assert.match(b.oci('--log-format', 'xml', 'list').stderr, /must be text or json/);
  });
});
