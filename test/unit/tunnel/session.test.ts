/** Both ends of a session over a real WebSocket on loopback. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import * as assert from 'uvu/assert';
import { WebSocket, WebSocketServer } from 'ws';
import { encodeFrame, FRAME } from '../../../pkg/tunnel/frames.ts';
import type { Session } from '../../../pkg/tunnel/session.ts';
import { WINDOW_BYTES } from '../../../pkg/tunnel/stream.ts';
import {
  acceptSession,
  MAX_STREAMS,
  WebSocketSession,
} from '../../../pkg/tunnel/web-socket-session.ts';
import { suite } from '../../harness/suite.ts';

/** Reads to the end without destroying the stream, as the helpers of node:stream/consumers would. */
function buffer(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => resolve(Buffer.concat(chunks)));
    stream.once('error', reject);
  });
}

async function text(stream: Duplex): Promise<string> {
  return (await buffer(stream)).toString();
}

suite('tunnel/session', ({ test, cleanup }) => {
  async function sockets(): Promise<[WebSocket, WebSocket]> {
    const server = createServer();
    const accept = new WebSocketServer({ server });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const accepted = once(accept, 'connection');
    const dialled = new WebSocket(`ws://127.0.0.1:${port}`);
    const [socket] = await accepted;
    if (dialled.readyState !== dialled.OPEN) await once(dialled, 'open');
    cleanup(() => {
      dialled.terminate();
      socket.terminate();
      accept.close();
      server.close();
    });
    return [dialled, socket];
  }

  async function pair(): Promise<{ a: Session; b: Session; next: () => Promise<Duplex> }> {
    const [dialled, accepted] = await sockets();
    const a = new WebSocketSession(dialled, { isDialer: true });
    const b = acceptSession(accepted);
    const waiting: ((stream: Duplex) => void)[] = [];
    const ready: Duplex[] = [];
    b.onStream = (_header, stream) => {
      const take = waiting.shift();
      if (take) take(stream);
      else ready.push(stream);
    };
    const next = () => {
      const stream = ready.shift();
      return stream
        ? Promise.resolve(stream)
        : new Promise<Duplex>((resolve) => waiting.push(resolve));
    };
    return { a, b, next };
  }

  test('carries bytes both ways and closes each half on its own', async () => {
    const { a, next } = await pair();
    const near = a.open({ kind: 'api' });
    near.end('question');
    const far = await next();
    assert.is(await text(far), 'question');
    far.end('answer');
    assert.is(await text(near), 'answer');
  });

  test('carries 20 MB unchanged although the reader is slow', async () => {
    const { a, next } = await pair();
    const near = a.open({ kind: 'api' });
    const sent = Buffer.alloc(20 * 1024 * 1024, 'abcdefg');
    near.end(sent);
    const far = await next();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(far.readableLength <= WINDOW_BYTES);
    assert.ok((await buffer(far)).equals(sent));
  });

  test('a reader that stops holds up only its own stream', async () => {
    const { a, next } = await pair();
    const stuck = a.open({ kind: 'api' });
    const big = Buffer.alloc(WINDOW_BYTES * 4);
    let isWritten = false;
    stuck.write(big, () => {
      isWritten = true;
    });
    const farStuck = await next();
    const other = a.open({ kind: 'api' });
    other.end('x');
    assert.is(await text(await next()), 'x');
    assert.not(isWritten);
    farStuck.resume();
    await new Promise<void>((resolve) => stuck.end(() => resolve()));
    assert.ok(isWritten);
  });

  test('an error on one end reaches the other with its message', async () => {
    const { a, next } = await pair();
    const near = a.open({ kind: 'api' });
    const far = await next();
    const closed = new Promise<Error>((resolve) => far.once('error', resolve));
    near.once('error', () => undefined);
    near.destroy(new Error('disk on fire'));
    assert.is((await closed).message, 'disk on fire');
  });

  test('what was sent before an orderly close still arrives', async () => {
    const { a, next } = await pair();
    const near = a.open({ kind: 'api' });
    near.end(Buffer.alloc(100_000, 'z'), () => near.destroy());
    const far = await next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.is((await buffer(far)).length, 100_000);
  });

  test('the end of a session ends its streams and resolves closed with the reason', async () => {
    const { a, b, next } = await pair();
    const near = a.open({ kind: 'api' });
    const nearError = new Promise<Error>((resolve) => near.once('error', resolve));
    await next();
    b.close(new Error('shutting down'));
    assert.match((await a.closed)?.message ?? '', 'shutting down');
    assert.is((await b.closed)?.message, 'shutting down');
    assert.match((await nearError).message, 'shutting down');
    assert.throws(() => a.open({ kind: 'api' }), /closed/);
  });

  test('both ends open streams', async () => {
    const { a, b } = await pair();
    const arrived = new Promise<Duplex>((resolve) => {
      a.onStream = (header, stream) => header.kind === 'node' && resolve(stream);
    });
    b.open({ kind: 'node' }).end('logs');
    assert.is(await text(await arrived), 'logs');
  });

  test('refuses more than MAX_STREAMS', async () => {
    const { a } = await pair();
    for (let count = 0; count < MAX_STREAMS; count += 1) {
      a.open({ kind: 'api' });
    }
    assert.throws(() => a.open({ kind: 'api' }), /limit/);
  });

  const malformed: [string, Buffer | string][] = [
    ['a short frame', Buffer.of(1)],
    ['an unknown type', Buffer.of(99, 0, 0, 0, 1)],
    ['a text message', 'hello'],
    ['data for a stream that never was', encodeFrame(FRAME.data, 7, Buffer.of(1))],
    ['an open with its own parity', encodeFrame(FRAME.open, 2, Buffer.from('{"kind":"api"}'))],
    ['an open without JSON', encodeFrame(FRAME.open, 1, Buffer.from('{'))],
  ];
  for (const [what, message] of malformed) {
    test(`ends the session on ${what}`, async () => {
      const [dialled, accepted] = await sockets();
      const session = acceptSession(accepted);
      dialled.send(message);
      assert.match((await session.closed)?.message ?? '', /protocol/);
    });
  }

  test('ends the session of a peer that exceeds its window', async () => {
    const [dialled, accepted] = await sockets();
    const session = acceptSession(accepted);
    session.onStream = () => undefined;
    dialled.send(encodeFrame(FRAME.open, 1, Buffer.from('{"kind":"api"}')));
    for (let sent = 0; sent <= WINDOW_BYTES; sent += 32_768) {
      dialled.send(encodeFrame(FRAME.data, 1, Buffer.alloc(32_768)));
    }
    assert.match((await session.closed)?.message ?? '', /window/);
  });

  test('gives up a peer that is silent past its deadline', async () => {
    const [dialled, accepted] = await sockets();
    dialled.on('message', () => undefined);
    const session = acceptSession(accepted, { pingIntervalMs: 10, peerDeadlineMs: 40 });
    assert.match((await session.closed)?.message ?? '', /nothing came/);
  });

  test('pings keep an idle session alive', async () => {
    const [dialled, accepted] = await sockets();
    const options = { pingIntervalMs: 10, peerDeadlineMs: 2_000 };
    const a = new WebSocketSession(dialled, { ...options, isDialer: true });
    acceptSession(accepted, options);
    const pings = new Promise<void>((resolve) => {
      let count = 0;
      dialled.on('message', () => {
        count += 1;
        if (count === 5) resolve();
      });
    });
    await pings;
    a.open({ kind: 'api' }).destroy();
  });
});
