/** The server over TLS: HTTP/1.1, HTTP/2, client certificates, watches, logs and upgrades passed on to a node. */

import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, connect as connectNet } from 'node:net';
import { duplexPair } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import * as assert from 'uvu/assert';
import type { ApiObject } from '../../pkg/api/meta.ts';
import type { Credentials, User } from '../../pkg/apiserver/contract.ts';
import { createAuthority, createKeyPair } from '../../pkg/pki/key-pair.ts';
import { admin, startApiServer } from '../harness/api-server.ts';
import { suite } from '../harness/suite.ts';

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default' },
  spec: { containers: [{ name: 'c', image: 'x' }], nodeName: 'n1' },
};

async function start() {
  const now = Date.now();
  const ca = await createAuthority('test-ca', now);
  const serving = await createKeyPair(ca, {
    subject: { commonName: 'mini', organizations: [] },
    usages: ['server'],
    altNames: ['127.0.0.1'],
    now,
  });
  const client = await createKeyPair(ca, {
    subject: { commonName: 'alice', organizations: ['dev', 'ops'] },
    usages: ['client'],
    altNames: [],
    now,
  });
  const node = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(`${request.method} ${request.url}\n`);
  });
  node.on('upgrade', (request, socket) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${request.url}\n`,
    );
    socket.pipe(socket);
  });
  node.listen(0, '127.0.0.1');
  await once(node, 'listening');
  const seen: Credentials[] = [];
  const verbs: string[] = [];
  const test = await startApiServer({
    nodes: { connect: () => connectNet((node.address() as AddressInfo).port, '127.0.0.1') },
    authenticator: {
      authenticate: (credentials): Promise<User> => {
        seen.push(credentials);
        return Promise.resolve(admin);
      },
    },
    extraHandlers: [
      { prefix: '/extra/', handle: ({ url }, response) => void response.end(`extra ${url}`) },
    ],
    authorizer: {
      authorize: ({ verb, user }) => {
        verbs.push(`${user.name} ${verb}`);
        return { isAllowed: user.name !== 'mallory', reason: '' };
      },
    },
  });
  const listening = await test.server.listen({
    host: '127.0.0.1',
    port: 0,
    tls: { cert: serving.certificate, key: serving.key, clientCa: ca.certificate },
  });
  const close = async () => {
    await test.close();
    node.closeAllConnections();
    await new Promise((resolve) => node.close(resolve));
  };
  return { ...test, port: listening.port, ca: ca.certificate, client, seen, verbs, close };
}

type Started = Awaited<ReturnType<typeof start>>;

interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingMessage['headers'];
}

function get(
  { port, ca }: Started,
  path: string,
  headers: Record<string, string> = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port, ca, path, headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text, headers: response.headers }),
        );
      },
    );
    request.on('error', reject).end();
  });
}

suite('API server over HTTPS', ({ test, cleanup }) => {
  test('answers over HTTP/1.1 and HTTP/2 on one port', async () => {
    const started = await start();
    cleanup(started.close);
    const first = await get(started, '/version');
    assert.is(first.status, 200);
    assert.is(JSON.parse(first.text).gitVersion, 'v1.36.0+mini');
    const session = connectH2(`https://127.0.0.1:${started.port}`, { ca: started.ca });
    cleanup(() => session.destroy());
    const stream = session.request({ ':path': '/api/v1/namespaces/default' });
    const [headers] = await once(stream, 'response');
    assert.is(headers[':status'], 200);
    let text = '';
    for await (const chunk of stream.setEncoding('utf8')) text += chunk;
    assert.is(JSON.parse(text).metadata.name, 'default');
  });

  test('reads the name and groups of a client certificate', async () => {
    const started = await start();
    cleanup(started.close);
    const { port, ca, client, seen } = started;
    await new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, ca, path: '/healthz', agent: false };
      const tls = { cert: client.certificate, key: client.key };
      httpsRequest({ ...options, ...tls }, (response) => response.resume().on('end', resolve))
        .on('error', reject)
        .end();
    });
    assert.equal(seen[0]?.certificate, { commonName: 'alice', organizations: ['dev', 'ops'] });
  });

  test('acts as the impersonated user and refuses what it may not', async () => {
    const started = await start();
    cleanup(started.close);
    const refused = await get(started, '/api/v1/pods', { 'impersonate-user': 'mallory' });
    assert.is(refused.status, 403);
    assert.is(
      JSON.parse(refused.text).message,
      'pods is forbidden: User "mallory" cannot list resource "pods" in API group "" at the cluster scope',
    );
    const nameless = await get(started, '/api/v1/pods', { 'impersonate-group': 'g' });
    assert.is(nameless.status, 400);
  });

  test('sends the head of a watch before its first event, and events as they come', async () => {
    const started = await start();
    cleanup(started.close);
    const { port, ca, registry } = started;
    const path = '/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=1';
    const request = httpsRequest({ host: '127.0.0.1', port, ca, path, agent: false });
    request.on('error', () => undefined).end();
    cleanup(() => void request.destroy());
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.is(response.statusCode, 200);
    await registry.create('configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a', namespace: 'default' },
    });
    const [line] = (await once(response, 'data')) as [Buffer];
    const event = JSON.parse(line.toString('utf8'));
    assert.is(event.type, 'ADDED');
    assert.is(event.object.metadata.name, 'a');
  });

  test('streams logs from the node of the pod', async () => {
    const started = await start();
    cleanup(started.close);
    await started.registry.create('pods', POD);
    const path = '/api/v1/namespaces/default/pods/p/log?tailLines=5&follow=true';
    const { status, text } = await get(started, path);
    assert.is(status, 200);
    assert.is(text, 'GET /containerLogs/default/p/c?follow=true&tailLines=5\n');
  });

  test('passes an exec upgrade through byte for byte, authorized as create', async () => {
    const started = await start();
    cleanup(started.close);
    await started.registry.create('pods', POD);
    const socket = connectTls({ host: '127.0.0.1', port: started.port, ca: started.ca });
    cleanup(() => void socket.destroy());
    const path = '/api/v1/namespaces/default/pods/p/exec?command=cat&stdin=true&stdout=true';
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    let text = '';
    for await (const chunk of socket.setEncoding('utf8')) {
      text += chunk;
      if (text.endsWith('\n') && !text.includes('hello')) socket.write('hello\n');
      if (text.endsWith('hello\n')) break;
    }
    assert.match(text, /^HTTP\/1\.1 101 /);
    assert.match(
      text,
      /\n\/exec\/default\/p\/c\?stdin=true&input=1&stdout=true&output=1&command=cat&podUID=/,
    );
    assert.ok(started.verbs.includes('admin create'));
  });

  test('refuses an upgrade for a pod without a node with a Status', async () => {
    const started = await start();
    cleanup(started.close);
    const unbound = { ...POD, spec: { ...POD.spec, nodeName: '' } };
    await started.registry.create<typeof POD & ApiObject>('pods', unbound);
    const socket = connectTls({ host: '127.0.0.1', port: started.port, ca: started.ca });
    cleanup(() => void socket.destroy());
    const path = '/api/v1/namespaces/default/pods/p/exec?command=ls';
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    let text = '';
    for await (const chunk of socket.setEncoding('utf8')) text += chunk;
    assert.match(text, /^HTTP\/1\.1 400 /);
    assert.match(text, /pod p does not have a host assigned/);
  });

  test('serves a tunnel stream as its user, and a token in it as the token says', async () => {
    const agent: User = { name: 'system:node:n1', groups: ['system:nodes'] };
    const started = await start();
    cleanup(started.close);
    const ask = async (headers: Record<string, string>) => {
      const [near, far] = duplexPair();
      started.server.serveStream(far, agent);
      const request = httpRequest({ createConnection: () => near, path: '/api/v1/nodes', headers });
      const [response] = (await once(request.end(), 'response')) as [IncomingMessage];
      response.resume();
      near.destroy();
      return started.verbs.at(-1);
    };
    assert.is(await ask({}), 'system:node:n1 list');
    assert.is(await ask({ authorization: 'Bearer x' }), 'admin list');
  });

  test('leaves extra paths to their handlers, over both protocols', async () => {
    const started = await start();
    cleanup(started.close);
    assert.is((await get(started, '/extra/x')).text, 'extra /extra/x');
    const session = connectH2(`https://127.0.0.1:${started.port}`, { ca: started.ca });
    cleanup(() => session.destroy());
    let text = '';
    const stream = session.request({ ':path': '/extra/y' }).setEncoding('utf8');
    for await (const chunk of stream) text += chunk;
    assert.is(text, 'extra /extra/y');
  });

  test('refuses bodies above the limit and serves the next request', async () => {
    const started = await start();
    cleanup(started.close);
    const { port, ca } = started;
    const status = await new Promise((resolve, reject) => {
      const path = '/api/v1/namespaces/default/configmaps';
      const request = httpsRequest({
        host: '127.0.0.1',
        port,
        ca,
        path,
        method: 'POST',
        agent: false,
      });
      request.on('response', (response) => resolve(response.resume().statusCode));
      request.on('error', reject);
      request.end(Buffer.alloc(3 * 1024 * 1024 + 1, ' '));
    });
    assert.is(status, 413);
    assert.is((await get(started, '/healthz')).text, 'ok');
  });
});
