/** One HTTP exchange, the same over HTTP/1.1 and HTTP/2. */

import type { IncomingMessage, ServerResponse as OutgoingResponse } from 'node:http';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Readable, Writable } from 'node:stream';

export type Headers = Readonly<Record<string, string | undefined>>;

export interface Exchange {
  readonly method: string;
  /** Path with query. */
  readonly url: string;
  readonly headers: Headers;
  readonly body: Readable;
  readonly out: Writable;
  readonly remoteAddress: string | undefined;
  /** Aborts when the client goes away or the answer is complete. */
  readonly signal: AbortSignal;
  /** Sends the head at once. */
  head(status: number, headers: Readonly<Record<string, string>>): void;
}

/** The exchange of an HTTP/1.1 request. */
export function exchangeOf(request: IncomingMessage, response: OutgoingResponse): Exchange {
  const { remoteAddress, remotePort } = request.socket;
  return {
    method: request.method ?? 'GET',
    url: request.url ?? '/',
    headers: flattened(request.headers),
    body: request,
    out: response,
    remoteAddress: remoteAddress ? `${remoteAddress}:${remotePort}` : undefined,
    signal: signalOf(response),
    head(status, headers) {
      response.writeHead(status, headers);
      response.flushHeaders();
    },
  };
}

/** The exchange of an HTTP/2 stream. */
export function exchangeOfStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): Exchange {
  const { remoteAddress, remotePort } = stream.session?.socket ?? {};
  return {
    method: String(headers[constants.HTTP2_HEADER_METHOD] ?? 'GET'),
    url: String(headers[constants.HTTP2_HEADER_PATH] ?? '/'),
    headers: flattened(headers),
    body: stream,
    out: stream,
    remoteAddress: remoteAddress ? `${remoteAddress}:${remotePort}` : undefined,
    signal: signalOf(stream),
    head(status, fields) {
      if (stream.destroyed || stream.headersSent) return;
      stream.respond({ ...fields, [constants.HTTP2_HEADER_STATUS]: status });
    },
  };
}

function signalOf(out: Writable): AbortSignal {
  const controller = new AbortController();
  out.once('close', () => controller.abort(new Error('The client went away')));
  return controller.signal;
}

/** Headers with one text each. */
export function flattened(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Headers {
  const flat: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(headers)) {
    flat[name] = typeof value === 'string' || value === undefined ? value : value.join(', ');
  }
  return flat;
}
