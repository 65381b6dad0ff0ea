/**
 * How many pods one node carries, from inside a test host: starts mini by the command given as arguments, runs 500 and
 * then 1,000 pods with a network each, and removes them. Prints one JSON line for each figure; DENSITY_PODS (`200,400`)
 * chooses other numbers. Run by test/bench/run.ts. With BENCH_PROFILE=<directory> it takes CPU profiles, too.
 */

import { readdirSync } from 'node:fs';
import type { Client } from '../../pkg/client/client.ts';
import { connect, deploy, nodeReady, scaleTo, startServer, withServer } from './cluster.ts';
import {
  cpuSeconds,
  hostCpuSeconds,
  memory,
  memoryPerPod,
  pause,
  processes,
  pssMb,
} from './measuring.ts';
import { print } from './report.ts';

const COUNTS = (process.env['DENSITY_PODS'] ?? '500,1000').split(',').map(Number);
/** What docker needs for 1,000 containers is 209 s to start and 145 s to remove. */
const GOAL_S_PER_1000 = 20;
const MEMORY_GOAL_MB = 1.5;
const SETTLE_MS = 5_000;
const NAME = 'density';
/** Pods of the node beside those of the deployment. */
const SPARE_PODS = 20;

/** Processor seconds of server and agent, and of all processes of the host together but this one. */
function cpu() {
  const { server, agent } = processes();
  return { server: cpuSeconds(server), agent: cpuSeconds(agent), host: hostCpuSeconds() };
}

/** Scales, and says how long it took and what processor time each pod needed. */
async function scale(client: Client, replicas: number, pods: number) {
  const earlier = cpu();
  const seconds = await scaleTo(client, NAME, replicas);
  const later = cpu();
  const perPod = (who: keyof typeof later) => ((later[who] - earlier[who]) * 1000) / pods;
  const [server, agent, host] = [perPod('server'), perPod('agent'), perPod('host')];
  const others = `containers and their helpers ${(host - server - agent).toFixed(1)}`;
  return {
    seconds,
    note: `ms of CPU for each pod: server ${server.toFixed(1)}, agent ${agent.toFixed(1)}, ${others}`,
  };
}

async function measure(client: Client, count: number): Promise<void> {
  const earlier = memory();
  const goal = (GOAL_S_PER_1000 * count) / 1000;
  const up = await scale(client, count, count);
  print({
    name: `0 to ${count} pods Running`,
    value: up.seconds,
    unit: 's',
    atMost: goal,
    note: up.note,
  });
  await pause(SETTLE_MS);
  const { mb, text } = memoryPerPod(earlier, count);
  const title = `memory of the machine for each of ${count} pods`;
  print({ name: title, value: mb, unit: 'MB', atMost: MEMORY_GOAL_MB, note: `KB: ${text}` });
  for (const [name, pid] of Object.entries(processes())) {
    const open = readdirSync(`/proc/${pid}/fd`).length;
    const figure = { name: `memory of the ${name} with ${count} pods`, unit: 'MB PSS' };
    print({ ...figure, value: pssMb(pid), note: `${open} descriptors` });
  }
  const down = await scale(client, 0, count);
  print({
    name: `${count} pods to 0`,
    value: down.seconds,
    unit: 's',
    atMost: goal,
    note: down.note,
  });
}

const most = Math.max(...COUNTS) + SPARE_PODS;
const { server, log } = startServer(['--kubelet-arg', `max-pods=${most}`]);
const client = await connect();
await nodeReady(client);
try {
  await withServer(server, async () => {
    await deploy(client, NAME);
    for (const count of COUNTS) await measure(client, count);
  });
} catch (error) {
  process.stderr.write(log());
  throw error;
}
