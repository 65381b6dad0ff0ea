/** Probes and lifecycle hooks of a node's pods: real API server, agent and servers to probe, containers by a fake engine. */

import { createServer as createHttpServer } from 'node:http';
import { createServer as createH2Server } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import * as assert from 'uvu/assert';
import type { Pod } from '../../../pkg/api/generated/types.ts';
import { suite } from '../../harness/suite.ts';
import { createFakeEngine } from './fake-engine.ts';
import { startNodeWith } from './test-node.ts';

const ready = ({ status }: Pod) => status?.conditions?.find(({ type }) => type === 'Ready');
const isReady = (pod: Pod) => ready(pod)?.status === 'True';
const first = ({ status }: Pod) => status?.containerStatuses?.[0];
const isRunning = (pod: Pod) => first(pod)?.state?.running !== undefined;
/** The shortest that the API takes. */
const FAST = { periodSeconds: 1, timeoutSeconds: 1 };
/** Probes of a pod on the host's network go to the node's address. */
const ON_HOST = { hostNetwork: true };

suite('agent: probes and hooks', ({ test, cleanup }) => {
  const start = async () => {
    const node = await startNodeWith(createFakeEngine(), { nodeIps: ['127.0.0.1'] });
    cleanup(() => node.close());
    const stays = async (name: string, holds: (pod: Pod) => boolean) => {
      const pod = await node.podWhen(name, () => true);
      assert.ok(holds(pod), JSON.stringify(pod.status));
    };
    const messages = async (name: string, reason: string) =>
      (await node.events(name))
        .filter((event) => event.reason === reason)
        .map(({ message }) => message);
    return { ...node, stays, messages };
  };
  const listen = async (server: Server): Promise<number> => {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    cleanup(() => void server.close());
    return (server.address() as AddressInfo).port;
  };

  test('httpGet: a pod is Ready as long as its readiness probe passes', async () => {
    const node = await start();
    let code = 503;
    const agents: (string | undefined)[] = [];
    const port = await listen(
      createHttpServer((request, response) => {
        agents.push(request.headers['user-agent']);
        response.writeHead(request.url === '/ready' ? code : 404).end();
      }),
    );
    const readinessProbe = { ...FAST, httpGet: { path: '/ready', port }, failureThreshold: 1 };
    await node.createPod('web', { containers: [{ readinessProbe }], spec: ON_HOST });
    await node.whenTold('web', 'Unhealthy', /^Readiness probe failed: HTTP probe .* 503$/);
    await node.stays('web', (pod) => isRunning(pod) && !isReady(pod) && !first(pod)?.ready);
    code = 204;
    await node.podWhen('web', isReady);
    code = 500;
    const pod = await node.podWhen('web', (one) => !isReady(one));
    assert.is(ready(pod)?.reason, 'ContainersNotReady');
    assert.is(ready(pod)?.message, 'containers with unready status: [c0]');
    assert.is(first(pod)?.restartCount, 0);
    assert.match(agents[0] ?? '', /^kube-probe\//);
  });

  test('tcpSocket by name of the port, and grpc', async () => {
    const node = await start();
    const tcp = await listen(createTcpServer((socket) => socket.destroy()));
    let isServing = false;
    const h2 = createH2Server();
    h2.on('request', (request, response) => {
      assert.is(request.url, '/grpc.health.v1.Health/Check');
      response.writeHead(200, { 'content-type': 'application/grpc' });
      response.addTrailers({ 'grpc-status': '0' });
      response.end(Buffer.from([0, 0, 0, 0, 2, 0x08, isServing ? 1 : 2]));
    });
    const grpc = await listen(h2);
    await node.createPod('both', {
      containers: [
        {
          ports: [{ name: 'main', containerPort: tcp }],
          readinessProbe: { ...FAST, tcpSocket: { port: 'main' } },
        },
        { readinessProbe: { ...FAST, grpc: { port: grpc } } },
      ],
      spec: ON_HOST,
    });
    await node.podWhen('both', (pod) => first(pod)?.ready === true);
    await node.whenTold('both', 'Unhealthy', /service unhealthy/);
    isServing = true;
    await node.podWhen('both', isReady);
  });

  test('grpc: a server that stops serving is restarted, one that serves is not', async () => {
    const node = await start();
    const asked: string[] = [];
    let status = 1;
    const h2 = createH2Server();
    h2.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        asked.push(Buffer.concat(chunks).toString('latin1'));
        response.writeHead(200, { 'content-type': 'application/grpc' });
        response.addTrailers({ 'grpc-status': '0' });
        response.end(Buffer.from([0, 0, 0, 0, 2, 0x08, status]));
      });
    });
    const port = await listen(h2);
    const service = 'x'.repeat(200);
    const livenessProbe = { ...FAST, grpc: { port, service }, failureThreshold: 1 };
    const readinessProbe = { ...FAST, grpc: { port, service } };
    await node.createPod('served', {
      containers: [{ livenessProbe, readinessProbe }],
      spec: ON_HOST,
    });
    await node.podWhen('served', (pod) => isReady(pod) && asked.length > 2);
    await node.stays('served', (pod) => first(pod)?.restartCount === 0);
    // Field 1 of the request, a string of 200 bytes, whose length takes two.
    assert.is(asked[0], `\0\0\0\0\xcb\n\xc8\x01${service}`);
    status = 2;
    await node.podWhen('served', (pod) => (first(pod)?.restartCount ?? 0) > 0);
    await node.whenTold('served', 'Unhealthy', /responded with "NOT_SERVING"/);
  });

  test('exec: liveness and readiness begin when the startup probe has passed', async () => {
    const node = await start();
    const ran: string[] = [];
    let hasStarted = false;
    node.engine.onExec = ({ args }, session) => {
      ran.push(args[0] ?? '');
      session.exit(args[0] === 'startup' && !hasStarted ? 1 : 0);
    };
    const exec = (name: string) => ({ ...FAST, exec: { command: [name] } });
    await node.createPod('slow', {
      containers: [
        {
          startupProbe: { ...exec('startup'), failureThreshold: 60 },
          livenessProbe: exec('liveness'),
          readinessProbe: exec('readiness'),
        },
      ],
    });
    await node.whenTold('slow', 'Unhealthy', /^Startup probe failed/);
    await node.stays('slow', (pod) => first(pod)?.started === false && !isReady(pod));
    assert.equal([...new Set(ran)], ['startup']);
    hasStarted = true;
    const pod = await node.podWhen('slow', isReady);
    assert.is(first(pod)?.started, true);
    assert.ok(ran.includes('readiness') && ran.includes('liveness'));
  });

  test('exec: a container whose liveness probe fails is restarted, with the grace of the probe', async () => {
    const node = await start();
    node.engine.onExec = (_options, session) => {
      session.stdout.write('not today');
      session.exit(3);
    };
    const exec = { command: ['check'] };
    const livenessProbe = { ...FAST, exec, failureThreshold: 1, terminationGracePeriodSeconds: 4 };
    await node.createPod('ill', { containers: [{ livenessProbe }] });
    const pod = await node.podWhen('ill', (one) => (first(one)?.restartCount ?? 0) > 0);
    assert.is(first(pod)?.lastState?.terminated?.exitCode, 143);
    assert.is(node.engine.stops[0]?.graceMs, 4000);
    await node.whenTold('ill', 'Unhealthy', /^Liveness probe failed: not today$/);
    await node.whenTold(
      'ill',
      'Killing',
      /^Container c0 failed liveness probe, will be restarted$/,
    );
  });

  test('exec: a probe that does not end has failed', async () => {
    const node = await start();
    node.engine.onExec = () => undefined;
    const readinessProbe = { ...FAST, exec: { command: ['hang'] } };
    await node.createPod('hung', { containers: [{ readinessProbe }] });
    await node.whenTold(
      'hung',
      'Unhealthy',
      /^Readiness probe failed: command timed out: "hang" timed out after 1s$/,
    );
  });

  test('postStart runs in the container, and one that fails ends it', async () => {
    const node = await start();
    const ran: (readonly string[])[] = [];
    node.engine.onExec = ({ args }, session) => {
      ran.push(args);
      session.exit(args[0] === 'bad' ? 1 : 0);
    };
    const hook = (name: string) => ({ lifecycle: { postStart: { exec: { command: [name] } } } });
    await node.createPod('hooked', { containers: [hook('good')] });
    await node.podWhen('hooked', isReady);
    assert.equal(ran, [['good']]);
    await node.createPod('broken', {
      containers: [hook('bad')],
      spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 5 },
    });
    await node.podWhen('broken', ({ status }) => status?.phase === 'Failed');
    assert.equal(node.engine.stops, [{ id: node.engine.stops[0]?.id ?? '', graceMs: 5000 }]);
    await node.whenTold('broken', 'FailedPostStartHook', /^PostStartHook failed/);
    await node.createPod('again', { containers: [hook('bad')] });
    const again = await node.podWhen(
      'again',
      ({ status }) =>
        status?.containerStatuses?.[0]?.state?.waiting?.reason === 'PostStartHookError',
    );
    assert.is(
      again.status?.containerStatuses?.[0]?.state?.waiting?.message,
      `Exec lifecycle hook ([bad]) for Container "c0" in Pod "again_default(${again.metadata.uid})" failed - error: command 'bad' exited with 1: , message: ""`,
    );
  });

  test('preStop runs before the stop, and its time is taken off the grace', async () => {
    const node = await start();
    node.engine.onExec = (_options, session) => void setTimeout(() => session.exit(1), 300);
    const lifecycle = { preStop: { exec: { command: ['drain'] } } };
    await node.createPod('drained', {
      containers: [{ lifecycle }],
      spec: { terminationGracePeriodSeconds: 10 },
    });
    await node.podWhen('drained', isReady);
    await node.client.remove('pods', { namespace: 'default', name: 'drained' });
    await node.goneWhen('drained');
    const graceMs = node.engine.stops[0]?.graceMs ?? 0;
    assert.ok(graceMs > 1000 && graceMs <= 9700, String(graceMs));
    await node.whenTold('drained', 'FailedPreStopHook', /^PreStopHook failed/);
  });

  test('a check that cannot be made counts for nothing', async () => {
    const node = await start();
    const once = { ...FAST, failureThreshold: 1 };
    await node.createPod('unable', {
      containers: [
        {
          livenessProbe: { ...once, exec: { command: ['missing'] } },
          readinessProbe: { ...once, tcpSocket: { port: 'nowhere' } },
          startupProbe: { ...once, exec: { command: ['well'] } },
        },
        { readinessProbe: { ...once, grpc: { port: 1 } } },
      ],
      spec: ON_HOST,
    });
    const says = (kind: string, why: string) =>
      node.whenTold(
        'unable',
        'Unhealthy',
        new RegExp(`^${kind} probe errored and resulted in unknown state: ${why}`),
      );
    await says('Liveness', 'exec: "missing": executable file not found in \\$PATH$');
    await says('Readiness', 'couldn\'t find port: "nowhere" in container$');
    await node.whenTold(
      'unable',
      'Unhealthy',
      /^Readiness probe failed: timeout: failed to connect service "127\.0\.0\.1:1" within 1s: context deadline exceeded$/,
    );
    await node.stays(
      'unable',
      (pod) => isRunning(pod) && !isReady(pod) && first(pod)?.restartCount === 0,
    );
  });

  test('a deletion does not wait for a postStart hook that hangs, nor does the end of the agent', async () => {
    const node = await start();
    let hooks = 0;
    node.engine.onExec = () => {
      hooks += 1;
    };
    const lifecycle = { postStart: { exec: { command: ['hang'] } } };
    for (const name of ['one', 'two']) await node.createPod(name, { containers: [{ lifecycle }] });
    await node.podWhen('two', () => hooks === 2);
    await node.client.remove('pods', { namespace: 'default', name: 'one' });
    await node.goneWhen('one');
    await node.agent().close();
  });

  test('the end of the agent does not wait for the grace of a stop', async () => {
    const node = await start();
    await node.createPod('stubborn', { containers: [{ command: ['hang'] }] });
    await node.podWhen('stubborn', isReady);
    await node.client.remove('pods', { namespace: 'default', name: 'stubborn' });
    await node.podWhen('stubborn', () => node.engine.stops.length > 0);
    await node.agent().close();
    assert.is(node.engine.listContainers()[0]?.status, 'running');
  });
});
