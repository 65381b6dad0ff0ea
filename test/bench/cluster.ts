/** A cluster of one node for the probes: mini started by a command, a deployment to scale, and its end. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Deployment, Node } from '../../pkg/api/generated/types.ts';
import type { Client } from '../../pkg/client/client.ts';
import { createClient } from '../../pkg/client/create-client.ts';
import { httpTransport } from '../../pkg/client/http-transport.ts';
import { loadKubeconfig } from '../../pkg/client/kubeconfig.ts';
import { noPods, podsRun, processes, until } from './measuring.ts';
import { summarizeProfile } from './profile.ts';

const KUBECONFIG = '/etc/mini/kubeconfig.yaml';
export const IMAGE = 'mini/hello';
/** Where CPU profiles go; undefined = none are taken. */
export const PROFILE_DIR = process.env['BENCH_PROFILE'];

export interface Started {
  readonly server: ChildProcess;
  /** What the server has said on its standard error. */
  log(): string;
}

/** `mini server` by the command that this probe was given, with profiles if they are wanted. */
export function startServer(args: readonly string[] = []): Started {
  const [program = '', ...before] = process.argv.slice(2);
  const options = PROFILE_DIR ? `--cpu-prof --cpu-prof-dir=${PROFILE_DIR}` : undefined;
  const server = spawn(program, [...before, 'server', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...(options ? { NODE_OPTIONS: options } : {}) },
  });
  let log = '';
  server.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  return { server, log: () => log };
}

/** The client of whom the server's kubeconfig names. */
export async function connect(): Promise<Client> {
  await until('the kubeconfig', () => Promise.resolve(existsSync(KUBECONFIG)));
  return createClient(httpTransport(loadKubeconfig({ paths: [KUBECONFIG] }).transport));
}

export async function nodeReady(client: Client): Promise<void> {
  const isReady = (node: Node) =>
    node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  await until('the node', async () => (await client.list<Node>('nodes')).items.some(isReady));
}

/** Creates a deployment of the hello image in the namespace default, without pods yet. */
export async function deploy(client: Client, name: string): Promise<void> {
  const labels = { app: name };
  const container = { name: 'main', image: IMAGE, imagePullPolicy: 'IfNotPresent' };
  await client.create<Deployment>('deployments', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
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

/** Seconds until so many pods run; for 0, until none is left. */
export async function scaleTo(client: Client, name: string, replicas: number): Promise<number> {
  const startMs = performance.now();
  const ref = { namespace: 'default', name };
  await client.patch('deployments', ref, { spec: { replicas } }, { type: 'merge' });
  await (replicas === 0 ? noPods(client) : podsRun(client, name, replicas));
  return (performance.now() - startMs) / 1000;
}

/** Does the work, ends the server, and prints the profiles if they were taken. */
export async function withServer(server: ChildProcess, work: () => Promise<void>): Promise<void> {
  const pids = processes();
  try {
    await work();
  } finally {
    server.kill('SIGTERM');
    await new Promise((done) => server.once('close', done));
  }
  if (PROFILE_DIR === undefined) return;
  for (const role of ['server', 'agent'] as const)
    process.stdout.write(summarizeProfile(role, PROFILE_DIR, pids[role]));
}
