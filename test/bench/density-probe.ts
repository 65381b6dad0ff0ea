/**
 * How many pods one node carries, from inside a test host: starts mini by the command given as arguments, runs 500 and
 * then 1,000 pods with a network each, and removes them. Prints one JSON line for each figure; DENSITY_PODS (`200,400`)
 * chooses other numbers. Run by test/bench/run.ts. With BENCH_PROFILE=<directory> it takes CPU profiles instead.
 */

import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import type { Deployment, Node } from '../../pkg/api/generated/types.ts';
import type { Client } from '../../pkg/client/client.ts';
import { createClient } from '../../pkg/client/create-client.ts';
import { httpTransport } from '../../pkg/client/http-transport.ts';
import { loadKubeconfig } from '../../pkg/client/kubeconfig.ts';
import {
  cpuSeconds,
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
const COUNTS = (process.env['DENSITY_PODS'] ?? '500,1000').split(',').map(Number);
const PROFILE_DIR = process.env['BENCH_PROFILE'];
/** What docker needs for 1,000 containers is 209 s to start and 145 s to remove. */
const GOAL_S_PER_1000 = 20;
const MEMORY_GOAL_MB = 1.5;
const SETTLE_MS = 5_000;
const REF = { namespace: 'default', name: 'density' };

const [program = '', ...before] = process.argv.slice(2);

async function start() {
  const options = PROFILE_DIR ? `--cpu-prof --cpu-prof-dir=${PROFILE_DIR}` : undefined;
  const most = Math.max(...COUNTS) + 20;
  const server = spawn(program, [...before, 'server', '--kubelet-arg', `max-pods=${most}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...(options ? { NODE_OPTIONS: options } : {}) },
  });
  await until('the kubeconfig', () => Promise.resolve(existsSync(KUBECONFIG)));
  const client = createClient(httpTransport(loadKubeconfig({ paths: [KUBECONFIG] }).transport));
  const isReady = (node: Node) =>
    node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  await until('the node', async () => (await client.list<Node>('nodes')).items.some(isReady));
  return { server, client };
}

async function deploy(client: Client): Promise<void> {
  const labels = { app: 'density' };
  const container = { name: 'main', image: 'mini/hello', imagePullPolicy: 'IfNotPresent' };
  await client.create<Deployment>('deployments', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: REF,
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [container], terminationGracePeriodSeconds: 1 },
      },
    },
  });
}

/** Processor seconds of server and agent, and of all processes of the host together. */
function cpu(): { readonly server: number; readonly agent: number; readonly host: number } {
  const { server, agent } = processes();
  const all = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  const host = all.reduce((sum, pid) => {
    try {
      return sum + cpuSeconds(Number(pid));
    } catch {
      return sum; // It has ended.
    }
  }, 0);
  return { server: cpuSeconds(server), agent: cpuSeconds(agent), host };
}

async function scale(client: Client, replicas: number) {
  const earlier = cpu();
  const startMs = performance.now();
  await client.patch('deployments', REF, { spec: { replicas } }, { type: 'merge' });
  await (replicas === 0 ? noPods(client) : podsRun(client, replicas));
  const seconds = (performance.now() - startMs) / 1000;
  const later = cpu();
  const used = (who: 'server' | 'agent') => later[who] - earlier[who];
  return { seconds, server: used('server'), agent: used('agent') };
}

async function measure(client: Client, count: number): Promise<void> {
  const earlier = memory();
  const up = await scale(client, count);
  const goal = (GOAL_S_PER_1000 * count) / 1000;
  const per = (seconds: number) => ((seconds * 1000) / count).toFixed(1);
  const note = `CPU for each pod: server ${per(up.server)} ms, agent ${per(up.agent)} ms`;
  print({ name: `0 to ${count} pods Running`, value: up.seconds, unit: 's', atMost: goal, note });
  await pause(SETTLE_MS);
  const { mb, text } = memoryPerPod(earlier, count);
  const title = `memory of the machine for each of ${count} pods`;
  print({ name: title, value: mb, unit: 'MB', atMost: MEMORY_GOAL_MB, note: `KB: ${text}` });
  const { server, agent } = processes();
  const parts = { server, agent };
  for (const [name, pid] of Object.entries(parts)) {
    const open = readdirSync(`/proc/${pid}/fd`).length;
    const figure = { name: `memory of the ${name} with ${count} pods`, unit: 'MB PSS' };
    print({ ...figure, value: pssMb(pid), note: `${open} descriptors` });
  }
  const down = await scale(client, 0);
  print({
    name: `${count} pods to 0`,
    value: down.seconds,
    unit: 's',
    atMost: goal,
    note: `CPU for each pod: server ${per(down.server)} ms, agent ${per(down.agent)} ms`,
  });
}

const { server, client } = await start();
const pids = processes();
try {
  await deploy(client);
  for (const count of COUNTS) await measure(client, count);
} finally {
  server.kill('SIGTERM');
  await new Promise((done) => server.once('close', done));
}
if (PROFILE_DIR) {
  for (const role of ['server', 'agent'] as const)
    process.stdout.write(summarizeProfile(role, PROFILE_DIR, pids[role]));
}
