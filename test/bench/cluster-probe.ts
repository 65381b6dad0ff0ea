/**
 * Measures a cluster from inside a test host: starts mini by the command given as arguments, prints one JSON line for
 * each figure, and ends what it starts. Run by test/bench/run.ts. With BENCH_PROFILE=<directory> it only starts pods,
 * with CPU profiles taken, and prints what they say.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { request } from 'node:https';
import type { Deployment, Node, Pod } from '../../pkg/api/generated/types.ts';
import type { Client } from '../../pkg/client/client.ts';
import { createClient } from '../../pkg/client/create-client.ts';
import { httpTransport } from '../../pkg/client/http-transport.ts';
import { loadKubeconfig } from '../../pkg/client/kubeconfig.ts';
import {
  cpuSeconds,
  isRunning,
  memory,
  memoryPerPod,
  noPods,
  pause,
  podsRun,
  processes,
  pssMb,
  until,
} from './measuring.ts';
import { summarizeProfile } from './profile.ts';
import { print } from './report.ts';

const KUBECONFIG = '/etc/mini/kubeconfig.yaml';
const IMAGE = 'mini/hello';
const SETTLE_MS = 10_000;
const IDLE_MS = Number(process.env['BENCH_IDLE_MS'] ?? 60_000);
const LATENCY_PODS = 50;
const SCALE = 100;
const PROFILE_DIR = process.env['BENCH_PROFILE'];

const [program = '', ...before] = process.argv.slice(2);

function answers(): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request(
      { host: '127.0.0.1', port: 6443, path: '/readyz', rejectUnauthorized: false },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    sent.on('error', () => resolve(false)).end();
  });
}

const isNodeReady = (node: Node) =>
  node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ??
  false;

function podNamed(name: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'main', image: IMAGE }], terminationGracePeriodSeconds: 0 },
  } as const;
}

/** Milliseconds from its creation until a watch shows the pod running. */
async function timeToRunning(client: Client, name: string): Promise<number> {
  const done = new AbortController();
  const events = client.watch<Pod>(
    'pods',
    { namespace: 'default', fieldSelector: `metadata.name=${name}` },
    done.signal,
  );
  const start = performance.now();
  await client.create<Pod>('pods', podNamed(name));
  try {
    for await (const { object } of events) if (isRunning(object)) return performance.now() - start;
  } finally {
    done.abort();
  }
  throw new Error(`The watch of ${name} ended`);
}

function quantile(sorted: readonly number[], share: number): number {
  return Math.round(sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0);
}

/** What server and agent said of their start: milliseconds since each began. */
function startMarks(log: string): string {
  const marks = [...log.matchAll(/ (Server answers|Node runs) .*?ms=(\d+)/g)];
  return marks
    .map(([, what, ms]) => `${what?.toLowerCase()} ${ms} ms after its process began`)
    .join(', ');
}

async function coldStart(): Promise<{ server: ChildProcess; client: Client }> {
  const start = performance.now();
  const since = () => performance.now() - start;
  const options = PROFILE_DIR ? `--cpu-prof --cpu-prof-dir=${PROFILE_DIR}` : undefined;
  const server = spawn(program, [...before, 'server'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...(options ? { NODE_OPTIONS: options } : {}) },
  });
  let log = '';
  server.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  await until('the API', answers);
  const apiMs = since();
  await until('the kubeconfig', () => Promise.resolve(existsSync(KUBECONFIG)));
  const client = createClient(httpTransport(loadKubeconfig({ paths: [KUBECONFIG] }).transport));
  await until('the first pod to be accepted', () => client.create<Pod>('pods', podNamed('first')));
  await until('the node', async () => (await client.list<Node>('nodes')).items.some(isNodeReady));
  const readyMs = since();
  await until('the first pod', async () =>
    isRunning(await client.get<Pod>('pods', { namespace: 'default', name: 'first' })),
  );
  const runningMs = since();
  if (!PROFILE_DIR) {
    print({
      name: 'cold start: API answers',
      value: apiMs,
      unit: 'ms',
      atMost: 1000,
      note: startMarks(log),
    });
    print({ name: 'cold start: node Ready', value: readyMs, unit: 'ms', atMost: 2000 });
    print({ name: 'cold start: first pod Running', value: runningMs, unit: 'ms', atMost: 3000 });
  }
  await client.remove('pods', { namespace: 'default', name: 'first' });
  return { server, client };
}

async function idle(): Promise<void> {
  await pause(SETTLE_MS);
  const { server, agent } = processes();
  print({ name: 'memory of the server, idle', value: pssMb(server), unit: 'MB PSS', atMost: 200 });
  print({ name: 'memory of the agent, idle', value: pssMb(agent), unit: 'MB PSS', atMost: 90 });
  const earlier = { server: cpuSeconds(server), agent: cpuSeconds(agent) };
  await pause(IDLE_MS);
  const percent = (pid: number, since: number) =>
    ((cpuSeconds(pid) - since) / (IDLE_MS / 1000)) * 100;
  const shares = [percent(server, earlier.server), percent(agent, earlier.agent)] as const;
  print({
    name: `idle CPU over ${IDLE_MS / 1000} s`,
    value: shares[0] + shares[1],
    unit: '% of a core',
    atMost: 1,
    note: `server ${shares[0].toFixed(2)}, agent ${shares[1].toFixed(2)}; counted in steps of 10 ms`,
  });
}

async function podLatency(client: Client): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < LATENCY_PODS; i++) times.push(await timeToRunning(client, `latency-${i}`));
  times.sort((a, b) => a - b);
  const name = 'pod create to Running';
  const note = `${LATENCY_PODS} pods, one after another; docker run -d takes 250 ms on such a machine`;
  print({ name: `${name}, p50`, value: quantile(times, 0.5), unit: 'ms', atMost: 200, note });
  print({ name: `${name}, p99`, value: quantile(times, 0.99), unit: 'ms', atMost: 1000 });
  await Promise.all(
    times.map((_, i) => client.remove('pods', { namespace: 'default', name: `latency-${i}` })),
  );
  await noPods(client);
}

async function scaleUp(client: Client): Promise<void> {
  const labels = { app: 'scale' };
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'scale', namespace: 'default' },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'main', image: IMAGE }], terminationGracePeriodSeconds: 1 },
      },
    },
  } as const;
  await client.create<Deployment>('deployments', deployment);
  const earlier = memory();
  const { server, agent } = processes();
  const cpuEarlier = cpuSeconds(server) + cpuSeconds(agent);
  const ref = { namespace: 'default', name: 'scale' };
  const start = performance.now();
  await client.patch('deployments', ref, { spec: { replicas: SCALE } }, { type: 'merge' });
  await podsRun(client, SCALE);
  const seconds = (performance.now() - start) / 1000;
  const cpu = ((cpuSeconds(server) + cpuSeconds(agent) - cpuEarlier) * 1000) / SCALE;
  const note = `${cpu.toFixed(0)} ms of CPU of server and agent for each pod`;
  print({ name: `scale 0 to ${SCALE} Running`, value: seconds, unit: 's', atMost: 10, note });
  await pause(SETTLE_MS);
  const name = `with ${SCALE} pods`;
  print({
    name: `memory of the server, ${name}`,
    value: pssMb(server),
    unit: 'MB PSS',
    atMost: 200,
  });
  print({ name: `memory of the agent, ${name}`, value: pssMb(agent), unit: 'MB PSS', atMost: 90 });
  const { mb, text } = memoryPerPod(earlier, SCALE);
  print({
    name: 'memory of the machine for each pod',
    value: mb,
    unit: 'MB',
    atMost: 1.5,
    note: `docker takes 3.9; KB: ${text}`,
  });
  const stop = performance.now();
  await client.patch('deployments', ref, { spec: { replicas: 0 } }, { type: 'merge' });
  await noPods(client);
  print({ name: `scale ${SCALE} to 0`, value: (performance.now() - stop) / 1000, unit: 's' });
}

const { server, client } = await coldStart();
const pids = processes();
try {
  if (!PROFILE_DIR) await idle();
  await podLatency(client);
  await scaleUp(client);
} finally {
  server.kill('SIGTERM');
  await new Promise((done) => server.once('close', done));
}
if (PROFILE_DIR) {
  for (const role of ['server', 'agent'] as const)
    process.stdout.write(summarizeProfile(role, PROFILE_DIR, pids[role]));
}
