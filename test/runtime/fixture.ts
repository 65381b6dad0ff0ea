/**
 * A runtime on a directory of its own, with a root file system of busybox, and a check that nothing is left behind.
 * MINI_RUNTIME_HELPER names another build of the helper (the one with sanitizers).
 */

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import * as assert from 'uvu/assert';
import { silent } from '../../pkg/log/log.ts';
import { createRuntime } from '../../pkg/runtime/create-runtime.ts';
import type { CreateSpec, ExecSpec, Exit, Runtime } from '../../pkg/runtime/runtime.ts';
import { sleep } from '../../pkg/wait/clock.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const BUSYBOX = '/bin/busybox';
const CGROUPS = '/sys/fs/cgroup';
const APPLETS = [
  'sh',
  'cat',
  'ls',
  'id',
  'sleep',
  'true',
  'echo',
  'mount',
  'stat',
  'head',
  'ps',
  'nc',
  'ip',
  'seq',
  'touch',
  'hostname',
  'tty',
  'stty',
  'env',
  'pwd',
  'dd',
  'yes',
  'ulimit',
  'wc',
  'kill',
];

/** What an exec has besides its id and its arguments. */
export const EXEC: Omit<ExecSpec, 'execId' | 'args'> = {
  env: ['PATH=/bin'],
  cwd: '/',
  user: { uid: 0, gid: 0 },
  hasTerminal: false,
  hasStdin: false,
};

/** Built when a test file is loaded, so that no test's time is spent on it. */
const HELPER = builtHelper();

function builtHelper(): string {
  const named = process.env['MINI_RUNTIME_HELPER'];
  if (named !== undefined) return resolve(named);
  const runtime = join(ROOT, 'runtime');
  // Other test files may find it out of date at the same time.
  execFileSync('flock', [runtime, 'make', '-s', '-C', runtime], { stdio: 'inherit' });
  return join(ROOT, 'dist/mini-runtime');
}

/** Path of the helper, which is up to date unless another one was named. */
export function helperPath(): string {
  return HELPER;
}

export interface Options {
  readonly hasTerminal?: boolean;
  readonly hasStdin?: boolean;
  readonly isStdinOnce?: boolean;
  readonly maxBytes?: number;
  readonly maxFiles?: number;
  readonly process?: Readonly<Record<string, unknown>>;
  readonly linux?: Readonly<Record<string, unknown>>;
  readonly root?: Readonly<Record<string, unknown>>;
  readonly mounts?: readonly unknown[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly namespaces?: readonly { readonly type: string; readonly path?: string }[];
}

export interface Fixture {
  readonly dir: string;
  readonly runDir: string;
  readonly rootfs: string;
  readonly helper: string;
  readonly cgroupParent: string;
  readonly runtime: Runtime;
  spec(id: string, args: readonly string[], options?: Options): CreateSpec;
  /** The log's text without timestamps: lines `stdout F text`. */
  log(id: string): readonly string[];
  /** Resolves with the exit of this container. */
  exit(id: string): Promise<Exit>;
  /** Runs to the end; its log lines' texts and its exit. */
  runToEnd(
    args: readonly string[],
    options?: Options,
  ): Promise<{ readonly lines: readonly string[]; readonly exit: Exit }>;
  close(): Promise<void>;
}

/** Makes one; close() deletes all that is in it and fails when something stays. */
export async function createFixture(helper = helperPath()): Promise<Fixture> {
  if (!existsSync(BUSYBOX)) throw new Error('Needs Debian package busybox-static');
  const dir = mkdtempSync(join(tmpdir(), 'mini-rt-'));
  const runDir = join(dir, 'run');
  const rootfs = makeRootfs(dir);
  const cgroupParent = `/minitest-${basename(dir)}`;
  const runtime = await createRuntime({ helper, runDir, log: silent });
  const exits = new Map<string, Exit>();
  const waiting = new Map<string, (exit: Exit) => void>();
  runtime.onExit((exit) => {
    exits.set(exit.id, exit);
    waiting.get(exit.id)?.(exit);
  });
  const fixture: Fixture = {
    dir,
    runDir,
    rootfs,
    helper,
    cgroupParent,
    runtime,
    spec: (id, args, options = {}) =>
      makeSpec({ dir, rootfs, cgroup: `${cgroupParent}/${id}` }, id, args, options),
    log: (id) => readLog(join(dir, `c-${id}`, 'log')),
    exit: (id) =>
      new Promise((done) => {
        const exit = exits.get(id);
        if (exit === undefined) waiting.set(id, done);
        else done(exit);
      }),
    async runToEnd(args, options) {
      const id = `run${exits.size}x`;
      await runtime.run(fixture.spec(id, args, options));
      const exit = await fixture.exit(id);
      const lines = fixture.log(id).map((line) => line.replace(/^\w+ [FP] /, ''));
      await runtime.delete(id);
      return { lines, exit };
    },
    async close() {
      for (const { id } of await runtime.list()) await runtime.delete(id, { isForced: true });
      for (const { id } of await runtime.listSandboxes()) await runtime.deleteSandbox(id);
      await runtime.close();
      const left = await settledLeaks(dir, cgroupParent);
      rmSync(dir, { recursive: true, force: true });
      assert.equal(left, [], 'left behind');
    },
  };
  return fixture;
}

function makeRootfs(dir: string): string {
  const rootfs = join(dir, 'rootfs');
  mkdirSync(join(rootfs, 'bin'), { recursive: true });
  mkdirSync(join(rootfs, 'tmp'));
  chmodSync(join(rootfs, 'tmp'), 0o1777);
  copyFileSync(BUSYBOX, join(rootfs, 'bin/busybox'));
  for (const name of APPLETS) linkSync(join(rootfs, 'bin/busybox'), join(rootfs, 'bin', name));
  return rootfs;
}

const CAPABILITIES = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_NET_BIND_SERVICE'];

/** The mounts that engines give every container. */
const MOUNTS = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  {
    destination: '/dev/mqueue',
    type: 'mqueue',
    source: 'mqueue',
    options: ['nosuid', 'noexec', 'nodev'],
  },
  {
    destination: '/sys',
    type: 'sysfs',
    source: 'sysfs',
    options: ['nosuid', 'noexec', 'nodev', 'ro'],
  },
  {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: ['nosuid', 'noexec', 'nodev', 'ro'],
  },
];
const NAMESPACES = ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type }));

/** config.json for these arguments. */
export function makeConfig(
  args: readonly string[],
  options: Options & { readonly cgroup: string },
): CreateSpec['config'] {
  const sets = { bounding: CAPABILITIES, permitted: CAPABILITIES, effective: CAPABILITIES };
  return {
    ociVersion: '1.2.0',
    process: {
      terminal: options.hasTerminal ?? false,
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/bin'],
      cwd: '/',
      capabilities: sets,
      noNewPrivileges: true,
      ...options.process,
    },
    root: { path: 'rootfs', ...options.root },
    hostname: 'box',
    mounts: [...MOUNTS, ...(options.mounts ?? [])],
    linux: {
      cgroupsPath: options.cgroup,
      namespaces: options.namespaces ?? NAMESPACES,
      maskedPaths: ['/proc/kcore', '/sys/firmware'],
      readonlyPaths: ['/proc/sys'],
      ...options.linux,
    },
    ...options.config,
  };
}

function makeSpec(
  place: { readonly dir: string; readonly rootfs: string; readonly cgroup: string },
  id: string,
  args: readonly string[],
  options: Options,
): CreateSpec {
  const own = join(place.dir, `c-${id}`);
  for (const name of ['upper', 'work', 'bundle']) mkdirSync(join(own, name), { recursive: true });
  const { maxBytes = 0, maxFiles = 0 } = options;
  return {
    id,
    bundle: join(own, 'bundle'),
    config: makeConfig(args, { ...options, cgroup: place.cgroup }),
    overlay: { lower: [place.rootfs], upper: join(own, 'upper'), work: join(own, 'work') },
    log: { path: join(own, 'log'), maxBytes, maxFiles },
    hasTerminal: options.hasTerminal ?? false,
    hasStdin: options.hasStdin ?? false,
    isStdinOnce: options.isStdinOnce ?? false,
  };
}

function readLog(path: string): readonly string[] {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => line.slice(line.indexOf(' ') + 1));
}

/** What is still there once processes that are about to end have ended. */
async function settledLeaks(dir: string, cgroupParent: string): Promise<readonly string[]> {
  const deadline = Date.now() + 3_000;
  for (;;) {
    const left = leaks(dir, cgroupParent);
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(5);
  }
}

/** Mounts, processes and cgroups that name this directory. */
export function leaks(dir: string, cgroupParent: string): readonly string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(dir));
  const cgroups = readdirSync(CGROUPS)
    .flatMap((name) => [join(CGROUPS, name, cgroupParent), join(CGROUPS, cgroupParent)])
    .filter((path) => existsSync(path));
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandOf(name).includes(dir))
    .map((pid) => `process ${pid} ${commandOf(pid)}`);
  return [...new Set([...mounts, ...cgroups, ...processes])];
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // It has gone meanwhile.
  }
}

/** Everything that a stream gives, as text. */
export async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
