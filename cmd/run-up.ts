/** What `mini up` does. */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Deployment, Node, Pod } from '../pkg/api/generated/types.ts';
import type { ApiObject } from '../pkg/api/meta.ts';
import type { Client } from '../pkg/client/client.ts';
import { findAssets } from './assets.ts';
import { openCluster } from './cluster.ts';
import { type Flags, UserError } from './command.ts';
import { readPidFile } from './pid-file.ts';
import { environmentName } from './resolve-flags.ts';
import { SERVER_FLAGS } from './server-flags.ts';
import { START_TIMEOUT_MS, Waiting } from './waiting.ts';

const SAMPLE_PORT = 8080;
const RESOURCES: Readonly<Record<string, string>> = {
  Deployment: 'deployments',
  Service: 'services',
};

type Say = (text: string) => void;

/** Starts what does not run yet; resolves to the exit code. */
export async function runUp(flags: Flags): Promise<number> {
  if (process.getuid?.() !== 0)
    throw new UserError('mini up runs containers and must be started as root');
  const say: Say = (text) => process.stdout.write(`${text}\n`);
  const logFile = join(flags.text('data-dir'), 'server.log');
  const running = readPidFile(flags.text('run-dir'), 'server');
  const wait = new Waiting(logFile);
  if (running) {
    say(`mini server runs already (pid ${running.pid})`);
  } else {
    const child = startServer(flags, logFile);
    wait.watch(child);
    say(`Started mini server (pid ${child.pid}), log in ${logFile}`);
  }
  const cluster = openCluster(await kubeconfig(flags, wait));
  try {
    if (!flags.isSet('disable-agent')) await startSample(cluster.client, wait, say);
  } finally {
    cluster.close();
  }
  say(guide(flags));
  return 0;
}

async function startSample(client: Client, wait: Waiting, say: Say): Promise<void> {
  await wait.until('the node to be ready', () => isNodeReady(client));
  say('Node is ready');
  await deploySample(client, say);
  const { answer, address } = await wait.until('the sample to answer', () => askSample(client));
  say(`Sample answers at http://${address}:${SAMPLE_PORT}:\n${indent(answer)}`);
}

function startServer(flags: Flags, logFile: string): ChildProcess {
  const [program, ...before] = findAssets().self;
  mkdirSync(flags.text('data-dir'), { recursive: true, mode: 0o755 });
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(program, [...before, 'server', ...serverArguments(flags)], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
    env: { ...process.env, ...secretsOf(flags) },
  });
  closeSync(log);
  child.unref();
  if (child.pid === undefined) throw new UserError(`Cannot start ${program}`);
  return child;
}

/** Secrets travel in the environment, where other users of the host cannot read them. */
function secretsOf(flags: Flags): Record<string, string> {
  const secrets = SERVER_FLAGS.filter(({ isSecret }) => isSecret).map(({ name }) => [
    environmentName(name),
    flags.text(name),
  ]);
  return Object.fromEntries(secrets);
}

/** The same flags for the server, so that environment and config file need not be read alike. */
function serverArguments(flags: Flags): string[] {
  // The file has been read: what it says is among the flags.
  const resolved = SERVER_FLAGS.filter(
    ({ name, isSecret }) => name !== 'config' && !isSecret,
  ).flatMap(({ name, value, isList }) => {
    if (!value) return flags.isSet(name) ? [`--${name}`] : [];
    const values = isList ? flags.list(name) : [flags.optional(name) ?? ''];
    return values.filter((text) => text !== '').map((text) => `--${name}=${text}`);
  });
  return ['--config=/dev/null', ...resolved];
}

/** Path of the kubeconfig once the server that is running now has written it. */
async function kubeconfig(flags: Flags, wait: Waiting): Promise<string> {
  const path = flags.text('write-kubeconfig');
  await wait.until('the server to answer', async () => {
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

async function isNodeReady(client: Client): Promise<boolean> {
  const { items } = await client.list<Node>('nodes');
  return items.some((node) =>
    node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  );
}

async function deploySample(client: Client, say: Say): Promise<void> {
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

/** The answer of the first pod of the sample, once all of them are available; throws with why they are not. */
async function askSample(client: Client): Promise<{ answer: string; address: string }> {
  const sample = await client.get<Deployment>('deployments', {
    namespace: 'default',
    name: 'hello',
  });
  const { items } = await client.list<Pod>('pods', {
    namespace: 'default',
    labelSelector: 'app=hello',
  });
  if ((sample.status?.availableReplicas ?? 0) < (sample.spec?.replicas ?? 1))
    throw new Error(items.map(stateOf).join('; ') || 'it has no pods yet');
  const address = items.find((pod) => pod.status?.phase === 'Running')?.status?.podIP;
  if (!address) throw new Error('no pod of it has an address');
  return { answer: await fetchText(address), address };
}

function stateOf({ metadata, status }: Pod): string {
  const waiting = status?.containerStatuses?.find(({ state }) => state?.waiting)?.state?.waiting;
  const condition = status?.conditions?.find(({ status: is, message }) => is !== 'True' && message);
  const reason = waiting?.message ?? waiting?.reason ?? condition?.message;
  return `pod ${metadata.name} is ${status?.phase ?? 'Pending'}${reason ? ` (${reason})` : ''}`;
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
