/** logs, exec, attach, cp and port-forward by the real kubectl, through a real API server, to the node's own API. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { duplexPair, type Readable } from 'node:stream';
import { execa } from 'execa';
import * as assert from 'uvu/assert';
import { WebSocket } from 'ws';
import type { Pod } from '../../../pkg/api/generated/types.ts';
import { type KubeHome, kubeHome, tools } from '../../harness/kubectl.ts';
import { rejects, suite } from '../../harness/suite.ts';
import type { FakeExec } from './fake-engine.ts';
import { startTestNode, type TestNode } from './test-node.ts';

/** Many runs of kubectl, one after the other. */
const SLOW_MS = 60_000;
const isRunning = ({ status }: Pod) => status?.phase === 'Running';

suite('agent: streams to a pod', ({ test, cleanup }) => {
  const start = async (): Promise<{
    node: TestNode;
    home: KubeHome;
    server: string;
    id: string;
  }> => {
    const node = await startTestNode();
    cleanup(() => node.close());
    const server = await node.listen();
    const home = await kubeHome({ server });
    cleanup(() => home.remove());
    await node.createPod('p1');
    await node.podWhen('p1', isRunning);
    return { node, home, server, id: node.engine.listContainers()[0]?.id ?? '' };
  };

  test(
    'logs: all, tail, since, timestamps, follow to the end of the container, previous',
    async () => {
      const { node, home, server, id } = await start();
      for (const line of ['one', 'two', 'three']) node.engine.write(id, line);
      const all = await home.kubectl(['logs', 'p1']);
      assert.is(all.stdout, 'one\ntwo\nthree', all.stderr);
      assert.is((await home.kubectl(['logs', 'p1', '--tail=1'])).stdout, 'three');
      assert.match(
        (await home.kubectl(['logs', 'p1', '--timestamps', '--tail=1'])).stdout,
        /^\d{4}-.*Z three$/,
      );
      const { kubectl } = await tools();
      const env = { HOME: node.directory };
      const following = execa(kubectl, ['--server', server, 'logs', '-f', 'p1'], { env });
      await once(following.stdout, 'data'); // Else it might only see the container's next run.
      node.engine.write(id, 'four');
      node.engine.exit(id, 1);
      assert.is((await following).stdout, 'one\ntwo\nthree\nfour');
      await node.podWhen('p1', ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1);
      assert.is(
        (await home.kubectl(['logs', 'p1', '--previous', '--tail=2'])).stdout,
        'three\nfour',
      );
      const missing = await home.kubectl(['logs', 'p1', '-c', 'nope']);
      assert.match(missing.stderr, /container nope is not valid for pod p1/);
    },
    SLOW_MS,
  );

  test(
    'logs over a WebSocket: as bytes, as base64, followed to the end; errors as a Status',
    async () => {
      const { node, server, id } = await start();
      node.engine.write(id, 'container is alive');
      const path = `${server.replace('http', 'ws')}/api/v1/namespaces/default/pods/p1/log`;
      for (const protocols of [['binary.k8s.io'], []]) {
        const { messages, code, protocol } = await received(path, protocols);
        assert.is(protocol, protocols[0] ?? '');
        assert.ok(messages.every((message) => Buffer.isBuffer(message)));
        assert.is(messages.join(''), 'container is alive\n');
        assert.is(code, 1000);
      }
      const encoded = await received(path, ['base64.binary.k8s.io']);
      assert.is(encoded.messages.join(''), Buffer.from('container is alive\n').toString('base64'));

      const following = received(`${path}?follow=true`, ['binary.k8s.io'], (all) => {
        if (all.length > 1) return;
        node.engine.write(id, 'more');
        node.engine.exit(id, 1);
      });
      assert.is((await following).messages.join(''), 'container is alive\nmore\n');
      const refused = await rejects(received(`${path}?container=nope`, []));
      assert.match(String(refused), /400/);
    },
    SLOW_MS,
  );

  test(
    'a watch over a WebSocket: an event a message',
    async () => {
      const { node, server } = await start();
      const path = `${server.replace('http', 'ws')}/api/v1/namespaces/default/pods?watch=true`;
      const { messages } = await received(path, [], (all, socket) => {
        if (all.length === 1) void node.createPod('p2');
        if (all.length === 2) socket.close();
      });
      const events = messages.map((message) => JSON.parse(String(message)));
      assert.equal(
        events.slice(0, 2).map(({ type, object }) => [type, object.metadata.name]),
        [
          ['ADDED', 'p1'],
          ['ADDED', 'p2'],
        ],
      );
      assert.is((await received(`${path}&timeoutSeconds=1`, [])).code, 1000);
    },
    SLOW_MS,
  );

  test('exec: output, exit code, stdin with its end', async () => {
    const { node, home } = await start();
    node.engine.onExec = ({ args }, session: FakeExec) => {
      session.stdout.write(`ran ${args.join(' ')}\n`);
      session.stderr.write('warned\n');
      session.exit(args[0] === 'false' ? 7 : 0);
    };
    const ran = await home.kubectl(['exec', 'p1', '--', 'echo', 'hi']);
    assert.is(ran.stdout, 'ran echo hi');
    assert.is(ran.stderr, 'warned');
    assert.is(ran.exitCode, 0);
    assert.is((await home.kubectl(['exec', 'p1', '--', 'false'])).exitCode, 7);
    node.engine.onExec = (_options, session) => {
      session.stdin.pipe(session.stdout, { end: false });
      session.stdin.once('end', () => session.exit(0));
    };
    const big = 'x'.repeat(300_000);
    const cat = await home.kubectl(['exec', '-i', 'p1', '--', 'cat'], { input: big });
    assert.is(cat.stdout.length, big.length, cat.stderr);
  });

  test('exec falls back to SPDY when a client asks for it', async () => {
    const { node, server } = await start();
    node.engine.onExec = (_options, session) => {
      session.stdin.pipe(session.stdout, { end: false });
      session.stdin.once('end', () => session.exit(3));
    };
    const { kubectl } = await tools();
    const ran = await execa(kubectl, ['--server', server, 'exec', '-i', 'p1', '--', 'cat'], {
      env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', HOME: node.directory },
      input: 'through spdy\n',
      reject: false,
      timeout: 30_000,
    });
    assert.is(ran.stdout, 'through spdy', ran.stderr);
    assert.is(ran.exitCode, 3);
  });

  test('attach shows what the container writes until it ends', async () => {
    const { node, home } = await start();
    node.engine.onExec = (_options, session) => {
      session.stdout.write('attached\n');
      session.exit(0);
    };
    const ran = await home.kubectl(['attach', 'p1']);
    assert.match(ran.stdout, /attached/);
    assert.is(ran.exitCode, 0, ran.stderr);
  });

  for (const [title, env] of [
    ['tunnelled through a WebSocket', {}],
    ['over SPDY', { KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' }],
  ] as const) {
    test(`port-forward ${title} carries several connections and tells failures`, async () => {
      const { node, server } = await start();
      node.engine.onConnect = (port) => {
        if (port !== 80) throw new Error('connection refused');
        const [near, far] = duplexPair();
        far.on('data', (chunk: Buffer) => far.write(chunk.toString().toUpperCase()));
        far.on('end', () => far.end());
        return near;
      };
      const { kubectl } = await tools();
      const forward = spawn(kubectl, ['--server', server, 'port-forward', 'p1', ':80', ':81'], {
        env: { ...env, HOME: node.directory },
      });
      cleanup(() => void forward.kill('SIGKILL'));
      const [port, closed] = await forwardedPorts(forward.stdout);
      const echo = async (text: string) => {
        const socket = connect(port, '127.0.0.1');
        socket.end(text);
        const chunks: Buffer[] = [];
        for await (const chunk of socket) chunks.push(chunk);
        return Buffer.concat(chunks).toString();
      };
      assert.equal(await Promise.all([echo('one'), echo('two')]), ['ONE', 'TWO']);
      const large = 'y'.repeat(500_000);
      assert.is((await echo(large)).length, large.length);
      const told = once(forward.stderr, 'data');
      connect(closed, '127.0.0.1').on('error', () => undefined);
      assert.match(String(await told), /error forwarding port 81 to pod p1: connection refused/);
    });
  }
});

/** All that a WebSocket's server sends until it closes; `onMessage` is called with what has come so far. */
async function received(
  url: string,
  protocols: readonly string[],
  onMessage: (all: readonly unknown[], socket: WebSocket) => void = () => undefined,
) {
  const socket = new WebSocket(url, [...protocols]);
  const messages: (Buffer | string)[] = [];
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    messages.push(isBinary ? data : data.toString());
    onMessage(messages, socket);
  });
  const [code] = await once(socket, 'close'); // Rejects with what went wrong before.
  return { messages, code: Number(code), protocol: socket.protocol };
}

/** The ports that kubectl took for 80 and 81, once it listens on both. */
async function forwardedPorts(stdout: Readable): Promise<[number, number]> {
  const taken = new Map<string, number>();
  for await (const line of createInterface({ input: stdout })) {
    const [, own, target] = /^Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)$/.exec(line) ?? [];
    if (target !== undefined) taken.set(target, Number(own));
    const [first, second] = [taken.get('80'), taken.get('81')];
    if (first !== undefined && second !== undefined) return [first, second];
  }
  throw new Error('kubectl port-forward ended');
}
