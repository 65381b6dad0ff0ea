/**
 * The node's own API, HTTP/1.1 on streams that the tunnel brings: logs, exec, attach, port-forward and a few reads.
 * Whoever opens such a stream is the API server, which has checked who may do what.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe } from '../log/log.ts';
import { serveLogs } from './logs/serve-logs.ts';
import type { NodeContext } from './node-context.ts';
import { readers } from './node-readers.ts';
import type { Pods } from './pod/pods.ts';
import { Stats } from './stats/stats.ts';
import { servePodProxy } from './streams/pod-proxy.ts';
import { ApiError, type NodeRequest } from './streams/request.ts';
import { serveRun } from './streams/run-command.ts';
import { serveStreaming } from './streams/upgrade.ts';

interface NodeApiOptions {
  readonly nodeName: string;
  readonly context: NodeContext;
  readonly pods: Pods;
}

export interface NodeApi {
  serve(stream: Duplex): void;
  close(): void;
}

type Handler = (
  request: NodeRequest,
  response: ServerResponse,
  message: IncomingMessage,
) => Promise<void> | void;

export function createNodeApi(given: NodeApiOptions): NodeApi {
  const options = { ...given, stats: new Stats(given) };
  const open = new Set<Duplex>();
  const server = createServer((message, response) => void answer(options, message, response));
  server.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    serveStreaming({ ...options, request: toRequest(message), message, socket, head });
  });
  server.requestTimeout = 0; // Streams may last as long as they like.
  return {
    serve(stream) {
      open.add(stream);
      stream.once('close', () => open.delete(stream));
      stream.on('error', () => stream.destroy());
      // A byte stream is all that the HTTP server uses of a socket.
      server.emit('connection', stream as Socket);
    },
    close() {
      for (const stream of open) stream.destroy();
      server.close();
    },
  };
}

function toRequest(message: IncomingMessage): NodeRequest {
  const url = new URL(message.url ?? '/', 'http://node');
  const segments = url.pathname.split('/').slice(1).map(decodeURIComponent);
  return {
    method: message.method ?? 'GET',
    segments,
    query: url.searchParams,
    headers: message.headers,
  };
}

async function answer(
  options: NodeApiOptions & { readonly stats: Stats },
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const request = toRequest(message);
    const name = request.segments[0] ?? '';
    const reader = Object.hasOwn(readers, name) ? readers[name] : undefined;
    const handler = Object.hasOwn(ROUTES, name) ? ROUTES[name] : undefined;
    const path = reader || handler ? name : 'other';
    options.context.metrics.requests.add({ method: request.method, path });
    if (reader) return await reader(options.stats, request, response);
    if (!handler) throw new ApiError(404, `404 page not found: ${message.url}`);
    await handler(options)(request, response, message);
  } catch (error) {
    fail(response, error);
  }
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const code = error instanceof ApiError ? error.code : 500;
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${describe(error)}\n`);
}

const ROUTES: Readonly<Record<string, (options: NodeApiOptions) => Handler>> = {
  containerLogs: (options) => (request, response) => serveLogs({ ...options, request, response }),
  podProxy: (options) => (request, response, message) =>
    servePodProxy({ ...options, request, response, message }),
  run: (options) => (request, response) => serveRun({ ...options, request, response }),
  exec: () => needsUpgrade,
  attach: () => needsUpgrade,
  portForward: () => needsUpgrade,
};

function needsUpgrade(): void {
  throw new ApiError(400, 'Upgrade request required');
}
