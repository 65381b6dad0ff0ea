/** Logs and watches as messages of a WebSocket, for clients that have no other way to read a stream (browsers). */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { badRequest } from '../api/errors.ts';
import type { ServerResponse } from './contract.ts';

const BASE64 = 'base64.binary.k8s.io';
/** A client may also ask for none: bytes of logs are then sent as they are. */
const PROTOCOLS = ['binary.k8s.io', BASE64];
/** Clients have nothing to say. */
const RECEIVED_MAX_BYTES = 4096;
const NORMAL_CLOSE = 1000;
const ERROR_CLOSE = 1011;

export interface Opening {
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly signal: AbortSignal;
}

/** Sends an answer's parts one by one, then closes. Throws BadRequest, before it upgrades, for answers that are no stream. */
export async function sendMessages(opening: Opening, response: ServerResponse): Promise<void> {
  if (response.kind !== 'stream' && response.kind !== 'watch')
    throw badRequest('only logs and watches are served over a WebSocket');
  const client = await accepted(opening);
  client.on('error', () => client.terminate());
  try {
    for await (const message of messagesOf(response, client.protocol)) await send(client, message);
    client.close(NORMAL_CLOSE);
  } catch {
    // The client has left, or what it read broke off.
    client.close(ERROR_CLOSE);
  }
}

function accepted({ message, socket, head, signal }: Opening): Promise<WebSocket> {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: RECEIVED_MAX_BYTES,
    handleProtocols: (offered) => PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
  });
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    server.handleUpgrade(message, socket, head, resolve);
  });
}

type Streamed = Extract<ServerResponse, { readonly kind: 'stream' | 'watch' }>;

async function* messagesOf(response: Streamed, protocol: string): AsyncGenerator<Buffer | string> {
  if (response.kind === 'watch') {
    for await (const events of response.events)
      for (const event of events) yield response.encode(event).toString('utf8');
    return;
  }
  const encode = (bytes: Buffer) => (protocol === BASE64 ? bytes.toString('base64') : bytes);
  yield encode(Buffer.alloc(0)); // Tells that the stream is there, before it has anything.
  for await (const chunk of response.body) yield encode(chunk);
}

function send(client: WebSocket, message: Buffer | string): Promise<void> {
  return new Promise((resolve, reject) => {
    client.send(message, (error) => (error ? reject(error) : resolve()));
  });
}
