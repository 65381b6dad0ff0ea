/**
 * Start and end of a container: the helper as mini drives it (serve) and as other engines do (its command line),
 * Debian's runc and crun, and beside them what the kernel alone needs. All in one run, alternating.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createFixture, makeConfig } from '../runtime/fixture.ts';
import { print } from './report.ts';

const ROUNDS = 6;
const COUNT = '10';
const CGROUPS = '/sys/fs/cgroup';
const GROUPS = ['freezer', 'memory', 'cpu', 'cpuacct', 'pids', 'devices'];
const SCRIPT = ['sh', '-c', 'echo x > /sync/fifo; exec sleep 1000'];
/** How many times what the kernel needs a start may take. */
const FLOOR_TIMES_MAX = 2;

interface Measured {
  readonly startUs: number;
  readonly endUs: number;
}

const fixture = await createFixture();
const dir = mkdtempSync(join(tmpdir(), 'mini-bench-'));
const sync = join(dir, 'sync');
const fifo = join(sync, 'fifo');
const rootfs = join(dir, 'rootfs');
const timer = join(dir, 'container-timer');
const parent = `/minibench-${basename(dir)}`;
const groupDirs = existsSync(join(CGROUPS, 'memory'))
  ? GROUPS.map((name) => join(CGROUPS, name)).filter(existsSync)
  : [CGROUPS];

function prepare(): void {
  execFileSync('gcc', ['-O2', '-o', timer, join(import.meta.dirname, 'container-timer.c')]);
  execFileSync('cp', ['-a', fixture.rootfs, rootfs]);
  for (const name of ['sync', 'proc', 'dev', 'sys']) mkdirSync(join(rootfs, name));
  for (const name of ['sync', 'upper', 'work', 'merged']) mkdirSync(join(dir, name));
  execFileSync('mkfifo', [fifo]);
  const config = JSON.stringify(configFor('cli'));
  writeFileSync(join(dir, 'config.json'), config);
  for (const group of groupDirs) mkdirSync(join(group, parent), { recursive: true });
}

function configFor(name: string) {
  const mounts = [{ destination: '/sync', type: 'bind', source: sync, options: ['bind'] }];
  const options = { mounts, root: { path: rootfs }, cgroup: `${parent}/${name}` };
  // crun of Debian 12 knows no newer one.
  return { ...makeConfig(SCRIPT, options), ociVersion: '1.0.2' };
}

function time(...args: readonly string[]): Measured {
  return parse(execFileSync(timer, args, { encoding: 'utf8' }));
}

function parse(output: string): Measured {
  const [start, end] = output.trim().split(' ').map(Number);
  return { startUs: start ?? Number.NaN, endUs: end ?? Number.NaN };
}

/** crun refuses a machine that has v2 beside v1: it is shown none. */
function timeWithoutV2(...args: readonly string[]): Measured {
  const script = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';
  const words = ['--mount', 'sh', '-c', script, 'sh', timer, ...args];
  return parse(execFileSync('unshare', words, { encoding: 'utf8' }));
}

/** Files with the request lines that the agent sends for a container on overlay layers. */
function requests(): readonly [string, string] {
  const spec = fixture.spec('timed', SCRIPT);
  const config = { ...configFor('serve'), root: { path: 'rootfs' } };
  const overlay = { ...spec.overlay, lower: [rootfs] };
  const lines = [
    { verb: 'run', ...spec, overlay, config },
    { verb: 'delete', id: 'timed', isForced: true },
  ];
  const [first, second] = lines.map((line, at) => {
    const file = join(dir, `request-${at}`);
    writeFileSync(file, `${JSON.stringify(line)}\n`);
    return file;
  });
  return [first ?? '', second ?? ''];
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const cliArgs = (runtime: string) => ['cli', COUNT, fifo, runtime, join(dir, 'state'), dir];

async function measure(): Promise<void> {
  prepare();
  const [run, remove] = requests();
  const socket = join(fixture.runDir, 'runtime.sock');
  const groups = groupDirs.map((group) => join(group, parent, 'floor'));
  const contenders: Readonly<Record<string, () => Measured>> = {
    'the kernel alone': () => time('floor', COUNT, fifo, dir, ...groups),
    'mini (serve)': () => time('serve', COUNT, fifo, socket, run, remove),
    'mini (command line)': () => time(...cliArgs(fixture.helper)),
    crun: () => timeWithoutV2(...cliArgs('/usr/bin/crun')),
    runc: () => time(...cliArgs('/usr/sbin/runc')),
  };
  const all = Object.entries(contenders).map(([name, contender]) => ({
    name,
    contender,
    results: [] as Measured[],
  }));
  for (let round = 0; round < ROUNDS; round++)
    for (const { contender, results } of all) results.push(contender());
  const rows = all.map(({ name, results }) => ({
    name,
    startUs: medianOf(results.map(({ startUs }) => startUs)),
    endUs: medianOf(results.map(({ endUs }) => endUs)),
  }));
  const floor = rows[0] ?? { startUs: Number.NaN, endUs: Number.NaN };
  for (const { name, startUs, endUs } of rows) {
    const times = startUs / floor.startUs;
    print({
      name: `container start, ${name}`,
      value: startUs / 1000,
      unit: 'ms',
      ...(name === 'mini (serve)' ? { atMost: (FLOOR_TIMES_MAX * floor.startUs) / 1000 } : {}),
      note: `${times.toFixed(2)} times the kernel alone; end ${(endUs / 1000).toFixed(2)} ms, ${(endUs / floor.endUs).toFixed(2)} times`,
    });
  }
}

try {
  await measure();
} finally {
  await fixture.close();
  // The runtimes make the group in other hierarchies, too.
  for (const group of [CGROUPS, ...subgroups(CGROUPS)])
    if (existsSync(join(group, parent)))
      for (const entry of [...subgroups(join(group, parent)), join(group, parent)])
        execFileSync('rmdir', [entry]);
  rmSync(dir, { recursive: true });
}

function subgroups(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(path, entry.name));
}
