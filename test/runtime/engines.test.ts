/**
 * Other engines drive the helper as they drive their own runtime: Debian's podman (conmon) and dockerd (containerd), on
 * a test host, with an image from an archive.
 */

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { type Host, type Output, Switch } from '../harness/hosts.ts';
import { suite } from '../harness/suite.ts';
import { helperPath } from './fixture.ts';

const TIMEOUT_MS = 120_000;
const MIB = 1024 * 1024;
const PROGRAMS = ['podman', 'conmon', 'dockerd', 'containerd', 'docker-init', 'catatonit'];
const DOCKER = '/usr/bin/docker';
const APPLETS = 'sh cat ls id sleep echo ps touch tty env pwd grep ip'.split(' ');
/** Numbers of capabilities. */
const CAP_CHOWN = 0n;
const CAP_NET_ADMIN = 12n;

interface Engine {
  readonly name: string;
  /** Arguments of `run` that every container gets. */
  readonly network: readonly string[];
  run(...args: readonly string[]): Promise<Output>;
  /** The same in a terminal, with this typed into it. */
  type(input: string, ...args: readonly string[]): Promise<Output>;
}

/** A root file system of busybox with a user `app`, as a tar archive. */
function makeArchive(dir: string): string {
  const root = join(dir, 'image');
  for (const name of ['bin', 'etc', 'tmp', 'root'])
    mkdirSync(join(root, name), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  for (const name of APPLETS) symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/root:/bin/sh\n',
  );
  const archive = join(dir, 'image.tar');
  execFileSync('tar', ['-C', root, '-cf', archive, '.']);
  return archive;
}

function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function engineOn(host: Host, name: string, command: readonly string[]): Engine {
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: host.dir,
    TMPDIR: host.dir,
    DOCKER_HOST: 'unix:///run/docker.sock',
  };
  return {
    name,
    network: ['--net', 'none'],
    run: (...args) => host.run([...command, ...args], { env }),
    type: (input, ...args) => {
      const line = [...command, ...args].map(shellQuote).join(' ');
      return host.run(['script', '-qec', line, '/dev/null'], { env, input });
    },
  };
}

async function ok(engine: Engine, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.run(...args);
  assert.is(code, 0, `${engine.name} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout.trim();
}

async function until<T>(what: string, check: () => Promise<T | undefined>): Promise<T> {
  const deadlineMs = Date.now() + TIMEOUT_MS / 2;
  for (;;) {
    const found = await check();
    if (found !== undefined) return found;
    if (Date.now() > deadlineMs) throw new Error(`Waited in vain for ${what}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

async function startPodman(host: Host, helper: string): Promise<Engine> {
  const store = join(host.dir, 'disk');
  return engineOn(host, 'podman', [
    ...['unshare', '--cgroup', 'podman', '--runtime', helper, '--root', join(store, 'podman')],
    ...['--runroot', join(store, 'podman-run'), '--cgroup-manager', 'cgroupfs'],
    ...['--events-backend', 'file', '--storage-driver', 'overlay'],
  ]);
}

async function startDocker(host: Host, helper: string): Promise<Engine> {
  const daemon = host.start(
    [
      ...['unshare', '--cgroup', 'dockerd', '--add-runtime', `mini=${helper}`],
      ...['--default-runtime', 'mini', '--bridge', 'none', '--iptables=false'],
      ...['--ip6tables=false', '--ip-forward=false', '--storage-driver', 'overlay2'],
      ...['--data-root', join(host.dir, 'disk/docker'), '-H', 'unix:///run/docker.sock'],
      ...['--exec-opt', 'native.cgroupdriver=cgroupfs'],
    ],
    { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: host.dir, TMPDIR: host.dir },
  );
  const engine = engineOn(host, 'docker', [DOCKER]);
  await until('dockerd to answer', async () => {
    if (daemon.child.exitCode !== null) throw new Error(daemon.output());
    return (await engine.run('version')).code === 0 ? true : undefined;
  });
  return engine;
}

async function runsToTheEnd(engine: Engine): Promise<void> {
  const run = (...args: readonly string[]) =>
    engine.run('run', '--rm', ...engine.network, 'box:1', ...args);
  const failed = await run('sh', '-c', 'echo out; echo err >&2; exit 7');
  assert.equal([failed.code, failed.stdout, failed.stderr], [7, 'out\n', 'err\n']);
  assert.is((await run('nosuch')).code, 127);
  assert.is((await run('/etc/passwd')).code, 126);
}

/** What the program sees of the options that it was started with. */
async function givesOptions(engine: Engine, dir: string): Promise<void> {
  writeFileSync(join(dir, 'told'), 'shared\n');
  await ok(
    engine,
    ...['run', '-d', '--name', 'given', ...engine.network, '--init', '--user', 'app'],
    ...['--memory', '64m', '--cpus', '0.5', '--pids-limit', '40', '--read-only'],
    ...['--tmpfs', '/tmp', '-v', `${dir}:/shared`, '--cap-add', 'NET_ADMIN'],
    ...['--cap-drop', 'CHOWN', '--health-cmd', 'cat /shared/told'],
    // Podman's timers are systemd's: there it is asked to check once.
    ...['--health-interval', engine.name === 'podman' ? 'disable' : '1s'],
    ...['box:1', 'sleep', '1000'],
  );
  const script = `id -u; touch /tmp/y && echo wrote; touch /z 2>/dev/null || echo refused
cat /shared/told; cat /proc/1/cmdline | grep -q init && echo init
cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max 2>/dev/null
cat cpu/cpu.cfs_quota_us cpu.max 2>/dev/null; cat pids/pids.max pids.max 2>/dev/null
grep -e CapBnd -e ^Seccomp: /proc/self/status`;
  const lines = (await ok(engine, 'exec', 'given', 'sh', '-c', script)).split('\n');
  assert.equal(lines.slice(0, 6), ['1000', 'wrote', 'refused', 'shared', 'init', `${64 * MIB}`]);
  assert.match(lines[6] ?? '', /^50000/);
  assert.is(lines[7], '40');
  const bounding = BigInt(`0x${lines[8]?.split('\t')[1]}`);
  assert.is((bounding >> CAP_NET_ADMIN) & 1n, 1n);
  assert.is((bounding >> CAP_CHOWN) & 1n, 0n);
  assert.match(lines[9] ?? '', /2$/, 'no seccomp filter');
}

async function executesInside(engine: Engine): Promise<void> {
  const other = await engine.run(
    ...['exec', '-u', '0', '-e', 'A=b', '-w', '/tmp', 'given'],
    ...['sh', '-c', 'echo $(id -u) $A $(pwd); exit 5'],
  );
  assert.equal([other.code, other.stdout], [5, '0 b /tmp\n']);
  const typed = await engine.type(
    'echo $((6*7)); tty\nexit 4\n',
    ...['exec', '-it', 'given', 'sh'],
  );
  assert.is(typed.code, 4, typed.stdout);
  assert.match(typed.stdout, /\n42\r?\n\/dev\/pts\/\d/);
}

async function changesWhileRunning(engine: Engine): Promise<void> {
  const state = () => ok(engine, 'inspect', '-f', '{{.State.Status}}', 'given');
  await ok(engine, 'pause', 'given');
  assert.is(await state(), 'paused');
  await ok(engine, 'unpause', 'given');
  assert.is(await state(), 'running');
  await ok(engine, 'update', '--memory', '32m', '--memory-swap', '-1', 'given');
  const read = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max';
  const limit = await engine.run('exec', 'given', 'sh', '-c', `${read} 2>/dev/null`);
  assert.is(limit.stdout.trim(), `${32 * MIB}`);
  assert.match(await ok(engine, 'top', 'given'), /sleep 1000/);
  await ok(engine, 'stop', '-t', '30', 'given');
  assert.is(await ok(engine, 'inspect', '-f', '{{.State.ExitCode}}', 'given'), '143');
  await ok(engine, 'rm', 'given');
}

async function keepsLogs(engine: Engine): Promise<void> {
  const script = 'echo out; echo err >&2; exit 3';
  await ok(engine, 'run', '-d', '--name', 'told', ...engine.network, 'box:1', 'sh', '-c', script);
  assert.is(await ok(engine, 'wait', 'told'), '3');
  const { stdout, stderr } = await engine.run('logs', 'told');
  assert.equal([stdout, stderr], ['out\n', 'err\n']);
  await ok(engine, 'rm', 'told');
}

async function killsAndStartsAgain(engine: Engine): Promise<void> {
  const trap = 'trap "echo got; exit 9" USR1; echo ready; while :; do sleep 0.1; done';
  await ok(engine, 'run', '-d', '--name', 'hit', ...engine.network, 'box:1', 'sh', '-c', trap);
  const says = (text: string) =>
    until(text, async () => (await ok(engine, 'logs', 'hit')).includes(text) || undefined);
  await says('ready');
  await ok(engine, 'kill', '-s', 'USR1', 'hit');
  assert.is(await ok(engine, 'wait', 'hit'), '9');
  await ok(engine, 'start', 'hit');
  await ok(engine, 'kill', 'hit');
  assert.is(await ok(engine, 'wait', 'hit'), '137');
  await ok(engine, 'rm', '-f', 'hit');
}

async function givesTheHost(engine: Engine, host: Host): Promise<void> {
  const script = 'cat /proc/1/cmdline; grep CapEff /proc/self/status';
  const seen = await ok(
    engine,
    ...['run', '--rm', '--privileged', '--pid', 'host', ...engine.network],
    ...['box:1', 'sh', '-c', script],
  );
  assert.match(seen, /boot\.sh/);
  const all = (await host.ok(['grep', 'CapBnd', '/proc/self/status'])).split('\t')[1]?.trim();
  // Each engine knows the capabilities of its time; the highest bits may be missing.
  const effective = BigInt(`0x${seen.split('\t')[1]?.trim()}`);
  assert.is(effective & ~BigInt(`0x${all}`), 0n);
  assert.is(effective & 0x3f_ffff_ffffn, BigInt(`0x${all}`) & 0x3f_ffff_ffffn);
}

async function givesTerminals(engine: Engine): Promise<void> {
  const typed = await engine.type(
    'echo $((6*7)); tty\nexit 4\n',
    ...['run', '--rm', '-it', ...engine.network, 'box:1', 'sh'],
  );
  assert.is(typed.code, 4, typed.stdout);
  assert.match(typed.stdout, /\n42\r?\n\/dev\/pts\/0/);
}

suite('other engines drive the helper', ({ test, cleanup }) => {
  async function setUp() {
    for (const name of PROGRAMS) {
      const places = ['/usr/bin', '/usr/sbin', '/usr/libexec/podman'];
      if (!places.some((place) => existsSync(join(place, name))))
        throw new Error(`Needs ${name}: see the packages in .ci/setup.sh`);
    }
    const net = new Switch();
    cleanup(() => net.close());
    const host = await net.addHost('engine');
    // Podman keeps its locks in /dev/shm, which hosts share with the machine.
    await host.ok(['mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm']);
    return { host, archive: makeArchive(host.dir), helper: helperPath() };
  }

  async function drives(engine: Engine, host: Host, archive: string): Promise<void> {
    const shared = join(host.dir, 'shared');
    mkdirSync(shared);
    await ok(engine, 'import', '-c', 'ENV PATH=/bin', '-c', 'CMD sh', archive, 'box:1');
    await runsToTheEnd(engine);
    await givesOptions(engine, shared);
    await executesInside(engine);
    if (engine.name === 'podman') await ok(engine, 'healthcheck', 'run', 'given');
    else
      await until('a healthy container', async () => {
        const health = await ok(engine, 'inspect', '-f', '{{.State.Health.Status}}', 'given');
        return health === 'healthy' || undefined;
      });
    await changesWhileRunning(engine);
    await keepsLogs(engine);
    await killsAndStartsAgain(engine);
    await givesTheHost(engine, host);
    await givesTerminals(engine);
    assert.is(await ok(engine, 'ps', '-aq'), '');
  }

  test(
    'podman',
    async () => {
      const { host, archive, helper } = await setUp();
      const engine = await startPodman(host, helper);
      await drives(engine, host, archive);
      const addresses = await ok(
        engine,
        ...['run', '--rm', '--net', 'bridge', 'box:1', 'ip', 'addr', 'show', 'eth0'],
      );
      assert.match(addresses, /inet 10\.88\./);
    },
    TIMEOUT_MS,
  );

  test(
    'dockerd',
    async () => {
      const { host, archive, helper } = await setUp();
      const engine = await startDocker(host, helper);
      await drives(engine, host, archive);
    },
    TIMEOUT_MS,
  );
});
