/** What `mini up` does. */

import { spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Deployment, Node, Pod } from '../pkg/api/generated/types.ts';
import type { ApiObject } from '../pkg/api/meta.ts';
import type { Client } from '../pkg/client/client.ts';
import { describe } from '../pkg/log/log.ts';
import { sleep } from '../pkg/wait/clock.ts';
import { findAssets } from './assets.ts';
import { openCluster } from './cluster.ts';
import { type Flags, UserError } from './command.ts';
import { readPidFile } from './pid-file.ts';
import { SERVER_FLAGS } from './server-flags.ts';

const START_TIMEOUT_MS = 30_000;
const POLL_MS = 50;
const SAMPLE_PORT = 8080;
const RESOURCES: Readonly<Record<string, string>> = {
  Deployment: 'deployments',
  Service: 'services',
};

/** Starts what does not run yet; resolves to the exit code. */
export async function runUp(flags: Flags): Promise<number> {
  if (process.getuid?.() !== 0)
    throw new UserError('mini up runs containers and must be started as root');
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const logFile = join(flags.text('data-dir'), 'server.log');
  const running = readPidFile(flags.text('run-dir'), 'server');
  if (running) say(`mini server runs already (pid ${running.pid})`);
  else say(`Started mini server (pid ${startServer(flags, logFile)}), log in ${logFile}`);
  const cluster = openCluster(await kubeconfig(flags, logFile));
  try {
    await waitFor('the node to be ready', logFile, () => isNodeReady(cluster.client));
    say('Node is ready');
    await deploySample(cluster.client, say);
    const { answer, address } = await waitFor('the sample to answer', logFile, () =>
      askSample(cluster.client),
    );
    say(`Sample answers at http://${address}:${SAMPLE_PORT}:\n${indent(answer)}`);
  } finally {
    cluster.close();
  }
  say(guide(flags));
  return 0;
}

function startServer(flags: Flags, logFile: string): number {
  const [program, ...before] = findAssets().self;
  mkdirSync(flags.text('data-dir'), { recursive: true, mode: 0o755 });
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(program, [...before, 'server', ...serverArguments(flags)], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
  });
  child.unref();
  if (child.pid === undefined) throw new UserError(`Cannot start ${program}`);
  return child.pid;
}

/** The same flags for the server, so that environment and config file need not be read alike. */
function serverArguments(flags: Flags): string[] {
  // The file has been read: what it says is among the flags.
  const resolved = SERVER_FLAGS.filter(({ name }) => name !== 'config').flatMap(
    ({ name, value, isList }) => {
      if (!value) return flags.isSet(name) ? [`--${name}`] : [];
      const values = isList ? flags.list(name) : [flags.optional(name) ?? ''];
      return values.filter((text) => text !== '').map((text) => `--${name}=${text}`);
    },
  );
  return ['--config=/dev/null', ...resolved];
}

/** Path of the kubeconfig once the server that is running now has written it. */
async function kubeconfig(flags: Flags, logFile: string): Promise<string> {
  const path = flags.text('write-kubeconfig');
  await waitFor('the server to answer', logFile, async () => {
    const cluster = openCluster(path);
    try {
      await cluster.client.list('namespaces', { limit: 1 });
      return true;
    } finally {
      cluster.close();
    }
  });
  return path;
}

/** Polls, as nothing tells a starting server's client; gives up with the last reason. */
async function waitFor<T>(
  what: string,
  logFile: string,
  check: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  let reason = '';
  while (Date.now() < deadlineMs) {
    try {
      const found = await check();
      if (found) return found;
    } catch (error) {
      reason = describe(error);
    }
    await sleep(POLL_MS);
  }
  const lines = readFileSync(logFile, 'utf8').trim().split('\n').slice(-10).join('\n');
  throw new UserError(
    `Waited ${START_TIMEOUT_MS / 1000} s for ${what}${reason ? `: ${reason}` : ''}\n${lines}`,
  );
}

async function isNodeReady(client: Client): Promise<boolean> {
  const { items } = await client.list<Node>('nodes');
  return items.some((node) =>
    node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  );
}

async function deploySample(client: Client, say: (text: string) => void): Promise<void> {
  for (const document of parseAllDocuments(readFileSync(findAssets().sample, 'utf8'))) {
    const object = document.toJS() as ApiObject;
    const resource = RESOURCES[object.kind] ?? '';
    await client.patch(resource, object.metadata, object, {
      type: 'apply',
      fieldManager: 'mini-up',
      isForced: true,
    });
    say(`Deployed ${resource}/${object.metadata.name}`);
  }
}

/** The answer of the first pod of the sample, once all of them are available. */
async function askSample(client: Client): Promise<{ answer: string; address: string } | undefined> {
  const sample = await client.get<Deployment>('deployments', {
    namespace: 'default',
    name: 'hello',
  });
  if ((sample.status?.availableReplicas ?? 0) < (sample.spec?.replicas ?? 1)) return undefined;
  const { items } = await client.list<Pod>('pods', {
    namespace: 'default',
    labelSelector: 'app=hello',
  });
  const address = items.find((pod) => pod.status?.phase === 'Running')?.status?.podIP;
  return address ? { answer: await fetchText(address), address } : undefined;
}

function fetchText(host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host, port: SAMPLE_PORT, timeout: START_TIMEOUT_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    sent.on('error', reject).end();
  });
}

function indent(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
}

function guide(flags: Flags): string {
  const self = process.env['MINI_SELF'] ?? 'mini';
  const changed = SERVER_FLAGS.filter(
    ({ name, default: usual }) => DOWN_FLAGS.includes(name) && flags.text(name) !== String(usual),
  ).map(({ name }) => ` --${name} ${flags.text(name)}`);
  return `
Use it:
    export KUBECONFIG=${flags.text('write-kubeconfig')}
    kubectl get pods -o wide            (or, without kubectl: ${self} kubectl get pods -o wide)
    kubectl create deployment web --image=mini/hello --replicas=3
    kubectl port-forward deployment/hello 8080:8080

Add a node: run there
    mini agent --server https://<address of this host>:${flags.text('https-listen-port')} --token "$(cat ${flags.text('data-dir')}/server/node-token)"

Stop it, with all its containers:              ${self} down${changed.join('')}
Stop it and remove everything it has written:  ${self} down --remove-data${changed.join('')}`;
}

const DOWN_FLAGS = ['data-dir', 'run-dir', 'bridge', 'cgroup-root', 'write-kubeconfig'];
