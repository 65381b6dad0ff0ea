/**
 * Measures a cluster from inside a test host: starts the executable named as argument, and prints one JSON line a
 * figure. Run by test/bench/run.ts; ends what it starts.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Deployment, Node, Pod } from '../../pkg/api/generated/types.ts';
import type { Client } from '../../pkg/client/client.ts';
import { createClient } from '../../pkg/client/create-client.ts';
import { httpTransport } from '../../pkg/client/http-transport.ts';
import { loadKubeconfig } from '../../pkg/client/kubeconfig.ts';

const KUBECONFIG = '/etc/mini/kubeconfig.yaml';
const IMAGE = 'mini/hello';
const SETTLE_MS = 10_000;
const IDLE_MS = Number(process.env['BENCH_IDLE_MS'] ?? 60_000);
const LATENCY_PODS = 50;
const SCALE = 100;
const TIMEOUT_MS = 60_000;
/** USER_HZ: the unit of /proc/<pid>/stat's times. Source: proc(5). */
const TICKS_PER_SECOND = 100;

const [mini = ''] = process.argv.slice(2);

function print(figure: string, values: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ figure, ...values })}\n`);
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

async function until<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  everyMs = 5,
): Promise<T> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (performance.now() < deadline) {
    const found = await check().catch(() => undefined);
    if (found) return found;
    await pause(everyMs);
  }
  throw new Error(`Waited too long for ${what}`);
}

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

const isRunning = (pod: Pod) => pod.status?.phase === 'Running';
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

/** The server and agent processes: pid of each. */
function processes(): { readonly server: number; readonly agent: number } {
  const pidOf = (role: string) =>
    Number.parseInt(readFileSync(`/run/mini/${role}.pid`, 'utf8'), 10);
  return { server: pidOf('server'), agent: pidOf('agent') };
}

function pssMb(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Math.round(Number(/^Pss:\s+(\d+)/m.exec(text)?.[1]) / 102.4) / 10;
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Memory that the machine could still give, in MB. */
function availableMb(): number {
  return Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) / 1024;
}

function quantile(sorted: readonly number[], share: number): number {
  return Math.round(sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0);
}

async function coldStart(): Promise<{ server: ChildProcess; client: Client }> {
  const start = performance.now();
  const since = () => Math.round(performance.now() - start);
  const server = spawn(mini, ['server'], { stdio: ['ignore', 'ignore', 'inherit'] });
  await until('the API', answers);
  const apiMs = since();
  await until('the kubeconfig', () => Promise.resolve(existsSync(KUBECONFIG)));
  const client = createClient(httpTransport(loadKubeconfig({ paths: [KUBECONFIG] }).transport));
  await until('the first pod to be accepted', () => client.create<Pod>('pods', podNamed('first')));
  await until('the node', async () => (await client.list<Node>('nodes')).items.some(isNodeReady));
  const nodeReadyMs = since();
  await until('the first pod', async () =>
    isRunning(await client.get<Pod>('pods', { namespace: 'default', name: 'first' })),
  );
  print('cold start', {
    apiMs,
    nodeReadyMs,
    firstPodRunningMs: since(),
    goals: '1000 / 2000 / 3000',
  });
  await client.remove('pods', { namespace: 'default', name: 'first' });
  return { server, client };
}

async function idle(): Promise<void> {
  await pause(SETTLE_MS);
  const { server, agent } = processes();
  print('memory idle', { serverPssMb: pssMb(server), agentPssMb: pssMb(agent), goals: '200 / 90' });
  const before = { server: cpuSeconds(server), agent: cpuSeconds(agent) };
  await pause(IDLE_MS);
  const share = (role: 'server' | 'agent') =>
    Number((((cpuSeconds(processes()[role]) - before[role]) / (IDLE_MS / 1000)) * 100).toFixed(2));
  print('cpu idle', {
    seconds: IDLE_MS / 1000,
    serverPercent: share('server'),
    agentPercent: share('agent'),
    goal: 1,
  });
}

async function podLatency(client: Client): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < LATENCY_PODS; i++) times.push(await timeToRunning(client, `latency-${i}`));
  times.sort((a, b) => a - b);
  print('pod create to running', {
    pods: LATENCY_PODS,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    goals: '200 / 1000',
  });
  await Promise.all(
    times.map((_, i) => client.remove('pods', { namespace: 'default', name: `latency-${i}` })),
  );
  await noPods(client);
}

async function noPods(client: Client): Promise<void> {
  await until(
    'the pods to go',
    async () => (await client.list('pods', { namespace: 'default' })).items.length === 0,
    50,
  );
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
  const before = availableMb();
  const { server, agent } = processes();
  const cpuBefore = cpuSeconds(server) + cpuSeconds(agent);
  const ref = { namespace: 'default', name: 'scale' };
  const start = performance.now();
  await client.patch('deployments', ref, { spec: { replicas: SCALE } }, { type: 'merge' });
  await until(
    'all pods',
    async () =>
      (await client.list<Pod>('pods', { namespace: 'default' })).items.filter(isRunning).length ===
      SCALE,
    50,
  );
  const ms = Math.round(performance.now() - start);
  const cpu = cpuSeconds(server) + cpuSeconds(agent) - cpuBefore;
  print('scale 0 to 100 running', {
    ms,
    cpuMsPerPod: Math.round((cpu * 1000) / SCALE),
    goalMs: 10_000,
  });
  await pause(SETTLE_MS);
  print('memory with 100 pods', {
    serverPssMb: pssMb(server),
    agentPssMb: pssMb(agent),
    machineMbPerPod: Number(((before - availableMb()) / SCALE).toFixed(2)),
    goalMachineMbPerPod: 1.5,
  });
  const stop = performance.now();
  await client.patch('deployments', ref, { spec: { replicas: 0 } }, { type: 'merge' });
  await noPods(client);
  print('scale 100 to 0', { ms: Math.round(performance.now() - stop) });
}

const { server, client } = await coldStart();
try {
  await idle();
  await podLatency(client);
  await scaleUp(client);
} finally {
  server.kill('SIGTERM');
  await new Promise((done) => server.once('close', done));
}
