/**
 * Measures a cluster from inside a test host: starts mini by the command given as arguments, prints one JSON line for
 * each figure, and ends what it starts. Run by test/bench/run.ts. With BENCH_PROFILE=<directory> it only starts pods,
 * with CPU profiles taken, and prints what they say.
 */

import type { ChildProcess } from 'node:child_process';
import { request } from 'node:https';
import type { Pod } from '../../pkg/api/generated/types.ts';
import type { Client } from '../../pkg/client/client.ts';
import {
  connect,
  deploy,
  IMAGE,
  nodeReady,
  PROFILE_DIR,
  scaleTo,
  startServer,
  withServer,
} from './cluster.ts';
import {
  cpuSeconds,
  isRunning,
  memory,
  memoryPerPod,
  noPods,
  pause,
  processes,
  pssMb,
  until,
} from './measuring.ts';
import { print } from './report.ts';

const SETTLE_MS = 10_000;
const IDLE_MS = Number(process.env['BENCH_IDLE_MS'] ?? 60_000);
const LATENCY_PODS = 50;
const SCALE = 100;
const SCALED = 'scale';

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
  const { server, log } = startServer();
  await until('the API', answers);
  const apiMs = since();
  const client = await connect();
  await until('the first pod to be accepted', () => client.create<Pod>('pods', podNamed('first')));
  await nodeReady(client);
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
      note: startMarks(log()),
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
  await deploy(client, SCALED);
  const earlier = memory();
  const { server, agent } = processes();
  const cpuEarlier = cpuSeconds(server) + cpuSeconds(agent);
  const seconds = await scaleTo(client, SCALED, SCALE);
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
  const stopped = await scaleTo(client, SCALED, 0);
  print({ name: `scale ${SCALE} to 0`, value: stopped, unit: 's' });
}

const { server, client } = await coldStart();
await withServer(server, async () => {
  if (!PROFILE_DIR) await idle();
  await podLatency(client);
  await scaleUp(client);
});
