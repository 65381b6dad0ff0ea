/** HTTP/1.1 to a node's own API over a byte stream of its tunnel. */

import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { badRequest, fromStatus, unavailable } from '../api/errors.ts';
import type { NodeConnector } from './contract.ts';

/** How much of a node's error text is read. */
const ERROR_TEXT_MAX_BYTES = 64 * 1024;
/** Headers that concern one connection only, and those that the server has judged already. */
const DROPPED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'authorization',
  'content-length',
]);

export interface NodeRequest {
  readonly node: string;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body?: Buffer;
}

/** Sends a request to a node and resolves to its answer, whatever its status. Throws ServiceUnavailable. */
export function requestNode(
  nodes: NodeConnector,
  request: NodeRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const stream = nodes.connect(request.node);
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      createConnection: () => stream,
      method: request.method,
      path: request.path,
      headers: { ...forwardable(request.headers), host: request.node, connection: 'close' },
      signal,
    });
    outgoing.on('response', (response) => {
      response.on('close', () => stream.destroy());
      resolve(response);
    });
    outgoing.on('error', (error) => {
      stream.destroy();
      reject(unavailable(`error dialing node ${request.node}: ${error.message}`, error));
    });
    outgoing.end(request.body);
  });
}

/** Headers that go on to the next server. */
function forwardable(
  headers: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !DROPPED.has(name) && !name.startsWith(':')) kept[name] = value;
  }
  return kept;
}

/** The bytes of a node's answer, destroyed when the reader stops. */
export async function* bodyOf(response: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) yield chunk as Buffer;
  } finally {
    response.destroy();
  }
}

/** A node's refusal as the API error that clients read. */
export async function refusalOf(response: IncomingMessage): Promise<Error> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of bodyOf(response)) {
    parts.push(chunk);
    size += chunk.length;
    if (size > ERROR_TEXT_MAX_BYTES) break;
  }
  const text = Buffer.concat(parts).toString('utf8').trim();
  if (response.statusCode === 400) return badRequest(text);
  return fromStatus({ code: response.statusCode ?? 500, message: text || 'the node refused' });
}

/** Writes the head of a request that upgrades onto a stream to a node; what follows is passed through as it is. */
export function writeUpgrade(stream: Duplex, request: NodeRequest): void {
  const lines = [`${request.method} ${request.path} HTTP/1.1`, `Host: ${request.node}`];
  for (const [name, value] of Object.entries(request.headers)) {
    if (value === undefined || name === 'host' || name === 'authorization') continue;
    if (/[\r\n]/.test(value)) continue;
    lines.push(`${name}: ${value}`);
  }
  stream.write(`${lines.join('\r\n')}\r\n\r\n`);
}
