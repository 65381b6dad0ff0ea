/**
 * Test hosts: each is a set of namespaces (network, mount, pid, UTS, IPC) with cgroups, /run, /etc and /var/lib/mini
 * of its own, joined by one switch (a bridge in a network namespace that has no way out). Inside, mini runs with its
 * default paths, as on a machine of its own. Killing a host kills everything in it, as pulling its plug does.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { leaksOf, machineNetwork } from './leaks.ts';

const CGROUPS = '/sys/fs/cgroup';
const MINI = resolve('dist/mini');
/** Where the executable lays itself out, once for all hosts. */
const UNPACK_DIR = resolve('.cache/unpacked');
const BOOT_TIMEOUT_MS = 60_000;
const LEAK_ATTEMPTS = 20;
const LEAK_WAIT_MS = 100;
const PREFIX = '10.99.0';

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** A process started on a host. */
export interface Running {
  readonly child: ChildProcess;
  /** Its pid outside of the host. */
  pid(): number;
  /** All it has printed so far. */
  output(): string;
  kill(signal: NodeJS.Signals): Promise<void>;
  readonly exited: Promise<number>;
}

function sh(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Creates the switch. Close it to remove every host; close() throws when anything was left behind. */
export class Switch {
  readonly #id = Math.random().toString(36).slice(2, 7);
  readonly #namespace = `mini-${this.#id}-sw`;
  readonly #dir = mkdtempSync(join(tmpdir(), 'mini-hosts-'));
  readonly #hosts: Host[] = [];
  readonly #before = machineNetwork();

  constructor() {
    sh('ip', 'netns', 'add', this.#namespace);
    sh('ip', '-n', this.#namespace, 'link', 'add', 'br0', 'type', 'bridge');
    sh('ip', '-n', this.#namespace, 'link', 'set', 'br0', 'up');
  }

  /** Boots a host with the next address of 10.99.0.0/24 and no default route. */
  async addHost(name: string): Promise<Host> {
    const number = this.#hosts.length + 1;
    const host = new Host({
      name,
      namespace: `mini-${this.#id}-${number}`,
      switchNamespace: this.#namespace,
      port: `p${number}`,
      address: `${PREFIX}.${10 + number}`,
      dir: join(this.#dir, name),
    });
    this.#hosts.push(host);
    await host.boot();
    return host;
  }

  #left(): string[] {
    const network = machineNetwork().filter((line) => !this.#before.includes(line));
    return [...leaksOf([`mini-${this.#id}-`, this.#dir]), ...network];
  }

  async close(): Promise<void> {
    for (const host of this.#hosts) await host.remove();
    sh('ip', 'netns', 'delete', this.#namespace);
    rmSync(this.#dir, { recursive: true, force: true });
    let left = this.#left();
    // The kernel takes a moment to remove what it has let go.
    for (let attempt = 0; left.length > 0 && attempt < LEAK_ATTEMPTS; attempt++) {
      await new Promise((next) => setTimeout(next, LEAK_WAIT_MS));
      left = this.#left();
    }
    if (left.length > 0) throw new Error(`Left behind on the machine:\n${left.join('\n')}`);
  }
}

interface HostOptions {
  readonly name: string;
  readonly namespace: string;
  readonly switchNamespace: string;
  readonly port: string;
  readonly address: string;
  readonly dir: string;
}

export class Host {
  readonly name: string;
  /** A scratch directory that the host and the test both see. */
  readonly dir: string;
  readonly #options: HostOptions;
  readonly #cgroup: string;
  #address: string;
  #init: ChildProcess | undefined;
  #pid = 0;

  constructor(options: HostOptions) {
    this.#options = options;
    this.name = options.name;
    this.dir = options.dir;
    this.#address = options.address;
    this.#cgroup = `mini-test-${options.namespace}`;
    mkdirSync(join(this.dir, 'data'), { recursive: true });
    sh('ip', 'netns', 'add', options.namespace);
    sh('ip', '-n', options.namespace, 'link', 'set', 'lo', 'up');
    this.#plug();
  }

  get address(): string {
    return this.#address;
  }

  /** Starts the host, or starts it again after kill(): disks are as they were, memory and network state are new. */
  async boot(): Promise<void> {
    for (const controller of controllers()) makeCgroup(controller, this.#cgroup);
    const script = join(this.dir, 'boot.sh');
    writeFileSync(script, bootScript(this.name, this.#cgroup, this.dir));
    const ready = join(this.dir, 'ready');
    rmSync(ready, { force: true });
    const netns = `/run/netns/${this.#options.namespace}`;
    const unshare = [
      'unshare',
      '--mount',
      '--pid',
      '--uts',
      '--ipc',
      '--fork',
      '--kill-child',
      '--mount-proc',
    ];
    this.#init = spawn(
      'sh',
      ['-c', this.#joinCgroups(), 'sh', 'nsenter', `--net=${netns}`, ...unshare, 'sh', script],
      {
        stdio: ['pipe', 'ignore', 'ignore'],
      },
    );
    const deadlineMs = Date.now() + BOOT_TIMEOUT_MS;
    while (!existsSync(ready)) {
      if (Date.now() > deadlineMs || this.#init.exitCode !== null)
        throw new Error(`Host ${this.name} did not boot`);
      await new Promise((next) => setTimeout(next, 10));
    }
    // nsenter executes unshare, which forked the host's init.
    this.#pid = Number(
      readFileSync(`/proc/${this.#init.pid}/task/${this.#init.pid}/children`, 'utf8').trim(),
    );
  }

  /** Runs a program to its end. */
  run(
    command: readonly string[],
    { input, env = {}, timeoutMs = 60_000 }: RunOptions = {},
  ): Promise<Output> {
    const child = this.#enter(command, env);
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
    const timer = setTimeout(() => process.kill(programIn(child), 'SIGKILL'), timeoutMs);
    return new Promise((done) => {
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        done({
          code: code ?? 128,
          stdout,
          stderr: signal ? `${stderr}(ended by ${signal})` : stderr,
        });
      });
    });
  }

  /** Runs a program that must succeed; resolves to its standard output. */
  async ok(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, options);
    if (code !== 0)
      throw new Error(`${this.name}: ${command.join(' ')} ended with ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Runs `mini …` that must succeed. */
  mini(...args: readonly string[]): Promise<string> {
    return this.ok([MINI, ...args]);
  }

  /** Starts a program and leaves it running. */
  start(command: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const running = this.startTyping(command, env);
    running.child.stdin?.end();
    return running;
  }

  /** Starts a program whose standard input stays open for the test to write to. */
  startTyping(command: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const child = this.#enter(command, env);
    child.stdin?.on('error', () => undefined);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
    }
    const exited = new Promise<number>((done) => child.once('close', (code) => done(code ?? 128)));
    const pid = () => programIn(child);
    return {
      child,
      pid,
      output: () => text,
      exited,
      kill: async (signal) => {
        if (child.exitCode === null && child.signalCode === null) process.kill(pid(), signal);
        await exited;
      },
    };
  }

  /** Starts `mini …` and leaves it running. */
  startMini(...args: readonly string[]): Running {
    return this.start([MINI, ...args]);
  }

  /** Pids, as seen outside of the host, of its processes whose command line matches. */
  pidsOf(pattern: RegExp): number[] {
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .filter((pid) => readProc(pid, 'cgroup').includes(`/${this.#cgroup}`))
      .filter((pid) => pattern.test(readProc(pid, 'cmdline').replaceAll('\0', ' ')))
      .map(Number);
  }

  /** A file of a cgroup, by its name in cgroup v1, which begins with its controller's, and in v2. */
  async readCgroup(
    group: string,
    { v1, v2 }: { readonly v1: string; readonly v2: string },
  ): Promise<string> {
    const legacy = `${CGROUPS}/${v1.split('.')[0]}/${group}/${v1}`;
    const script = `cat ${CGROUPS}/${group}/${v2} 2>/dev/null || cat ${legacy}`;
    return (await this.ok(['sh', '-c', script])).trim();
  }

  /** Pulls its network cable. */
  cut(): void {
    sh('ip', '-n', this.#options.switchNamespace, 'link', 'set', this.#options.port, 'down');
  }

  heal(): void {
    sh('ip', '-n', this.#options.switchNamespace, 'link', 'set', this.#options.port, 'up');
  }

  /** Replaces its address on the switch. */
  changeAddress(address: string): void {
    sh('ip', '-n', this.#options.namespace, 'addr', 'flush', 'dev', 'eth0');
    sh('ip', '-n', this.#options.namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    this.#address = address;
  }

  /** Pulls its plug: every process ends at once, nothing is cleaned up inside. */
  async kill(): Promise<void> {
    const init = this.#init;
    if (!init) return;
    this.#init = undefined;
    if (init.exitCode === null && init.signalCode === null) {
      const ended = new Promise((done) => init.once('close', done));
      if (this.#pid) process.kill(this.#pid, 'SIGKILL');
      else init.kill('SIGKILL'); // It has not come up; unshare takes along what it started.
      await ended;
    }
    this.#pid = 0;
    await this.#removeCgroups();
    for (const device of sh('ip', '-n', this.#options.namespace, '-o', 'link').matchAll(
      /^\d+: ([^:@]+)/gm,
    )) {
      if (device[1] !== 'lo' && device[1] !== 'eth0')
        trySh('ip', '-n', this.#options.namespace, 'link', 'delete', device[1] ?? '');
    }
  }

  async remove(): Promise<void> {
    await this.kill();
    sh('ip', 'netns', 'delete', this.#options.namespace);
  }

  #plug(): void {
    const { namespace, switchNamespace, port, address } = this.#options;
    sh(
      'ip',
      'link',
      'add',
      'eth0',
      'netns',
      namespace,
      'type',
      'veth',
      'peer',
      'name',
      port,
      'netns',
      switchNamespace,
    );
    sh('ip', '-n', switchNamespace, 'link', 'set', port, 'master', 'br0', 'up');
    sh('ip', '-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    sh('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
  }

  #enter(command: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
    if (!this.#pid) throw new Error(`Host ${this.name} is not running`);
    const inside = [
      '--target',
      String(this.#pid),
      '--mount',
      '--pid',
      '--net',
      '--uts',
      '--ipc',
      '--wd=/',
    ];
    return spawn('sh', ['-c', this.#joinCgroups(), 'sh', 'nsenter', ...inside, '--', ...command], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: '/root', MINI_UNPACK_DIR: UNPACK_DIR, ...env },
    });
  }

  /** Shell that moves itself into the host's cgroups and becomes its arguments. */
  #joinCgroups(): string {
    return `for c in ${controllers().join(' ')}; do echo $$ > ${CGROUPS}/$c/${this.#cgroup}/cgroup.procs; done; exec "$@"`;
  }

  async #removeCgroups(): Promise<void> {
    for (const controller of controllers())
      await removeCgroup(join(CGROUPS, controller, this.#cgroup));
  }
}

/** The pid of the program that nsenter was asked for: nsenter forks to enter the pid namespace, and waits for it. */
function programIn({ pid }: ChildProcess): number {
  const [program] = readProc(`${pid}`, `task/${pid}/children`).trim().split(' ');
  return Number(program || pid);
}

/** A file of a process; empty when it ended meanwhile. */
function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** Hierarchies of this machine: cgroup v1 controllers, or the one of cgroup v2. */
function controllers(): string[] {
  if (existsSync(join(CGROUPS, 'cgroup.controllers'))) return ['.'];
  return readdirSync(CGROUPS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

/** A cpuset (v1) takes no process before it has processors and memory: it gets those of the root. */
function makeCgroup(controller: string, name: string): void {
  const path = join(CGROUPS, controller, name);
  mkdirSync(path, { recursive: true });
  if (controller !== 'cpuset') return;
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    writeFileSync(join(path, file), readFileSync(join(CGROUPS, controller, file)));
  }
}

/** Removes a group and those below; the kernel may still be ending their processes. */
async function removeCgroup(path: string): Promise<void> {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeCgroup(join(path, entry.name));
  }
  for (let attempt = 0; ; attempt++) {
    try {
      sh('rmdir', path);
      return;
    } catch (error) {
      if (attempt === 50) throw error;
      await new Promise((next) => setTimeout(next, 50));
    }
  }
}

function trySh(command: string, ...args: readonly string[]): void {
  try {
    sh(command, ...args);
  } catch {
    // The other end of a pair that went before.
  }
}

/** Runs as the host's init: mounts what is its own, then waits and reaps. */
function bootScript(name: string, cgroup: string, dir: string): string {
  const groups = controllers().map(
    (controller) => `mount --bind ${CGROUPS}/${controller}/${cgroup} ${CGROUPS}/${controller}`,
  );
  return `set -e
mount --make-rprivate /
# What other tests have mounted is none of this host's, and would be held by its copy.
for at in $(cut -d ' ' -f 5 /proc/self/mountinfo); do
  case $at in /tmp/*) umount -l $at || : ;; esac
done
hostname ${name}
${groups.join('\n')}
mkdir -p ${dir}/disk ${dir}/data
mount -t tmpfs tmpfs ${dir}/disk
mkdir ${dir}/disk/etc ${dir}/disk/etc-work ${dir}/disk/lib ${dir}/disk/lib-work
mkdir -p ${dir}/etc
mount -t overlay -o lowerdir=${dir}/etc:/etc,upperdir=${dir}/disk/etc,workdir=${dir}/disk/etc-work overlay /etc
mount -t overlay -o lowerdir=/var/lib,upperdir=${dir}/disk/lib,workdir=${dir}/disk/lib-work overlay /var/lib
mkdir -p /var/lib/mini
mount --bind ${dir}/data /var/lib/mini
mount -t tmpfs tmpfs /run
touch ${dir}/ready
# The test's end, however it comes, is the end of this input: the host goes down with it.
exec 3<&0
cat <&3 >/dev/null &
wait $!
`;
}
