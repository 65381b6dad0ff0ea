/** port-forward: SPDY streams in pairs (error, data) for each connection, or WebSocket channels for fixed ports. */

import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Engine } from '../../engine/engine.ts';
import { describe } from '../../log/log.ts';
import { Channels } from './channels.ts';
import { ApiError } from './request.ts';
import { SpdySession } from './spdy/session.ts';
import type { SpdyStream } from './spdy/stream.ts';

export interface ForwardTarget {
  readonly engine: Engine;
  readonly sandboxId: string;
  readonly podName: string;
}

interface Pair {
  error?: SpdyStream;
  data?: SpdyStream;
}

const MAX_PORT = 65_535;

/** Serves a client that speaks SPDY on this transport, until it goes. */
export function forwardSpdy(target: ForwardTarget, transport: Duplex): void {
  const pairs = new Map<string, Pair>();
  const session = new SpdySession(transport, (stream) => {
    const id = stream.headers.get('requestid') ?? stream.headers.get('port') ?? '';
    const pair = pairs.get(id) ?? {};
    if (stream.headers.get('streamtype') === 'error') pair.error = stream;
    else pair.data = stream;
    pairs.set(id, pair);
    if (!pair.data || !pair.error) return;
    pairs.delete(id);
    void forwardPair(target, { data: pair.data, error: pair.error });
  });
  void session.closed.then(() => pairs.clear());
}

async function forwardPair(target: ForwardTarget, { data, error }: Required<Pair>): Promise<void> {
  const port = Number(data.headers.get('port'));
  error.resume(); // The client half-closes it and sends nothing.
  try {
    await pipeBoth(await connectTo(target, port), data);
    error.end();
  } catch (cause) {
    error.end(failure(target, port, cause));
    data.destroy();
  }
}

async function connectTo({ engine, sandboxId }: ForwardTarget, port: number): Promise<Duplex> {
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT)
    throw new Error(`invalid port ${port}`);
  return engine.connect(sandboxId, port);
}

function failure({ podName }: ForwardTarget, port: number, cause: unknown): string {
  return `error forwarding port ${port} to pod ${podName}: ${describe(cause)}`;
}

/** Copies both ways, each end closed when the other's data has ended; resolves when both are done. */
function pipeBoth(a: Duplex, b: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const destroy = () => {
      a.destroy();
      b.destroy();
    };
    a.on('error', destroy);
    b.on('error', destroy);
    let open = 2;
    const onClose = () => {
      open -= 1;
      if (open === 0) resolve();
    };
    a.once('close', onClose);
    b.once('close', onClose);
    // A side that is cut off takes the other with it; one that ended in order lets the other finish.
    a.once('close', () => a.readableEnded || b.destroy());
    b.once('close', () => b.readableEnded || a.destroy());
    a.pipe(b);
    b.pipe(a);
  });
}

/** The ports of a request for the channel protocol. Throws an ApiError. */
export function portsOf(query: URLSearchParams): readonly number[] {
  const ports = [...query.getAll('ports'), ...query.getAll('port')]
    .flatMap((text) => text.split(','))
    .map(Number);
  if (ports.length === 0) throw new ApiError(400, 'query parameter "port" is required');
  const wrong = ports.find((port) => !Number.isInteger(port) || port < 1 || port > MAX_PORT);
  if (wrong !== undefined) throw new ApiError(400, `invalid port: ${wrong}`);
  return ports;
}

/** Channels 2n (data) and 2n+1 (error) for the n-th port; both begin with the port as two bytes, low one first. */
export function forwardChannels(
  target: ForwardTarget,
  { socket, ports }: { readonly socket: WebSocket; readonly ports: readonly number[] },
): void {
  const channels = new Channels(socket, socket.protocol);
  const waiting = new Map<number, Buffer[]>();
  const connections = new Map<number, Duplex>();
  channels.onMessage((channel, data) => {
    const connection = connections.get(channel);
    if (!connection) waiting.get(channel)?.push(data);
    else if (!connection.write(data)) {
      channels.pause();
      connection.once('drain', () => channels.resume());
    }
  });
  void channels.closed.then(() => {
    for (const connection of connections.values()) connection.destroy();
  });
  for (const [index, port] of ports.entries()) {
    waiting.set(2 * index, []);
    void forwardOne(target, { channels, index, port, waiting, connections });
  }
}

interface OnePort {
  readonly channels: Channels;
  readonly index: number;
  readonly port: number;
  readonly waiting: Map<number, Buffer[]>;
  readonly connections: Map<number, Duplex>;
}

async function forwardOne(target: ForwardTarget, one: OnePort): Promise<void> {
  const { channels, index, port, waiting, connections } = one;
  const channel = 2 * index;
  const greeting = Buffer.from([port & 0xff, port >> 8]);
  try {
    await channels.send(channel, greeting);
    await channels.send(channel + 1, greeting);
    const connection = await connectTo(target, port);
    connection.on('error', () => connection.destroy());
    for (const data of waiting.get(channel) ?? []) connection.write(data);
    connections.set(channel, connection);
    connection.pipe(channels.writable(channel), { end: false });
    connection.once('close', () => channels.close());
  } catch (error) {
    await channels
      .send(channel + 1, Buffer.from(failure(target, port, error)))
      .catch(() => undefined);
  }
}
