/**
 * `/podProxy/<namespace>/<pod>/<scheme>/<port>/<path>`: an HTTP request handed on to a port of a pod, over a
 * connection made inside the pod's own network.
 */

import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { connect as tlsConnect } from 'node:tls';
import { describe } from '../../log/log.ts';
import type { NodeContext } from '../node-context.ts';
import { sandboxId } from '../pod/labels.ts';
import type { Pods } from '../pod/pods.ts';
import { ApiError, type NodeRequest, podOf } from './request.ts';

interface ProxyOptions {
  readonly context: NodeContext;
  readonly pods: Pods;
  readonly request: NodeRequest;
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
}

/** Segments before the path that the pod's server sees. */
const PREFIX = 5;
/** Headers that are between two hops only. Source: RFC 9110, section 7.6.1. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

export async function servePodProxy({
  context,
  pods,
  request,
  message,
  response,
}: ProxyOptions): Promise<void> {
  const pod = podOf(pods, request);
  const [, , , scheme = 'http', portText = ''] = request.segments;
  const port = Number(portText);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new ApiError(400, `invalid port: ${portText}`);
  const raw = await context.engine
    .connect(sandboxId(pod.metadata.uid), port)
    .catch((error: unknown) => {
      throw new ApiError(502, `error trying to reach pod ${pod.metadata.name}: ${describe(error)}`);
    });
  raw.on('error', () => raw.destroy());
  response.on('close', () => raw.destroy());
  // The pod's own certificate is nobody's business here, as in Kubernetes' proxy.
  const connection =
    scheme === 'https' ? tlsConnect({ socket: raw, rejectUnauthorized: false }) : raw;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const forwarded = httpRequest({
    method: request.method,
    path: pathOf(message.url ?? '/'),
    headers: kept(message.headers),
    createConnection: () => connection,
  });
  forwarded.on('response', resolve);
  forwarded.on('error', (error) =>
    reject(new ApiError(502, `error reading from pod: ${error.message}`)),
  );
  // It was paused while the way into the pod was made; an HTTP client only listens.
  connection.resume();
  message.pipe(forwarded);
  const answer = await promise;
  response.writeHead(answer.statusCode ?? 502, kept(answer.headers));
  await pipeline(answer, response);
}

/** The raw path and query after the prefix, still encoded as the client sent it. */
function pathOf(url: string): string {
  const question = url.indexOf('?');
  const path = question < 0 ? url : url.slice(0, question);
  const query = question < 0 ? '' : url.slice(question);
  return `/${path
    .split('/')
    .slice(PREFIX + 1)
    .join('/')}${query}`;
}

function kept(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));
}
