/** HTTP/2 streams as plain node:http requests and responses, for endpoints that are written for those. */

import type { IncomingMessage, ServerResponse as OutgoingResponse } from 'node:http';
import {
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';

/** The request of a stream. */
export function compatRequest(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): IncomingMessage {
  const raw = Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
  // Node documents the two classes as interchangeable for what handlers use.
  return new Http2ServerRequest(stream, headers, {}, raw) as unknown as IncomingMessage;
}

/** The response on a stream. */
export function compatResponse(stream: ServerHttp2Stream): OutgoingResponse {
  return new Http2ServerResponse(stream) as unknown as OutgoingResponse;
}
