/** WebSockets to the API server, with the trust and the credentials of the kubeconfig. */

import type { IncomingMessage } from 'node:http';
import { type ClientOptions, WebSocket } from 'ws';
import { fromStatus, type Status, type StatusError, unavailable } from '../api/errors.ts';
import type { Api } from './api.ts';

/** A server that does not shake hands within this time is given up. */
const HANDSHAKE_MS = 30_000;
/** Larger messages are refused; servers send at most 32 KiB at once. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export interface SocketTarget {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly protocol: string;
}

/** Opens a WebSocket. Rejects with the StatusError that the server refuses it with. */
export function openWebSocket(
  api: Api,
  { path, query, protocol }: SocketTarget,
): Promise<WebSocket> {
  const [server = ''] = api.config.transport.servers;
  const base = server.replace(/^http/, 'ws').replace(/\/$/, '');
  const socket = new WebSocket(`${base}${path}?${query}`, [protocol], optionsOf(api));
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', (error) => {
      reject(unavailable(`Cannot reach ${server}: ${error.message}`, error));
    });
    socket.once('unexpected-response', (_request, response) => {
      void refusal(response).then(reject);
      socket.on('error', () => undefined); // Closing it before it is open is one more error.
    });
  });
}

function optionsOf({ config: { transport } }: Api): ClientOptions {
  const { tls = {}, token, basic } = transport;
  const { isInsecure = false, ...material } = tls;
  const bearer = typeof token === 'function' ? token() : token;
  const pair = basic && Buffer.from(`${basic.username}:${basic.password}`).toString('base64');
  return {
    ...material,
    rejectUnauthorized: !isInsecure,
    handshakeTimeout: HANDSHAKE_MS,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    headers: {
      'user-agent': 'mini-kubectl',
      ...(bearer ? { authorization: `Bearer ${bearer}` } : {}),
      ...(pair ? { authorization: `Basic ${pair}` } : {}),
    },
  };
}

async function refusal(response: IncomingMessage): Promise<StatusError> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    return unavailable('The connection was cut in the middle of an answer', error);
  }
  const text = Buffer.concat(chunks).toString('utf8').trim();
  const code = response.statusCode ?? 500;
  return fromStatus(statusOf(text) ?? { code, message: text || `HTTP ${code}` });
}

function statusOf(text: string): Partial<Status> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Partial<Status>) : undefined;
  } catch {
    // Not JSON: the text itself is the message.
    return undefined;
  }
}
