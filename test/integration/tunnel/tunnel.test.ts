/** The tunnel as a node and a server use it: TLS with certificates of a real CA, HTTP inside, cuts, a proxy. */

import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener, request } from 'node:http';
import { createServer as createHttpsServer, type Server } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import * as assert from 'uvu/assert';
import type { User } from '../../../pkg/apiserver/contract.ts';
import { CONNECT_PATH, NodeSessions } from '../../../pkg/apiserver/nodes.ts';
import { silent } from '../../../pkg/log/log.ts';
import { createAuthority, createKeyPair } from '../../../pkg/pki/key-pair.ts';
import {
  type DialTunnelOptions,
  dialTunnel,
  type Refused,
  type Tunnel,
} from '../../../pkg/tunnel/dial.ts';
import { createTunnelAgent } from '../../../pkg/tunnel/http-agent.ts';
import type { Session } from '../../../pkg/tunnel/session.ts';
import { suite } from '../../harness/suite.ts';

const now = Date.now();
const ca = await createAuthority('test-ca', now);
const leaf = (commonName: string, organizations: string[], usage: 'client' | 'server') =>
  createKeyPair(ca, {
    subject: { commonName, organizations },
    usages: [usage],
    ...(usage === 'server' ? { altNames: ['kubernetes'] } : {}),
    now,
  });
const serverPair = await leaf('kube-apiserver', [], 'server');
const nodePair = await leaf('system:node:a', ['system:nodes'], 'client');
const adminPair = await leaf('admin', ['system:masters'], 'client');

function tlsOf(pair: { certificate: string; key: string }) {
  return { ca: ca.certificate, cert: pair.certificate, key: pair.key };
}

function userOf(socket: TLSSocket): User {
  const subject = socket.getPeerCertificate().subject;
  const groups = [subject?.O ?? []].flat();
  return { name: [subject?.CN ?? ''].flat()[0] ?? '', groups };
}

function fetchText(agent: ReturnType<typeof createTunnelAgent>, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ agent, host: 'kubernetes', path }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end();
  });
}

suite('tunnel over TLS', ({ test, cleanup }) => {
  async function serve(
    api: RequestListener,
    port = 0,
  ): Promise<{ nodes: NodeSessions; port: number; stop: () => void }> {
    const inner = createHttpServer(api);
    const nodes = new NodeSessions({
      log: silent,
      serveStream: (stream) => void inner.emit('connection', stream),
    });
    const server: Server = createHttpsServer({
      cert: serverPair.certificate,
      key: serverPair.key,
      ca: ca.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    });
    server.on('upgrade', (message, socket: Duplex, head) => {
      assert.is(message.url, CONNECT_PATH);
      const user = userOf(message.socket as TLSSocket);
      nodes.handleUpgrade({ request: message, socket, head, user });
    });
    server.on('tlsClientError', () => undefined);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const stop = () => {
      nodes.close();
      server.closeAllConnections();
      server.close();
    };
    cleanup(stop);
    return { nodes, port: (server.address() as AddressInfo).port, stop };
  }

  /** A dialled tunnel and its sessions as they come. */
  function dial(servers: string[], options: Partial<DialTunnelOptions> = {}) {
    const abort = new AbortController();
    const waiting: ((session: Session) => void)[] = [];
    const ready: Session[] = [];
    const tunnel: Tunnel = dialTunnel({
      servers,
      path: CONNECT_PATH,
      tls: tlsOf(nodePair),
      log: silent,
      signal: abort.signal,
      env: {},
      onSession: (session) => {
        const take = waiting.shift();
        if (take) take(session);
        else ready.push(session);
      },
      ...options,
    });
    cleanup(async () => {
      abort.abort(new Error('test over'));
      await tunnel.done;
    });
    const next = () => {
      const session = ready.shift();
      return session
        ? Promise.resolve(session)
        : new Promise<Session>((resolve) => waiting.push(resolve));
    };
    return { tunnel, next, abort };
  }

  /** A TCP relay whose links can be cut (closed) or frozen (kept open, nothing passes). */
  async function relay(target: number) {
    const links = new Set<Socket>();
    let isFrozen = false;
    const server = createTcpServer((near) => {
      const far = connect(target, '127.0.0.1');
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        links.add(from);
        from.on('data', (chunk) => void (isFrozen || to.write(chunk)));
        from.on('error', () => undefined);
        from.on('close', () => isFrozen || to.destroy());
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const cut = () => {
      for (const link of links) link.destroy();
      links.clear();
    };
    cleanup(() => {
      cut();
      server.close();
    });
    return {
      port: (server.address() as AddressInfo).port,
      cut,
      freeze: (value: boolean) => {
        isFrozen = value;
      },
    };
  }

  test('HTTP runs both ways with keep-alive', async () => {
    let connections = 0;
    const { nodes, port } = await serve((message, response) => response.end(`api ${message.url}`));
    const { tunnel, next } = dial([`https://127.0.0.1:${port}`]);
    const session = await next();
    const nodeApi = createHttpServer((message, response) => response.end(`node ${message.url}`));
    session.onStream = (_header, stream) => {
      connections += 1;
      nodeApi.emit('connection', stream);
    };
    const toApi = createTunnelAgent(() => tunnel.open({ kind: 'api' }));
    const toNode = createTunnelAgent(() => nodes.connect('a'));
    cleanup(() => {
      toApi.destroy();
      toNode.destroy();
    });
    assert.is(await fetchText(toApi, '/one'), 'api /one');
    for (let turn = 0; turn < 5; turn += 1) {
      assert.is(await fetchText(toNode, `/${turn}`), `node /${turn}`);
    }
    assert.is(connections, 1);
  });

  test('a request to a node without a session is refused as unavailable', async () => {
    const { nodes } = await serve((_message, response) => response.end());
    assert.throws(() => nodes.connect('a'), /node "a" is not connected/);
  });

  test('comes back after a cut, and after the server was away', async () => {
    const first = await serve((_message, response) => response.end('first'));
    const link = await relay(first.port);
    const { tunnel, next } = dial([`https://127.0.0.1:${link.port}`]);
    const session = await next();
    link.cut();
    assert.ok(await session.closed);
    const second = await next();
    const agent = createTunnelAgent(() => tunnel.open({ kind: 'api' }));
    cleanup(() => agent.destroy());
    assert.is(await fetchText(agent, '/'), 'first');
    first.stop();
    await second.closed;
    assert.throws(() => tunnel.open({ kind: 'api' }), /tunnel/);
    await serve((_message, response) => response.end('second'), first.port);
    await next();
    assert.is(await fetchText(agent, '/'), 'second');
  });

  test('notices a half-open connection and dials anew', async () => {
    const { port } = await serve((_message, response) => response.end('alive'));
    const link = await relay(port);
    const { tunnel, next } = dial([`https://127.0.0.1:${link.port}`], {
      pingIntervalMs: 20,
      peerDeadlineMs: 400,
    });
    const session = await next();
    link.freeze(true);
    assert.match((await session.closed)?.message ?? '', /nothing came/);
    link.freeze(false);
    link.cut();
    await next();
    const agent = createTunnelAgent(() => tunnel.open({ kind: 'api' }));
    cleanup(() => agent.destroy());
    assert.is(await fetchText(agent, '/'), 'alive');
  });

  test('tries the next server when one does not answer', async () => {
    const { port } = await serve((_message, response) => response.end());
    const { next } = dial(['https://127.0.0.1:1', `https://127.0.0.1:${port}`]);
    await next();
  });

  test('goes through an HTTP proxy', async () => {
    const { port } = await serve((_message, response) => response.end('proxied'));
    const asked: string[] = [];
    const proxy = createHttpServer();
    proxy.on('connect', (message, socket: Duplex) => {
      asked.push(`${message.url} ${message.headers['proxy-authorization']}`);
      const far = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        far.pipe(socket).pipe(far);
      });
      far.on('error', () => undefined);
      socket.on('error', () => undefined);
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    cleanup(() => void proxy.close());
    const { next } = dial(['https://server.example:6443'], {
      env: { HTTPS_PROXY: `http://u:p@127.0.0.1:${(proxy.address() as AddressInfo).port}` },
    });
    await next();
    assert.equal(asked, [`server.example:6443 Basic ${Buffer.from('u:p').toString('base64')}`]);
  });

  test('only a node’s own certificate opens a session', async () => {
    const { port } = await serve((_message, response) => response.end());
    const refusal = await new Promise<Refused>((resolve) => {
      dial([`https://127.0.0.1:${port}`], { tls: tlsOf(adminPair), onRefused: resolve });
    });
    assert.is(refusal.status, 403);
    assert.match(refusal.message, /"admin" is not a node/);
  });

  test('a server of another CA gets no session', async () => {
    const other = await createAuthority('other', now);
    const { port, nodes } = await serve((_message, response) => response.end());
    const messages: unknown[] = [];
    await new Promise<void>((resolve) => {
      dial([`https://127.0.0.1:${port}`], {
        tls: { ...tlsOf(nodePair), ca: other.certificate },
        log: {
          ...silent,
          warn: (_message, fields) => {
            messages.push(fields?.['error']);
            resolve();
          },
        },
      });
    });
    assert.match(String(messages[0]), /not signed by the CA of this cluster/);
    assert.equal(nodes.connected, []);
  });
});
