/** Nodes that join a server of the built executable, each on a test host of its own: tokens, refusals, cuts, restarts. */

import * as assert from 'uvu/assert';
import { BUSYBOX, Cluster } from '../harness/cluster.ts';
import { type Host, type Running, Switch } from '../harness/hosts.ts';
import { recordingServer } from '../harness/recording-server.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;
const MINI = new URL('../../dist/mini', import.meta.url).pathname;
const SECRET = 'a-secret-that-must-not-leave';

/** A pod that writes a numbered line every 100 ms and answers HTTP on port 8080. */
function talker(name: string, node: string) {
  const script =
    'mkdir -p /tmp/w; echo served > /tmp/w/index.html; httpd -p 8080 -h /tmp/w; i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done';
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: BUSYBOX, command: ['sh', '-c', script] }],
    },
  };
}

async function running(cluster: Cluster, pod: string): Promise<void> {
  await cluster.until(`pod ${pod} to run`, async () => {
    const phase = await cluster.kubectl('get', 'pod', pod, '-o', 'jsonpath={.status.phase}');
    return phase === 'Running';
  });
}

/** logs and exec reach the pod; soon, or by the time that a ping's deadline has passed. */
async function reachable(cluster: Cluster, pod: string, timeoutMs = 20_000): Promise<void> {
  await cluster.until(
    `logs of and exec in ${pod}`,
    async () => {
      const log = await cluster.try(['logs', pod, '--tail=1'], { timeoutMs: 5_000 });
      const exec = await cluster.try(['exec', pod, '--', 'echo', 'inside'], { timeoutMs: 5_000 });
      return /^line \d+\n$/.test(log.stdout) && exec.stdout === 'inside\n';
    },
    timeoutMs,
  );
}

/** Runs an agent that must give up; resolves to what it said. */
async function refusal(host: Host, ...flags: readonly string[]): Promise<string> {
  const { code, stderr, stdout } = await host.run([MINI, 'agent', ...flags], { timeoutMs: 20_000 });
  // 2: refused before anything was tried.
  assert.ok(code === 1 || code === 2, `ended with ${code}: ${stdout}${stderr}`);
  return stdout + stderr;
}

async function printed(agent: Running, pattern: RegExp, timeoutMs = 10_000): Promise<void> {
  const deadlineMs = Date.now() + timeoutMs;
  while (!pattern.test(agent.output())) {
    if (Date.now() > deadlineMs) throw new Error(`No ${pattern} in:\n${agent.output()}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

async function followed(follow: Running): Promise<void> {
  const before = follow.output().length;
  await printed(follow, new RegExp(`^[^]{${before + 20}}`));
}

suite('e2e/join', ({ test, cleanup }) => {
  async function start(...flags: readonly string[]): Promise<Cluster> {
    const cluster = await Cluster.start(...flags);
    cleanup(() => cluster.close());
    return cluster;
  }

  test(
    'hosts join by the node token and a bootstrap token; their pods are reached without an inbound port',
    async () => {
      const cluster = await start();
      const two = await cluster.addHost('two');
      const three = await cluster.addHost('three');
      const server = `https://${cluster.one.address}:6443`;
      const bootstrap = (await cluster.one.mini('token', 'create', '--ttl', '10m')).trim();
      assert.match(bootstrap, /^K10[0-9a-f]{64}::[a-z0-9]{6}\.[a-z0-9]{16}$/);
      await cluster.join(two);
      const agent = three.startMini('agent', '--server', server, '--token', bootstrap);
      cluster.agents.set('three', agent);
      await cluster.nodeReady('three');
      await cluster.importBusybox();
      for (const node of ['two', 'three']) await cluster.apply(talker(`on-${node}`, node));
      for (const node of ['two', 'three']) {
        await running(cluster, `on-${node}`);
        await reachable(cluster, `on-${node}`);
      }
      const forward = cluster.startKubectl('port-forward', 'pod/on-two', '18080:8080');
      const follow = cluster.startKubectl('logs', '-f', 'on-two');
      await printed(forward, /Forwarding from/);
      const page = ['wget', '-q', '-O-', 'http://127.0.0.1:18080/'];
      assert.is(await cluster.one.ok(['busybox', ...page]), 'served\n');
      await followed(follow);
      for (const host of [two, three]) {
        const listening = await host.ok(['ss', '-Hltun']);
        const open = listening
          .split('\n')
          .filter((line) => line !== '' && !/ (127\.\d+\.\d+\.\d+(%\w+)?|\[::1\]):\d+ /.test(line));
        assert.equal(open, [], `listens on ${host.name}`);
      }
      // A second host cannot take a name that is in use.
      const said = await refusal(
        three,
        ...['--server', server, '--token', bootstrap, '--node-name', 'two'],
        ...['--data-dir', '/var/lib/mini/other', '--run-dir', '/run/mini-other'],
      );
      assert.match(said, /The node name "two" is taken by another host/, said);
      assert.match(said, /--node-name/);
    },
    TIMEOUT_MS,
  );

  test(
    'a server with another CA never sees the secret, and clocks apart are named',
    async () => {
      const network = new Switch();
      cleanup(() => network.close());
      const [bad, node] = [await network.addHost('bad'), await network.addHost('node')];
      const recorder = await recordingServer(bad);
      const flags = ['--server', `https://${bad.address}:6443`, '--token'];
      const wrong = await refusal(node, ...flags, `K10${'0'.repeat(64)}::server:${SECRET}`);
      assert.match(wrong, /is not the one that the token was made for/);
      assert.match(wrong, /The secret was not sent/);
      const right = `K10${recorder.caHash}::server:${SECRET}`;
      recorder.setClock(-60 * 60_000);
      assert.match(
        await refusal(node, ...flags, right),
        /The clocks differ by more than 5 minutes/,
      );
      const heard = recorder.heard();
      assert.match(heard, /^GET \/cacerts HTTP/);
      assert.not.match(heard, /authorization/i);
      for (const form of [SECRET, Buffer.from(`server:${SECRET}`).toString('base64')])
        assert.not.match(heard, form);
      // The recorder does record: with the right hash and clock, the secret comes.
      recorder.setClock(0);
      assert.match(await refusal(node, ...flags, right), /not as a mini server/);
      assert.match(recorder.heard(), Buffer.from(`server:${SECRET}`).toString('base64'));
    },
    TIMEOUT_MS,
  );

  test(
    'wrong, expired, malformed and missing tokens are refused with their reason',
    async () => {
      const cluster = await start();
      const two = await cluster.addHost('two');
      const server = ['--server', `https://${cluster.one.address}:6443`];
      const token = (await cluster.one.ok(['cat', '/var/lib/mini/server/node-token'])).trim();
      const short = (await cluster.one.mini('token', 'create', '--ttl', '1s')).trim();
      const hash = token.slice(0, token.indexOf('::'));
      const say = (...flags: string[]) => refusal(two, ...server, ...flags);
      assert.match(await say(), /A token is needed to join \(--token\)/);
      assert.match(await say('--token', `${hash}::server:wrong`), /does not know this token/);
      assert.match(await say('--token', `${hash}::abcdef.0123456789abcdef`), /does not know/);
      assert.match(await say('--token', token.slice(0, 40)), /the part from "::" on is missing/);
      assert.match(await say('--token', hash), /the part from "::" on is missing/);
      assert.match(await say('--token', short), /has expired; create another/);
    },
    TIMEOUT_MS,
  );

  test(
    'an agent that starts before its server waits for it, saying why',
    async () => {
      const cluster = new Cluster();
      cleanup(() => cluster.close());
      const [one, two] = [await cluster.addHost('one'), await cluster.addHost('two')];
      const secret = 'shared-secret';
      const agent = two.startMini(
        'agent',
        ...['--server', `https://${one.address}:6443`, '--token', secret],
      );
      cluster.agents.set('two', agent);
      await printed(agent, /Joining failed, will try again .*ECONNREFUSED/);
      cluster.startServer('--token', secret);
      await cluster.nodeReady('two');
    },
    TIMEOUT_MS,
  );

  test(
    'the tunnel comes back after cuts, a killed server, another address and an agent without token',
    async () => {
      const cluster = await start();
      const two = await cluster.addHost('two');
      const moved = '10.99.0.200';
      const servers = [cluster.one.address, moved].flatMap((ip) => [
        '--server',
        `https://${ip}:6443`,
      ]);
      const token = (await cluster.one.ok(['cat', '/var/lib/mini/server/node-token'])).trim();
      let agent = two.startMini('agent', ...servers, '--token', token);
      cluster.agents.set('two', agent);
      await cluster.nodeReady('two');
      await cluster.importBusybox();
      await cluster.apply(talker('talker', 'two'));
      await running(cluster, 'talker');
      await reachable(cluster, 'talker');

      // Shorter than the deadline of the pings: nothing breaks, a running follow goes on.
      const follow = cluster.startKubectl('logs', '-f', 'talker');
      await followed(follow);
      two.cut();
      await new Promise((next) => setTimeout(next, 2_000));
      two.heal();
      await followed(follow);
      await reachable(cluster, 'talker');

      // Longer, and the server moves meanwhile: both ends notice, and find each other again.
      two.cut();
      await printed(agent, /Lost connection to server/, 30_000);
      cluster.one.changeAddress(moved);
      two.heal();
      await reachable(cluster, 'talker');

      const pid = await containerId(cluster);
      await cluster.server?.kill('SIGKILL');
      cluster.startServer();
      await reachable(cluster, 'talker');
      assert.is(await containerId(cluster), pid);
      // It started under its new address.
      const endpoints = ['get', 'endpoints', 'kubernetes', '-o', ADDRESSES];
      assert.is(await cluster.kubectl(...endpoints), moved);

      await agent.kill('SIGKILL');
      agent = two.startMini('agent', ...servers);
      cluster.agents.set('two', agent);
      await reachable(cluster, 'talker');
      assert.is(await containerId(cluster), pid);
      assert.is(await cluster.kubectl('get', 'pod', 'talker', '-o', RESTARTS), '0');
      await cluster.nodeReady('two');
      await followed(cluster.startKubectl('logs', '-f', 'talker'));
    },
    TIMEOUT_MS,
  );
});

const ADDRESSES = 'jsonpath={.subsets[*].addresses[*].ip}';
const RESTARTS = 'jsonpath={.status.containerStatuses[0].restartCount}';

function containerId(cluster: Cluster): Promise<string> {
  const path = 'jsonpath={.status.containerStatuses[0].containerID}';
  return cluster.kubectl('get', 'pod', 'talker', '-o', path);
}
