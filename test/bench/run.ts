/**
 * `npm run bench`: every figure with its goal, what it is to be compared with, and the machine it was measured on; for
 * missed goals the profile of a second run. Compare figures of one run: machines are noisy.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Host, Switch } from '../harness/hosts.ts';
import { type Figure, figuresOf, formatFigures, isMissed, load, machineFacts } from './report.ts';

const CLUSTER_TIMEOUT_MS = 10 * 60_000;
const PROBE = resolve('test/bench/cluster-probe.ts');
const DENSITY = resolve('test/bench/density-probe.ts');
const MINI = resolve('dist/mini');

function show(text: string): void {
  process.stdout.write(`${text}\n`);
}

function section(title: string, loadBefore: string, output: string): Figure[] {
  const figures = figuresOf(output);
  show(formatFigures(`${title} (before: ${loadBefore}; after: ${load()})`, figures));
  return figures;
}

async function onHost(work: (host: Host) => Promise<string>): Promise<string> {
  const network = new Switch();
  try {
    return await work(await network.addHost('bench'));
  } finally {
    await network.close();
  }
}

const probeCluster = (host: Host) =>
  // Laid out before, as an installed mini is.
  host.ok([MINI, 'version']).then(() => host.ok([process.execPath, PROBE, MINI], benchOptions()));

const probeDensity = (host: Host) =>
  host
    .ok([MINI, 'version'])
    .then(() => host.ok([process.execPath, DENSITY, MINI], { timeoutMs: CLUSTER_TIMEOUT_MS }));

/** From source: the executable takes no options for Node. */
function profileCluster(host: Host): Promise<string> {
  const directory = join(host.dir, 'profiles');
  mkdirSync(directory);
  return host.ok([process.execPath, PROBE, process.execPath, resolve('cmd/main.ts')], {
    timeoutMs: CLUSTER_TIMEOUT_MS,
    env: { BENCH_PROFILE: directory },
  });
}

function benchOptions() {
  const idle = process.env['BENCH_IDLE_MS'];
  return { timeoutMs: CLUSTER_TIMEOUT_MS, env: idle === undefined ? {} : { BENCH_IDLE_MS: idle } };
}

show(machineFacts());
show(
  'Where tasks waited for a core for more than a few percent of the time, others use the machine: times are too long.',
);
let before = load();
const store = section(
  'Store',
  before,
  execFileSync(process.execPath, ['test/bench/store.ts'], { encoding: 'utf8' }),
);
before = load();
const images = section(
  'Images',
  before,
  execFileSync(process.execPath, ['test/bench/images.ts'], { encoding: 'utf8' }),
);
before = load();
const cluster = section('Cluster of one node', before, await onHost(probeCluster));
before = load();
const containers = section(
  'Containers',
  before,
  execFileSync(process.execPath, ['test/bench/containers.ts'], { encoding: 'utf8' }),
);
before = load();
const density = section('Density of one node', before, await onHost(probeDensity));

const missed = [...store, ...images, ...cluster, ...containers, ...density].filter(isMissed);
if (missed.length === 0) {
  show('All goals are met.');
} else {
  show(`Missed: ${missed.map(({ name }) => name).join('; ')}.`);
  show('Where the time goes while pods start and end (a run from source, with profiles taken):');
  const output = await onHost(profileCluster);
  show(
    output
      .split('\n')
      .filter((line) => !line.startsWith('{'))
      .join('\n'),
  );
}
