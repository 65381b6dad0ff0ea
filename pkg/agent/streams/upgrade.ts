/** exec, attach and port-forward: chooses the protocol that the client asks for and hands the connection over. */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import type { Pod } from '../../api/generated/types.ts';
import { describe } from '../../log/log.ts';
import type { NodeContext } from '../node-context.ts';
import { sandboxId } from '../pod/labels.ts';
import type { Pods } from '../pod/pods.ts';
import { allContainers } from '../pod/records.ts';
import { COMMAND_PROTOCOLS, channelIo } from './channels.ts';
import { type ForwardTarget, forwardChannels, forwardSpdy, portsOf } from './port-forward.ts';
import { type CommandIo, type CommandOptions, runAttach, runExec } from './remote-command.ts';
import { ApiError, containerOf, type NodeRequest, podOf, runningOf } from './request.ts';
import { spdyIo } from './spdy-command.ts';

export interface StreamingOptions {
  readonly context: NodeContext;
  readonly pods: Pods;
  readonly request: NodeRequest;
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

const TUNNELED_FORWARD = 'SPDY/3.1+portforward.k8s.io';
const FORWARD_PROTOCOLS = [
  TUNNELED_FORWARD,
  'v4.channel.k8s.io',
  'portforward.k8s.io',
  'v4.base64.channel.k8s.io',
];
const SPDY = 'SPDY/3.1';
const SPDY_COMMAND_PROTOCOLS = [
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
];
const SPDY_FORWARD_PROTOCOLS = ['portforward.k8s.io'];
/** Larger messages are refused; clients send at most 32 KiB at once. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Answers an upgrade request; errors are answered with an HTTP status and the reason as text. */
export function serveStreaming(options: StreamingOptions): void {
  options.socket.on('error', () => options.socket.destroy());
  try {
    const verb = options.request.segments[0] ?? '';
    const serve = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
    if (!serve) throw new ApiError(404, '404 page not found');
    serve(options, podOf(options.pods, options.request));
  } catch (error) {
    const code = error instanceof ApiError ? error.code : 500;
    refuse(options.socket, code, describe(error));
  }
}

const VERBS: Readonly<Record<string, (options: StreamingOptions, pod: Pod) => void>> = {
  exec: serveCommand,
  attach: serveCommand,
  portForward: serveForward,
};

function refuse(socket: Duplex, code: number, message: string): void {
  const body = Buffer.from(`${message}\n`);
  const head = [
    `HTTP/1.1 ${code} ${code === 404 ? 'Not Found' : code < 500 ? 'Bad Request' : 'Internal Server Error'}`,
    'Content-Type: text/plain; charset=utf-8',
    'Connection: close',
    `Content-Length: ${body.length}`,
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
}

function serveCommand(options: StreamingOptions, pod: Pod): void {
  const { context, request } = options;
  const name = containerOf(pod, request);
  const { id } = runningOf(context.engine, pod, name);
  const isExec = request.segments[0] === 'exec';
  const args = request.query.getAll('command');
  if (isExec && args.length === 0)
    throw new ApiError(400, 'you must specify at least 1 command for the container');
  const spec = allContainers(pod).find((container) => container.name === name);
  const asked = commandOptions(request.query);
  // A container that was started with a terminal has no separate stderr, whatever the client asks for.
  const command = isExec ? asked : { ...asked, hasTerminal: spec?.tty === true };
  const run = (io: CommandIo) => {
    const target = { engine: context.engine, containerId: id, options: command };
    return isExec ? runExec({ ...target, args }, io) : runAttach(target, io);
  };
  if (isWebSocket(request)) {
    acceptWebSocket(options, COMMAND_PROTOCOLS, (socket) => void run(channelIo(socket, command)));
    return;
  }
  const protocol = acceptSpdy(options, SPDY_COMMAND_PROTOCOLS);
  spdyIo(options.socket, { options: command, protocol }).then(run, (error: unknown) => {
    context.log.debug('A client gave up', { pod: pod.metadata.name, error });
  });
}

function commandOptions(query: URLSearchParams): CommandOptions {
  const is = (...names: readonly string[]) =>
    names.some((name) => ['true', '1'].includes(query.get(name) ?? ''));
  const options = {
    hasStdin: is('stdin', 'input'),
    hasStdout: is('stdout', 'output'),
    hasStderr: is('stderr', 'error'),
    hasTerminal: is('tty'),
  };
  if (options.hasStdin || options.hasStdout || options.hasStderr) return options;
  throw new ApiError(400, 'you must specify at least 1 of stdin, stdout, stderr');
}

function serveForward(options: StreamingOptions, pod: Pod): void {
  const { context, request } = options;
  const target: ForwardTarget = {
    engine: context.engine,
    sandboxId: sandboxId(pod.metadata.uid),
    podName: pod.metadata.name,
  };
  if (!isWebSocket(request)) {
    acceptSpdy(options, SPDY_FORWARD_PROTOCOLS);
    forwardSpdy(target, options.socket);
    return;
  }
  const offered = (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((one) => one.trim());
  const isTunneled = offered.includes(TUNNELED_FORWARD);
  const ports = isTunneled ? [] : portsOf(request.query);
  acceptWebSocket(options, FORWARD_PROTOCOLS, (socket) => {
    if (isTunneled) forwardSpdy(target, createWebSocketStream(socket));
    else forwardChannels(target, { socket, ports });
  });
}

function isWebSocket({ headers }: NodeRequest): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

function acceptWebSocket(
  { message, socket, head }: StreamingOptions,
  protocols: readonly string[],
  onOpen: (socket: WebSocket) => void,
): void {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
  });
  server.handleUpgrade(message, socket, head, onOpen);
}

/** Answers the upgrade to SPDY; returns the version of the stream protocol. Throws an ApiError. */
function acceptSpdy(
  { request, socket, head }: StreamingOptions,
  protocols: readonly string[],
): string {
  if (request.headers.upgrade?.toLowerCase() !== SPDY.toLowerCase()) {
    throw new ApiError(400, `unable to upgrade: only WebSocket and ${SPDY} are supported`);
  }
  const header = request.headers['x-stream-protocol-version'] ?? '';
  const offered = String(header)
    .split(',')
    .map((one) => one.trim());
  const chosen = protocols.find((protocol) => offered.includes(protocol));
  if (!chosen) {
    throw new ApiError(
      403,
      `unable to upgrade: unsupported protocol versions ${header}; supported: ${protocols.join(', ')}`,
    );
  }
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    `Upgrade: ${SPDY}`,
    `X-Stream-Protocol-Version: ${chosen}`,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  if (head.length > 0) socket.unshift(head);
  return chosen;
}
