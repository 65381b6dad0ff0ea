/**
 * `kubectl port-forward`: local ports that lead into a pod. Each connection is a WebSocket of its own in the
 * v4.channel.k8s.io protocol: channel 0 carries data, channel 1 errors, and both begin with the port in two bytes.
 */

import { createServer, type Server, type Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Pod } from '../../api/generated/types.ts';
import type { Api } from '../api.ts';
import { KubectlError } from '../kubectl-error.ts';
import { podOf } from '../pods.ts';
import { forwardedPorts, type PortPair } from '../ports.ts';
import type { Io, Verb } from '../verb.ts';
import { openWebSocket } from '../web-socket.ts';

const PROTOCOL = 'v4.channel.k8s.io';
const DATA = 0;
const ERROR = 1;
const GREETING_BYTES = 2;
const NORMAL_CLOSE = 1000;
/** A client waits while more than this has not left for the server. */
const BUFFER_MAX_BYTES = 1024 * 1024;

export const portForward: Verb = {
  name: 'port-forward',
  summary: 'Forward one or more local ports to a pod.',
  usage:
    'port-forward TYPE/NAME [options] [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]',
  examples: [
    'mini kubectl port-forward pod/web-1 8888:80',
    'mini kubectl port-forward service/web :80 --address 0.0.0.0',
  ],
  flags: [
    {
      name: 'address',
      type: 'list',
      help: 'Addresses to listen on, comma separated; localhost (127.0.0.1 and ::1) when absent.',
    },
  ],
  async run({ args, io, api: open }) {
    const [name, ...ports] = args.names;
    if (name === undefined || ports.length === 0)
      throw new KubectlError('TYPE/NAME and list of ports are required for port-forward');
    const api = open();
    const pod = await podOf(api, name);
    if (pod.status?.phase !== 'Running')
      throw new KubectlError(
        `unable to forward port because pod is not running. Current status=${pod.status?.phase ?? 'Unknown'}`,
      );
    const pairs = await forwardedPorts(api, { name, pod, ports });
    const given = args.list('address');
    const addresses = given.length > 0 ? given : ['localhost'];
    const servers: Server[] = [];
    for (const pair of pairs)
      for (const address of addresses)
        servers.push(...(await listen({ api, io, pod, pair }, address)));
    await Promise.all(servers.map((server) => new Promise((done) => server.once('close', done))));
    return 0;
  },
};

interface Forward {
  readonly api: Api;
  readonly io: Io;
  readonly pod: Pod;
  readonly pair: PortPair;
}

/** Listens on an address; on localhost as far as the host has it in both families. */
async function listen(forward: Forward, address: string): Promise<readonly Server[]> {
  if (address !== 'localhost') return [await listenOn(forward, address)];
  const first = await listenOn(forward, '127.0.0.1');
  const bound = first.address();
  const local = typeof bound === 'object' && bound ? bound.port : forward.pair.local;
  try {
    return [first, await listenOn({ ...forward, pair: { ...forward.pair, local } }, '::1')];
  } catch (error) {
    if (error instanceof KubectlError) return [first]; // Without IPv6 one family is enough.
    throw error;
  }
}

function listenOn(forward: Forward, host: string): Promise<Server> {
  const { io, pair } = forward;
  // A client that has sent all may still read what the pod answers.
  const server = createServer({ allowHalfOpen: true }, (socket) => void serve(forward, socket));
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new KubectlError(`unable to listen on port ${pair.local}: ${cause.message}`, { cause }),
      ),
    );
    server.listen(pair.local, host, () => {
      const bound = server.address();
      const port = typeof bound === 'object' && bound ? bound.port : pair.local;
      const shown = host.includes(':') ? `[${host}]` : host;
      io.stdout.write(`Forwarding from ${shown}:${port} -> ${pair.remote}\n`);
      resolve(server);
    });
  });
}

async function serve({ api, io, pod, pair }: Forward, client: Socket): Promise<void> {
  client.on('error', () => client.destroy());
  client.pause();
  io.stdout.write(`Handling connection for ${client.localPort}\n`);
  const { namespace = api.namespace, name } = pod.metadata;
  const fail = (why: string) => {
    io.stderr.write(
      `error: an error occurred forwarding ${client.localPort} -> ${pair.remote}: ${why}\n`,
    );
    client.destroy();
  };
  try {
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/portforward`;
    const query = new URLSearchParams({ ports: String(pair.remote) });
    join(await openWebSocket(api, { path, query, protocol: PROTOCOL }), client, fail);
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
}

/** Copies both ways until either side ends. */
function join(socket: WebSocket, client: Socket, fail: (why: string) => void): void {
  const skip = [GREETING_BYTES, GREETING_BYTES];
  socket.on('message', (message: Buffer) => {
    const channel = message[0] ?? DATA;
    const body = message.subarray(1);
    const skipped = Math.min(skip[channel] ?? 0, body.length);
    skip[channel] = (skip[channel] ?? 0) - skipped;
    const data = body.subarray(skipped);
    if (data.length === 0) return;
    if (channel === ERROR) fail(data.toString('utf8'));
    else if (channel === DATA && !client.write(data)) {
      socket.pause();
      client.once('drain', () => socket.resume());
    }
  });
  socket.once('close', () => client.end());
  socket.on('error', (error) => fail(error.message));
  client.on('data', (chunk: Buffer) => {
    socket.send(Buffer.concat([Buffer.from([DATA]), chunk]), () => client.resume());
    if (socket.bufferedAmount > BUFFER_MAX_BYTES) client.pause();
  });
  client.once('close', () => socket.close(NORMAL_CLOSE));
  client.resume();
}
