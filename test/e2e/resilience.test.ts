/** Processes and hosts that die under load: containers go on, nothing acknowledged is lost, the cluster heals by itself. */

import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import type { Node, Pod } from '../../pkg/api/generated/types.ts';
import { BUSYBOX, Cluster } from '../harness/cluster.ts';
import type { Host, Running } from '../harness/hosts.ts';
import { suite } from '../harness/suite.ts';

/** It takes 0.3 to 3 s where nothing else runs; the times are printed. Other tests may share the machine. */
const HEAL_MS = 60_000;
const KILL_BUDGET_MS = 90_000;
const TIMEOUT_MS = 300_000;
const ROUNDS = 2;
const PODS = 20;
const LOAD = new URL('../harness/load.ts', import.meta.url).pathname;
const KUBECONFIG = '/etc/mini/kubeconfig.yaml';
const AGENT = /^\S*mini agent /;

/** Writes a numbered line every 200 ms. */
const COUNT = 'i=0; while true; do i=$((i+1)); echo line $i; sleep 0.2; done';
/** Ends with 7 when it is asked to. */
const ENDS_WITH_7 = 'trap "exit 7" TERM; : waits-for-its-end; while true; do sleep 0.1; done';

function containers(script: string) {
  return {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', image: BUSYBOX, command: ['sh', '-c', script] }],
  };
}

function deployment(name: string, replicas: number, script: string, extra: object = {}) {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { ...containers(script), ...extra } },
    },
  };
}

async function pods(cluster: Cluster, app: string): Promise<readonly Pod[]> {
  return JSON.parse(await cluster.kubectl('get', 'pods', '-l', `app=${app}`, '-o', 'json')).items;
}

async function allRunning(cluster: Cluster, app: string, count: number): Promise<readonly Pod[]> {
  return await cluster.until(`${count} pods of ${app} to run`, async () => {
    const found = await pods(cluster, app);
    const isRunning = found.every(({ status }) => status?.containerStatuses?.[0]?.ready === true);
    return found.length === count && isRunning && found;
  });
}

/** Container ids and restarts by pod. */
function containersOf(found: readonly Pod[]): string[] {
  return found
    .map(({ metadata, status }) => {
      const [container] = status?.containerStatuses ?? [];
      return `${metadata.name} ${container?.containerID} restarts=${container?.restartCount}`;
    })
    .sort();
}

function isReady({ status }: Node): boolean {
  return (
    status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true
  );
}

/** Both nodes Ready and exec works on each; how long that took. */
async function healed(cluster: Cluster, what: string, probes: readonly string[]): Promise<number> {
  const since = Date.now();
  const once = async () => {
    const options = { timeoutMs: 5_000 };
    const [nodes, ...answers] = await Promise.all([
      cluster.try(['get', 'nodes', '-o', 'json'], options),
      ...probes.map((pod) => cluster.try(['exec', pod, '--', 'echo', 'inside'], options)),
    ]);
    return (
      JSON.parse(nodes.stdout).items.every(isReady) &&
      answers.every(({ stdout }) => stdout === 'inside\n')
    );
  };
  await cluster.until(`healing after the end of ${what}`, once, HEAL_MS);
  return Date.now() - since;
}

/** What is wrong with a log that must be `line 1`, `line 2`, … */
function gapsIn(log: string): string[] {
  const lines = log.trimEnd().split('\n');
  return lines
    .flatMap((line, at) => (line === `line ${at + 1}` ? [] : [`${at + 1}: ${line}`]))
    .slice(0, 3);
}

async function checkLogs(cluster: Cluster, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const log = await cluster.kubectl('logs', name);
    assert.equal(gapsIn(log), [], `lines of ${name}`);
    assert.ok(log.split('\n').length > 20, `${name} has written`);
  }
}

/** Ends the load; what it says must fit what the server has. */
async function checkLoad(cluster: Cluster, load: Running): Promise<void> {
  await load.kill('SIGTERM');
  const lines = load.output().split('\n');
  const of = (verb: string) =>
    lines.filter((line) => line.startsWith(`${verb} `)).map((line) => line.slice(verb.length + 1));
  const acked = of('acked');
  assert.ok(acked.length > 100, `${acked.length} writes were acknowledged`);
  const list = await cluster.kubectl('-n', 'load', 'get', 'cm', '-o', 'json');
  const stored = new Set<string>(
    JSON.parse(list).items.map(
      ({ metadata }: Node) => `${metadata.name} ${metadata.resourceVersion}`,
    ),
  );
  assert.equal(
    acked.filter((write) => !stored.has(write)),
    [],
    'acknowledged but lost',
  );
  const seen = of('seen');
  assert.equal(of('gap'), [], 'the watch could not go on');
  assert.is(new Set(seen).size, seen.length, 'events seen twice');
  const known = new Set(seen);
  assert.equal(
    acked.filter((write) => !known.has(write)),
    [],
    'events missed',
  );
  const revisions = seen.map((line) => Number(line.split(' ')[1]));
  assert.equal(
    revisions,
    revisions.toSorted((a, b) => a - b),
    'events in order',
  );
}

function endProcess(host: Host, pattern: RegExp, signal: NodeJS.Signals): void {
  endAll(host.pidsOf(pattern), signal, `${pattern} on ${host.name}`);
}

/** The daemon that the agent asks; shims have the same name, and live on without it. */
function endDaemon(host: Host): void {
  const agents = new Set(host.pidsOf(AGENT));
  const daemons = host.pidsOf(/mini-runtime serve/).filter((pid) => agents.has(parentOf(pid)));
  endAll(daemons, 'SIGKILL', `runtime daemon on ${host.name}`);
}

function parentOf(pid: number): number {
  const [, parent] = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(parent);
}

function endAll(pids: readonly number[], signal: NodeJS.Signals, what: string): void {
  assert.is(pids.length, 1, what);
  for (const pid of pids) process.kill(pid, signal);
}

suite('e2e/resilience', ({ test, cleanup }) => {
  async function start(): Promise<{ cluster: Cluster; two: Host }> {
    const cluster = await Cluster.start();
    cleanup(() => cluster.close());
    const two = await cluster.addHost('two');
    await cluster.join(two);
    await cluster.importBusybox();
    return { cluster, two };
  }

  const restartAgent = (cluster: Cluster, two: Host) => {
    const agent = two.startMini('agent', '--server', `https://${cluster.one.address}:6443`);
    cluster.agents.set('two', agent);
  };

  test(
    'nothing is lost when agents, the server and the runtime daemon are killed under load',
    async () => {
      const { cluster, two } = await start();
      await cluster.kubectl('create', 'namespace', 'load');
      const ending = (node: string) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `ends-on-${node}`, labels: { app: 'ends' } },
        spec: { nodeName: node, restartPolicy: 'Never', ...containers(ENDS_WITH_7) },
      });
      await cluster.apply(deployment('count', PODS, COUNT), ending('one'), ending('two'));
      const before = await allRunning(cluster, 'count', PODS);
      await allRunning(cluster, 'ends', 2);
      const probes = ['one', 'two'].map(
        (node) => before.find(({ spec }) => spec?.nodeName === node)?.metadata.name ?? node,
      );
      const load = cluster.one.start([process.execPath, LOAD, KUBECONFIG]);

      const killAgentTwo = async (meanwhile: () => void) => {
        await cluster.agents.get('two')?.kill('SIGKILL');
        meanwhile();
        restartAgent(cluster, two);
      };
      const endOn = (host: Host, round: number) => {
        if (round === 0) endProcess(host, /^sh -c .*waits-for-its-end/, 'SIGTERM');
      };
      const kills: readonly [string, (round: number) => Promise<void> | void][] = [
        ['agent on two', (round) => killAgentTwo(() => endOn(two, round))],
        ['runtime daemon on two', () => endDaemon(two)],
        [
          'agent on one',
          (round) => {
            endProcess(cluster.one, AGENT, 'SIGKILL');
            endOn(cluster.one, round);
          },
        ],
        ['runtime daemon on one', () => endDaemon(cluster.one)],
        [
          'server',
          async () => {
            await cluster.server?.kill('SIGKILL');
            cluster.startServer();
          },
        ],
      ];
      const since = Date.now();
      const times: string[] = [];
      for (let round = 0; round < ROUNDS && Date.now() - since < KILL_BUDGET_MS; round++) {
        for (const [what, kill] of kills) {
          await kill(round);
          times.push(`${what}: ${await healed(cluster, what, probes)} ms`);
        }
      }
      process.stdout.write(`healed after ${times.join(', ')}\n`);

      const after = await allRunning(cluster, 'count', PODS);
      assert.equal(containersOf(after), containersOf(before));
      assert.ok(containersOf(after).every((line) => line.endsWith('restarts=0')));
      await cluster.until('the ended pods to be reported', async () => {
        const ended = await pods(cluster, 'ends');
        const codes = ended.map(
          ({ status }) => status?.containerStatuses?.[0]?.state?.terminated?.exitCode,
        );
        return codes.join() === '7,7';
      });
      await checkLoad(cluster, load);
      await checkLogs(
        cluster,
        after.map(({ metadata }) => metadata.name),
      );
      await cluster.kubectl('delete', 'deployment', 'count');
      for (const host of [cluster.one, two]) {
        await cluster.until(`the containers on ${host.name} to be gone`, async () => {
          return host.pidsOf(/^sh -c i=0/).length === 0;
        });
      }
    },
    TIMEOUT_MS,
  );

  test(
    'pods of a dead host are replaced, and the host comes back clean',
    async () => {
      const { cluster, two } = await start();
      const tolerations = ['not-ready', 'unreachable'].map((key) => ({
        key: `node.kubernetes.io/${key}`,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 5,
      }));
      await cluster.apply(deployment('spread', 6, COUNT, { tolerations }));
      const before = await allRunning(cluster, 'spread', 6);
      const lost = before.filter(({ spec }) => spec?.nodeName === 'two');
      assert.ok(lost.length > 0, 'some pods run on two');
      await two.kill();
      const since = Date.now();
      await cluster.until('node two not ready', () => nodeIsNot(cluster, 'two'), 60_000);
      assert.ok(Date.now() - since > 30_000, 'a node is given its grace period');
      const names = new Set(lost.map(({ metadata }) => metadata.name));
      await cluster.until(
        'replacements on one',
        async () => {
          const found = await pods(cluster, 'spread');
          const live = found.filter(
            ({ metadata, spec, status }) =>
              !names.has(metadata.name) && spec?.nodeName === 'one' && status?.phase === 'Running',
          );
          return live.length === 6;
        },
        30_000,
      );
      await two.boot();
      restartAgent(cluster, two);
      await cluster.nodeReady('two');
      await cluster.until('the lost pods to be gone', async () => {
        const left = (await pods(cluster, 'spread')).filter(({ metadata }) =>
          names.has(metadata.name),
        );
        return left.length === 0 && two.pidsOf(/^sh -c i=0/).length === 0;
      });
      const state = await two.ok(['sh', '-c', 'ls /run/mini/containers 2>/dev/null | wc -l']);
      assert.is(state.trim(), '0');
      // It takes pods again.
      await cluster.kubectl('scale', 'deployment', 'spread', '--replicas=12');
      const after = await allRunning(cluster, 'spread', 12);
      assert.ok(after.some(({ spec }) => spec?.nodeName === 'two'));
      const again = after.find(({ spec }) => spec?.nodeName === 'two')?.metadata.name ?? '';
      assert.is(await cluster.kubectl('exec', again, '--', 'echo', 'inside'), 'inside\n');
    },
    TIMEOUT_MS,
  );
});

async function nodeIsNot(cluster: Cluster, name: string): Promise<boolean> {
  const node: Node = JSON.parse(await cluster.kubectl('get', 'node', name, '-o', 'json'));
  return !isReady(node);
}
