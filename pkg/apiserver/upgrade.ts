/**
 * Requests that become byte streams (exec, attach, portforward, proxied WebSockets): checked like any other, then
 * passed through to the node byte for byte in both directions; the node speaks WebSocket and SPDY. Logs and watches
 * over a WebSocket are this server's own.
 */

import type { IncomingMessage } from 'node:http';
import { type Duplex, pipeline, Writable } from 'node:stream';
import { admission } from './admit.ts';
import type { Authorizer, ServerRequest, ServerResponse } from './contract.ts';
import { authorize, callOf } from './dispatch.ts';
import { errorResponse } from './error-response.ts';
import { writeUpgrade } from './node-http.ts';
import type { Call, Parts } from './parts.ts';
import { asPod, type NodePath, podPath } from './pod-node.ts';
import { proxyPath, withQueryOf } from './proxies.ts';
import { routeOf } from './route.ts';
import { unknownPath } from './unknown-path.ts';
import { read } from './verbs.ts';
import { sendMessages } from './web-socket.ts';

const POD_STREAMS: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward']);

export interface Upgrade {
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  /** Bytes that came with the request's head. */
  readonly head: Buffer;
  readonly signal: AbortSignal;
  /** Finds out who asks, and makes the request. */
  readonly make: () => Promise<ServerRequest>;
}

export interface UpgradeGate {
  readonly parts: Parts;
  readonly authorizer: Authorizer;
  readonly handle: (request: ServerRequest) => Promise<ServerResponse>;
}

/** Serves an upgrade; what goes wrong before it is answered as a Status. */
export async function serveUpgrade(gate: UpgradeGate, upgrade: Upgrade): Promise<void> {
  const { socket, head, signal } = upgrade;
  try {
    const request = await upgrade.make();
    if (isReading(request)) {
      await sendMessages(upgrade, await gate.handle(request));
      return;
    }
    const { node, path } = await placeOf(gate, request);
    const stream = gate.parts.nodes.connect(node);
    const { method, headers } = request;
    writeUpgrade(stream, { node, method, path, headers });
    if (head.length > 0) stream.write(head);
    join(socket, stream);
  } catch (error) {
    const path = 'an upgrade';
    refuse(
      socket,
      errorResponse(error, { log: gate.parts.log, request: { method: 'GET', path, signal } }),
    );
  }
}

/** Whether this is a log or a watch over a WebSocket. */
function isReading(request: ServerRequest): boolean {
  const { resource, subresource, verb } = routeOf(request);
  const isLog = resource === 'pods' && subresource === 'log';
  return request.headers['upgrade']?.toLowerCase() === 'websocket' && (isLog || verb === 'watch');
}

/** Where the stream goes, if its user may have it. */
async function placeOf(
  { parts, authorizer }: UpgradeGate,
  request: ServerRequest,
): Promise<NodePath> {
  const route = routeOf(request);
  const isPodStream = route.resource === 'pods' && POD_STREAMS.has(route.subresource);
  // A GET that opens a stream into a pod needs the same permission as a POST.
  const checked = isPodStream ? { ...route, verb: 'create' } : route;
  authorize(authorizer, checked);
  if (!isPodStream && route.subresource !== 'proxy') throw unknownPath();
  const call = callOf({ ...request, headers: { ...request.headers, accept: undefined } }, checked);
  const place = isPodStream ? podStream(parts, call) : proxied(parts, call);
  await admission(parts, call, false)('CONNECT', { object: undefined, old: undefined });
  return place;
}

function podStream(parts: Parts, call: Call): NodePath {
  return podPath(asPod(read(parts, call)), call.route.subresource, call.request.query);
}

function proxied(parts: Parts, call: Call): NodePath {
  const { node, path } = proxyPath(parts, call);
  return { node, path: withQueryOf(call.request, path) };
}

const MAX_LISTENERS = 20;

/** Copies both ways until both are done; the end of one side ends the other's reading side only. */
function join(socket: Duplex, stream: Duplex): void {
  const fail = (error: unknown) => {
    if (!error) return;
    socket.destroy();
    stream.destroy();
  };
  // Two pipelines listen on each, beside what HTTP and TLS do.
  socket.setMaxListeners(MAX_LISTENERS);
  pipeline(socket, stream, fail);
  pipeline(stream, oneByOne(socket), fail);
}

/**
 * Writes each chunk on its own. Node would join those that wait into one TLS record, and python3-kubernetes, which
 * polls the socket, never sees a frame that its TLS library has already read along with the one before.
 */
function oneByOne(socket: Duplex): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      if (error) socket.destroy(error);
      done(error);
    },
  });
}

function refuse(
  socket: Duplex,
  { status, body }: { readonly status: number; readonly body: object },
): void {
  const text = JSON.stringify(body);
  socket.end(
    [
      `HTTP/1.1 ${status} Refused`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(text)}`,
      'Connection: close',
      '',
      text,
    ].join('\r\n'),
  );
}
