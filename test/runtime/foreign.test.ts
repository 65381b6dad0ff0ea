/** Containers that another OCI runtime makes: runc and crun of Debian, driven by the shim. */

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { CreateSpec, ForeignRuntime } from '../../pkg/runtime/runtime.ts';
import { sleep } from '../../pkg/wait/clock.ts';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture, EXEC, type Fixture, type Options, textOf } from './fixture.ts';

const MIB = 1 << 20;
const CGROUPS = '/sys/fs/cgroup';
const POLL_MS = 5;
/** Debian 12's crun refuses a machine that has cgroup v2 beside v1: it is shown none. */
const CRUN = `#!/bin/sh
exec unshare --mount sh -c 'while umount /sys/fs/cgroup/unified 2>/dev/null; do :; done; exec crun "$@"' crun "$@"
`;

const NAMES = ['runc', 'crun'] as const;

suite('foreign runtimes', ({ test, cleanup }) => {
  const fixture = async () => {
    const made = await createFixture();
    cleanup(() => made.close());
    return made;
  };

  for (const name of NAMES) {
    test(`${name}: a life with log, exit code and nothing left`, async () => {
      const f = await fixture();
      const run = (id: string, args: readonly string[], options?: Options) =>
        f.runtime.run(specOf(f, name, id, args, options));
      await run('a', ['sh', '-c', 'echo out; echo err >&2; hostname; exit 3']);
      const exit = await f.exit('a');
      assert.equal([exit.exitCode, exit.isOomKilled], [3, false]);
      assert.equal([...f.log('a')].sort(), ['stderr F err', 'stdout F box', 'stdout F out']);
      assert.is((await f.runtime.state('a'))?.status, 'stopped');
      await f.runtime.delete('a');
      assert.equal(await f.runtime.list(), []);
      assert.equal(readdirSync(join(f.runDir, 'containers')), []);
      assert.equal(readdirSync(rootOf(f, name)), []);
      const error = await rejects(run('b', ['nope']));
      assert.match(String(error), /OCI runtime create failed: .*nope/);
      assert.match(String(error), /not found/);
      assert.equal(await f.runtime.list(), []);
      assert.equal(readdirSync(join(f.runDir, 'containers')), []);
    });

    test(`${name}: exec, terminals, input, signals, pause and new limits`, async () => {
      const f = await fixture();
      const script = 'trap "echo asked; exit 7" TERM; echo up; while :; do sleep 0.05; done';
      const linux = { resources: { memory: { limit: 32 * MIB, swap: 32 * MIB } } };
      await f.runtime.create(specOf(f, name, 'a', ['sh', '-c', script], { linux }));
      assert.is((await f.runtime.state('a'))?.status, 'created');
      assert.is((await f.runtime.start('a')).status, 'running');
      await execs(f);
      await logged(f, 'a', 'stdout F up');
      const limit = join(CGROUPS, 'memory', f.cgroupParent, 'a/memory.limit_in_bytes');
      assert.is(readFileSync(limit, 'utf8').trim(), String(32 * MIB));
      await f.runtime.update('a', { memory: { limit: 48 * MIB, swap: 48 * MIB } });
      assert.is(readFileSync(limit, 'utf8').trim(), String(48 * MIB));
      await f.runtime.pause('a');
      assert.is((await f.runtime.state('a'))?.status, 'paused');
      await f.runtime.resume('a');
      assert.is((await f.runtime.list())[0]?.status, 'running');
      await f.runtime.kill('a', 15);
      assert.is((await f.exit('a')).exitCode, 7);
      assert.is(f.log('a').at(-1), 'stdout F asked');
      assert.match(String(await rejects(f.runtime.kill('a', 9))), /not running/);
      const late = f.runtime.exec('a', { ...EXEC, execId: 'l', args: ['true'] });
      assert.match(String(await rejects(late)), /not running/);
    });

    test(`${name}: a terminal of its own, and a kill for want of memory`, async () => {
      const f = await fixture();
      const talk = ['sh', '-c', 'read line; tty; stty size; exit 5'];
      const options = { hasTerminal: true, hasStdin: true };
      await f.runtime.run(specOf(f, name, 'a', talk, options));
      const session = await f.runtime.attach('a', { hasStdin: true });
      session.resize({ columns: 91, rows: 37 });
      session.stdout.write('go\r');
      assert.is(await textOf(session.stdout), 'go\r\n/dev/pts/0\r\n37 91\r\n');
      assert.is((await f.exit('a')).exitCode, 5);
      const linux = { resources: { memory: { limit: 24 * MIB, swap: 24 * MIB } } };
      const hog = ['dd', 'if=/dev/zero', 'of=/dev/null', `bs=${64 * MIB}`, 'count=1'];
      await f.runtime.run(specOf(f, name, 'b', hog, { linux }));
      const exit = await f.exit('b');
      assert.equal([exit.exitCode, exit.isOomKilled], [137, true]);
      await f.runtime.run(specOf(f, name, 'c', ['sleep', '100']));
      await f.runtime.kill('c', 9);
      assert.equal((await f.exit('c')).isOomKilled, false);
    });

    test(`${name}: a shared pid namespace, users of its own, a source that may not be left`, async () => {
      const f = await fixture();
      const mappings = [{ containerID: 0, hostID: 700_000, size: 65_536 }];
      const sandbox = await f.runtime.createSandbox({
        id: 's',
        hostname: 'shared',
        namespaces: ['net', 'ipc', 'uts', 'user', 'pid'],
        uidMappings: mappings,
        gidMappings: mappings,
      });
      const volume = join(f.dir, 'volume');
      mkdirSync(join(volume, 'sub'), { recursive: true });
      writeFileSync(join(volume, 'sub/file'), 'inside\n');
      const mounts = [
        {
          destination: '/mnt',
          type: 'bind',
          source: join(volume, 'sub'),
          sourceRoot: volume,
          options: ['rbind', 'rprivate', 'idmap', 'ro'],
        },
      ];
      const paths = sandbox.namespaces;
      const namespaces = [
        { type: 'mount' },
        ...[
          ['network', 'net'],
          ['ipc', 'ipc'],
          ['uts', 'uts'],
          ['user', 'user'],
          ['pid', 'pid'],
        ].map(([type = '', key = '']) => ({ type, path: paths[key] ?? '' })),
        { type: 'cgroup' },
      ];
      const script =
        'cat /mnt/file; stat -c %u /mnt/file /bin/sh; echo x > /mnt/file || echo refused; head -1 /proc/self/uid_map; kill -0 1 && echo reaper';
      const linux = { uidMappings: mappings, gidMappings: mappings };
      const spec = specOf(f, name, 'a', ['sh', '-c', `(${script}) 2>/dev/null; sleep 100`], {
        mounts,
        namespaces,
        linux,
        config: { hostname: undefined },
      });
      chownSync(spec.overlay?.upper ?? '', 700_000, 700_000);
      await f.runtime.run(spec);
      await logged(f, 'a', 'stdout F reaper');
      const lines = f.log('a').map((line) => line.replace('stdout F ', '').replace(/ +/g, ' '));
      assert.equal(lines, ['inside', '0', '0', 'refused', ' 0 700000 65536', 'reaper']);
      const session = await f.runtime.exec('a', { ...EXEC, execId: 'e', args: ['id', '-u'] });
      assert.is(await textOf(session.stdout), '0\n');
      await f.runtime.delete('a', { isForced: true });
      await f.runtime.deleteSandbox('s');
    });

    test(`${name}: what is left when the shim or the daemon is killed is ended, told and removed`, async () => {
      const f = await fixture();
      await f.runtime.run(specOf(f, name, 'a', ['sleep', '100']));
      await f.runtime.run(specOf(f, name, 'b', ['sh', '-c', 'sleep 100']));
      process.kill(processOf('mini-serve', f.runDir), 'SIGKILL');
      assert.is((await f.runtime.state('b'))?.status, 'running');
      const { pid = 0 } = (await f.runtime.state('a')) ?? {};
      process.kill(processOf('mini-shim', `shim a --run-dir ${f.runDir}`), 'SIGKILL');
      // Nobody asks: the new daemon's watch hears of it by itself.
      const exit = await f.exit('a');
      assert.equal([exit.exitCode, exit.isLost], [137, true]);
      while (existsSync(`/proc/${pid}`)) await sleep(POLL_MS);
      await f.runtime.delete('a', { isForced: true });
      assert.equal(readdirSync(rootOf(f, name)), ['b']);
      await f.runtime.delete('b', { isForced: true });
      assert.equal(readdirSync(rootOf(f, name)), []);
    });
  }

  // Not crun: what shows it no cgroup v2 is a mount namespace of its own.
  test('mounts that reach the host, and what lies below is read-only', async () => {
    const f = await fixture();
    const [shared, tree] = [join(f.dir, 'shared'), join(f.dir, 'tree')];
    for (const path of [shared, join(tree, 'sub')]) mkdirSync(path, { recursive: true });
    const mounted = (...words: readonly string[]) => {
      execFileSync('mount', words);
      cleanup(() => void execFileSync('umount', ['-R', words.at(-1) ?? '']));
    };
    mounted('-t', 'tmpfs', 'below', join(tree, 'sub'));
    mounted('-t', 'tmpfs', 'shared', shared);
    execFileSync('mount', ['--make-shared', shared]);
    const bind = { type: 'bind' };
    const mounts = [
      { ...bind, destination: '/shared', source: shared, options: ['rbind', 'rshared', 'rw'] },
      {
        ...bind,
        destination: '/tree',
        source: tree,
        options: ['rbind', 'rprivate', 'ro', 'rro'],
      },
    ];
    const script =
      'mkdir /shared/in && mount -t tmpfs in /shared/in && echo x > /shared/in/x; echo y > /tree/sub/y || echo refused; echo end; sleep 100';
    const all = ['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE', 'CAP_SYS_RESOURCE'];
    const capabilities = { bounding: all, permitted: all, effective: all };
    const options = {
      mounts,
      process: { capabilities, oomScoreAdj: -999 },
      linux: { rootfsPropagation: 'rshared' },
    };
    await f.runtime.run(specOf(f, 'runc', 'a', ['sh', '-c', `(${script}) 2>/dev/null`], options));
    await logged(f, 'a', 'stdout F end');
    assert.equal(f.log('a'), ['stdout F refused', 'stdout F end']);
    assert.is(readFileSync(join(shared, 'in/x'), 'utf8'), 'x\n');
    const left = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    assert.equal(
      left.filter((line) => line.includes(join(f.runDir, 'containers'))),
      [],
    );
    await f.runtime.delete('a', { isForced: true });
  });

  test('a call that was cut short, or whose runtime is gone, leaves nothing', async () => {
    const f = await fixture();
    const path = join(f.dir, 'stuck');
    const root = join(f.runDir, 'handlers', 'stuck');
    const runtime = { path, args: ['--given'], root };
    const begun = join(f.dir, 'begun');
    // Stuck at its first call, useless later.
    const lines = ['#!/bin/sh', `[ -e ${begun} ] && exit 1`, `echo "$$ $@" > ${begun}.new`];
    const rest = [`mv ${begun}.new ${begun}`, 'exec sleep 1000', ''];
    writeFileSync(path, [...lines, ...rest].join('\n'), { mode: 0o755 });
    const stuck = async () => {
      while (!existsSync(begun)) await sleep(POLL_MS);
      return readFileSync(begun, 'utf8').trim().split(' ');
    };
    // Who asked gives up: the runtime ends at once, and whoever wants the container gone need not wait for it.
    const gaveUp = new AbortController();
    const first = rejects(f.runtime.run({ ...f.spec('z', ['true']), runtime }, gaveUp.signal));
    const [unwanted = ''] = await stuck();
    gaveUp.abort(new Error('enough'));
    assert.is(String(await first), 'Error: enough');
    await f.runtime.delete('z', { isForced: true });
    assert.not.ok(existsSync(`/proc/${unwanted}`));
    assert.equal(readdirSync(join(f.runDir, 'containers')), []);
    rmSync(begun);
    const run = rejects(f.runtime.run({ ...f.spec('a', ['true']), runtime }));
    const [pid = '', ...words] = await stuck();
    assert.equal(words.slice(0, 4), ['--given', '--root', root, '--log']);
    process.kill(processOf('mini-shim', `shim a --run-dir ${f.runDir}`), 'SIGKILL');
    assert.match(String(await run), /unanswered|OCI runtime create failed: exit status 1/);
    while (existsSync(`/proc/${pid}`)) await sleep(POLL_MS);
    await f.runtime.delete('a', { isForced: true });
    assert.equal(readdirSync(join(f.runDir, 'containers')), []);
    const gone = f.runtime.run({
      ...f.spec('b', ['true']),
      runtime: { ...runtime, path: '/nowhere/runtime' },
    });
    assert.match(
      String(await rejects(gone)),
      /execute the runtime \/nowhere\/runtime: No such file/,
    );
    const silent = f.runtime.run({ ...f.spec('c', ['true']), runtime });
    assert.match(String(await rejects(silent)), /OCI runtime create failed: exit status 1/);
  });
});

/** Many that end at once, one with a terminal, one that cannot be executed, one that reads. */
async function execs(f: Fixture): Promise<void> {
  const codes = Array.from({ length: 6 }, async (_, at) => {
    const args = ['sh', '-c', `echo ${at}; echo e${at} >&2; exit ${at}`];
    const session = await f.runtime.exec('a', { ...EXEC, execId: `e${at}`, args });
    const texts = [textOf(session.stdout), textOf(session.stderr ?? session.stdout)];
    assert.equal(await Promise.all(texts), [`${at}\n`, `e${at}\n`]);
    return (await session.exited).exitCode;
  });
  assert.equal(await Promise.all(codes), [0, 1, 2, 3, 4, 5]);
  const missing = f.runtime.exec('a', { ...EXEC, execId: 'm', args: ['nope'] });
  assert.match(String(await rejects(missing)), /OCI runtime exec failed: .*not found/);
  const reader = await f.runtime.exec('a', {
    ...EXEC,
    execId: 'r',
    args: ['sh', '-c', 'id -u; id -g; cat'],
    user: { uid: 42, gid: 43 },
    hasStdin: true,
  });
  reader.stdout.end('input\n');
  assert.is(await textOf(reader.stdout), '42\n43\ninput\n');
  const terminal = await f.runtime.exec('a', {
    ...EXEC,
    execId: 't',
    args: ['sh', '-c', 'stty size; read line; stty size; exit 3'],
    hasTerminal: true,
    hasStdin: true,
    consoleSize: { height: 24, width: 80 },
  });
  terminal.resize({ columns: 91, rows: 37 });
  terminal.stdout.write('go\r');
  assert.match(await textOf(terminal.stdout), /37 91\r\n$/);
  assert.is((await terminal.exited).exitCode, 3);
}

async function logged(f: Fixture, id: string, line: string): Promise<void> {
  while (!f.log(id).includes(line)) await sleep(POLL_MS);
}

function specOf(
  f: Fixture,
  name: (typeof NAMES)[number],
  id: string,
  args: readonly string[],
  options?: Options,
): CreateSpec {
  return { ...f.spec(id, args, options), runtime: runtimeOf(f, name) };
}

function rootOf(f: Fixture, name: string): string {
  return join(f.runDir, 'handlers', name);
}

function runtimeOf(f: Fixture, name: (typeof NAMES)[number]): ForeignRuntime {
  const root = rootOf(f, name);
  if (name === 'runc') return { path: '/usr/sbin/runc', args: [], root };
  const path = join(f.dir, 'crun');
  if (!existsSync(path)) {
    writeFileSync(path, CRUN);
    chmodSync(path, 0o755);
  }
  return { path, args: [], root };
}

/** The process of this name whose command contains `text`. */
function processOf(name: string, text: string): number {
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const own = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
      if (own === name && command.includes(text)) return Number(pid);
    } catch {
      // It has gone meanwhile.
    }
  }
  throw new Error(`No ${name} runs`);
}
