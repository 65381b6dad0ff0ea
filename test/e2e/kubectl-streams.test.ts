/** kubectl's streams against containers on both nodes: logs, exec, attach, run, cp, port-forward and the pod proxy. */

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import type { Running } from '../harness/hosts.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 90_000;
const BIG_BYTES = 10 * 1024 * 1024;
const NODES = ['one', 'two'];

/** Serves /www on port 8080: its name, and 10 MB of noise. */
function web(node: string) {
  const script = `mkdir -p /www; echo "$HOSTNAME" > /www/index.html; dd if=/dev/urandom of=/www/big bs=1M count=10 2>/dev/null; exec httpd -f -p 8080 -h /www`;
  return pod(`web-${node}`, { node, script, probe: true });
}

function pod(
  name: string,
  { node, script, probe }: { readonly node: string; readonly script: string; probe?: boolean },
) {
  const readinessProbe = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name.replace(/-.*/, '') } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'c',
          image: BUSYBOX,
          command: ['sh', '-c', script],
          ...(probe ? { readinessProbe } : {}),
        },
      ],
    },
  };
}

/** Resolves when the program has printed this. */
async function printed(cluster: Cluster, program: Running, pattern: RegExp): Promise<void> {
  await cluster.until(`${pattern}`, async () => {
    if (pattern.test(program.output())) return true;
    throw new Error(program.output());
  });
}

async function ready(cluster: Cluster, ...names: readonly string[]): Promise<void> {
  const pods = names.map((name) => `pod/${name}`);
  await cluster.kubectl('wait', '--for=condition=Ready', '--timeout=30s', ...pods);
}

/** Starts a port-forward; resolves once it listens. */
async function forward(cluster: Cluster, ...args: readonly string[]): Promise<Running> {
  const running = cluster.startKubectl('port-forward', ...args);
  await printed(cluster, running, /Forwarding from 127\.0\.0\.1/);
  return running;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

suite('e2e/kubectl-streams', ({ test, cleanup }) => {
  const shared = new SharedCluster(async () => {
    const cluster = await clusterOf(2);
    await cluster.apply(...NODES.map(web));
    await ready(cluster, ...NODES.map((node) => `web-${node}`));
    return cluster;
  });

  test(
    'exec: output, input, exit code, whole output of a command that ends at once',
    async () => {
      const cluster = await shared.get();
      for (const node of NODES) {
        const name = `web-${node}`;
        assert.is(await cluster.kubectl('exec', name, '--', 'hostname'), `${name}\n`);
        const failed = await cluster.try([
          'exec',
          name,
          '--',
          'sh',
          '-c',
          'echo out; echo err >&2; exit 7',
        ]);
        assert.equal([failed.code, failed.stdout], [7, 'out\n']);
        assert.match(failed.stderr, /^err\n/);
        assert.match(failed.stderr, /command terminated with exit code 7/);
        const echoed = await cluster.try(['exec', '-i', name, '--', 'cat'], { input: 'given\n' });
        assert.is(echoed.stdout, 'given\n');
        const counted = await cluster.kubectl('exec', name, '--', 'sh', '-c', 'seq 1 200000');
        assert.is(
          counted.length,
          Array.from({ length: 200_000 }, (_, at) => `${at + 1}\n`).join('').length,
        );
        assert.ok(counted.endsWith('\n200000\n'));
      }
      const refusals: readonly (readonly [readonly string[], RegExp])[] = [
        [
          ['exec', 'web-one', '--', 'nosuch'],
          /exec: "nosuch": executable file not found in \$PATH\n/,
        ],
        [['exec', 'nope', '--', 'ls'], /pods "nope" not found/],
        [['exec', 'web-one', '-c', 'x', '--', 'ls'], /container x is not valid for pod web-one/],
      ];
      for (const [args, message] of refusals) await cluster.refused(message, ...args);
    },
    TIMEOUT_MS,
  );

  test(
    'exec -it: a terminal with size, resize, Ctrl-C and exit code',
    async () => {
      const cluster = await shared.get();
      for (const node of NODES) {
        const size = cluster.startTerminal('exec', '-it', `web-${node}`, '--', 'stty', 'size');
        assert.is(await size.exited, 0, size.output());
        assert.match(size.output(), /30 100/);
        const terminal = cluster.startTerminal('exec', '-it', `web-${node}`, '--', 'sh');
        const type = (text: string) => terminal.child.stdin?.write(text);
        await printed(cluster, terminal, /# /);
        type('stty size; tty; echo TERM=$TERM\n');
        await printed(cluster, terminal, /30 100\s+\/dev\/pts\/\d+\s+TERM=xterm/);
        type('echo waits; sleep 1000\n');
        await printed(cluster, terminal, /\nwaits\r\n/);
        type('\x03');
        type('echo after-$?\n');
        await printed(cluster, terminal, /\nafter-130\r\n/);
        type('exit 3\n');
        assert.is(await terminal.exited, 3, terminal.output());
      }
    },
    TIMEOUT_MS,
  );

  test(
    'run -it --rm, and attach to a terminal that is there already',
    async () => {
      const cluster = await shared.get();
      const once = cluster.startTerminal(
        'run',
        'once',
        '-it',
        '--rm',
        '--restart=Never',
        `--image=${BUSYBOX}`,
        '--',
        'sh',
      );
      await printed(cluster, once, /# /);
      once.child.stdin?.write('echo host=$(hostname); exit 5\n');
      assert.is(await once.exited, 5, once.output());
      assert.match(once.output(), /host=once\r\n/);
      assert.match(once.output(), /pod "once" deleted/);
      await cluster.refused(/NotFound/, 'get', 'pod', 'once');

      const script = 'echo hello; while read line; do echo "<$line>"; done';
      await cluster.kubectl(
        'run',
        'talk',
        '-i',
        '--tty',
        '--attach=false',
        `--image=${BUSYBOX}`,
        '--',
        'sh',
        '-c',
        script,
      );
      await ready(cluster, 'talk');
      const attached = cluster.startTerminal('attach', '-it', 'talk');
      await printed(cluster, attached, /If you don't see a command prompt/);
      attached.child.stdin?.write('abc\n');
      await printed(cluster, attached, /<abc>/);
      await attached.kill('SIGKILL');
      assert.match(await cluster.kubectl('logs', 'talk'), /hello\r?\nabc\r?\n<abc>/);
      await cluster.kubectl('delete', 'pod', 'talk', '--grace-period=1');
    },
    TIMEOUT_MS,
  );

  test(
    'logs: follow across a restart, previous, tail, since, timestamps, selectors',
    async () => {
      const cluster = await shared.get();
      const script =
        'echo "run $RANDOM"; for i in 1 2 3; do echo "line $i"; done; while [ ! -e /tmp/end ]; do sleep 0.1; done; exit 3';
      await cluster.apply(...NODES.map((node) => pod(`log-${node}`, { node, script })));
      await ready(cluster, 'log-one', 'log-two');
      for (const node of NODES) {
        const name = `log-${node}`;
        const first = await cluster.kubectl('logs', name);
        assert.match(first, /^run \d+\nline 1\nline 2\nline 3\n$/);
        assert.is(await cluster.kubectl('logs', name, '--tail=1'), 'line 3\n');
        assert.is(await cluster.kubectl('logs', name, '--limit-bytes=3'), 'run');
        assert.match(
          await cluster.kubectl('logs', name, '--timestamps', '--tail=1'),
          /^\d{4}-\d\d-\d\dT[\d:.]+Z line 3\n$/,
        );
        await cluster.refused(
          /previous terminated container "c" in pod "log-\w+" not found/,
          'logs',
          name,
          '--previous',
        );
        const follow = cluster.startKubectl('logs', '-f', name);
        await printed(cluster, follow, /line 3/);
        await cluster.kubectl('exec', name, '--', 'touch', '/tmp/end');
        await follow.exited;
        assert.is(follow.output(), first);
        await cluster.until(
          'a second run',
          async () => (await cluster.kubectl('logs', name, '--previous')) === first,
        );
        await cluster.until('its log', async () =>
          /^run \d+\nline 1/.test(await cluster.kubectl('logs', name)),
        );
        assert.is.not(await cluster.kubectl('logs', name), first);
      }
      const both = await cluster.kubectl('logs', '-l', 'app=log', '--tail=1', '--prefix');
      assert.equal(both.trim().split('\n').sort(), [
        '[pod/log-one/c] line 3',
        '[pod/log-two/c] line 3',
      ]);
      await cluster.refused(/pods "nope" not found/, 'logs', 'nope');
      await cluster.kubectl('delete', 'pod', '-l', 'app=log', '--grace-period=0', '--force');
    },
    TIMEOUT_MS,
  );

  test(
    'cp: files and directories, both ways, byte by byte',
    async () => {
      const cluster = await shared.get();
      const { dir } = cluster.one;
      const noise = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251));
      writeFileSync(join(dir, 'noise'), noise);
      for (const node of NODES) {
        const name = `web-${node}`;
        await cluster.kubectl('cp', join(dir, 'noise'), `${name}:/tmp/noise`);
        await cluster.kubectl('cp', `${name}:/tmp/noise`, join(dir, `back-${node}`));
        assert.is(sha256(readFileSync(join(dir, `back-${node}`))), sha256(noise));
        await cluster.kubectl(
          'exec',
          name,
          '--',
          'sh',
          '-c',
          'mkdir -p /tmp/d/sub; echo a > /tmp/d/a; echo b > /tmp/d/sub/b',
        );
        await cluster.kubectl('cp', `${name}:/tmp/d`, join(dir, `d-${node}`));
        assert.is(readFileSync(join(dir, `d-${node}`, 'sub', 'b'), 'utf8'), 'b\n');
        await cluster.kubectl('cp', join(dir, `d-${node}`), `${name}:/tmp/again`);
        assert.is(await cluster.kubectl('exec', name, '--', 'cat', '/tmp/again/a'), 'a\n');
      }
      await cluster.refused(/pods "nope" not found/, 'cp', join(dir, 'noise'), 'nope:/tmp/x');
    },
    TIMEOUT_MS,
  );

  test(
    'port-forward: many connections, 10 MB, a service, a closed port; the proxy of the API server',
    async () => {
      const cluster = await shared.get();
      await cluster.apply({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web' },
        spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
      });
      for (const node of NODES) {
        const name = `web-${node}`;
        const forwarding = await forward(cluster, `pod/${name}`, '18080:8080');
        cleanup(() => forwarding.kill('SIGKILL'));
        const get = (path: string) =>
          cluster.one.ok(['curl', '-sSf', '-m', '20', `http://127.0.0.1:18080/${path}`]);
        const answers = await Promise.all(Array.from({ length: 8 }, () => get('')));
        assert.equal([...new Set(answers)], [`${name}\n`]);
        const file = join(cluster.one.dir, `big-${node}`);
        await cluster.one.ok([
          'curl',
          '-sSf',
          '-m',
          '30',
          '-o',
          file,
          'http://127.0.0.1:18080/big',
        ]);
        const bytes = readFileSync(file);
        assert.is(bytes.length, BIG_BYTES);
        const sum = await cluster.kubectl('exec', name, '--', 'busybox', 'sha256sum', '/www/big');
        assert.is(sha256(bytes), sum.split(' ')[0]);
        await forwarding.kill('SIGKILL');
        const proxied = await cluster.kubectl(
          'get',
          '--raw',
          `/api/v1/namespaces/default/pods/${name}:8080/proxy/`,
        );
        assert.is(proxied, `${name}\n`);
      }
      const service = await forward(cluster, 'svc/web', '18081:80');
      assert.match(
        await cluster.one.ok(['curl', '-sSf', '-m', '20', 'http://127.0.0.1:18081/']),
        /^web-(one|two)\n$/,
      );
      await service.kill('SIGKILL');
      const closed = await forward(cluster, 'pod/web-two', '18082:9');
      await cluster.one.run(['curl', '-sS', '-m', '20', 'http://127.0.0.1:18082/']);
      await printed(
        cluster,
        closed,
        /error forwarding port 9 to pod web-two.*[Cc]onnection refused/,
      );
      await closed.exited;
      await cluster.refused(/pods "nope" not found/, 'port-forward', 'pod/nope', '1:2');
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
