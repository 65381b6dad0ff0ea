/** From an HTTP exchange to the request that the server handles. */

import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { badRequest } from '../api/errors.ts';
import type { ServerRequest, User } from './contract.ts';
import type { Exchange } from './exchange.ts';

/** The request of an exchange. */
export function requestOf(
  exchange: Exchange,
  { user, body }: { readonly user: User; readonly body: Buffer | undefined },
): ServerRequest {
  const { method, url, headers, signal, remoteAddress } = exchange;
  return {
    method,
    ...targetOf(url),
    headers,
    user,
    signal,
    ...(body ? { body } : {}),
    ...(remoteAddress ? { remoteAddress } : {}),
  };
}

/** Path and query of a request line. */
export function targetOf(url: string): { readonly path: string; readonly query: URLSearchParams } {
  const { pathname, search } = parseUrl(url);
  return { path: pathname, query: new URLSearchParams(search) };
}

/** Splits a request target; absolute forms lose their origin. */
export function parseUrl(url: string): { readonly pathname: string; readonly search: string } {
  const local = url.replace(/^https?:\/\/[^/?]*/i, '');
  const mark = local.indexOf('?');
  if (mark < 0) return { pathname: local || '/', search: '' };
  return { pathname: local.slice(0, mark) || '/', search: local.slice(mark + 1) };
}

/** Whether the head of the answer is on its way already. */
export function isHeadSent({ out }: Exchange): boolean {
  return 'headersSent' in out && out.headersSent === true;
}

/** What an error of the parser means; anything else is no HTTP. */
const BAD_HTTP: Readonly<Record<string, { readonly code: number; readonly message: string }>> = {
  HPE_HEADER_OVERFLOW: { code: 431, message: 'the headers of the request are too large' },
  ERR_HTTP_REQUEST_TIMEOUT: { code: 408, message: 'the request did not arrive in time' },
};

/** Answers bytes that are no HTTP, or come too slowly, and closes. */
export function refuseBadHttp(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const known = BAD_HTTP[error.code ?? ''];
  const { code, message } = known ?? { code: 400, message: 'the request is not valid HTTP' };
  const body = JSON.stringify({ ...badRequest(message).toStatus(), code });
  const head = [
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ''}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
