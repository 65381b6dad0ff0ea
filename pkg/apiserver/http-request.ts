/** From an HTTP exchange to the request that the server handles. */

import type { Duplex } from 'node:stream';
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

/** Answers bytes that are no HTTP, and closes. */
export function refuseBadHttp(socket: Duplex): void {
  if (!socket.writable) socket.destroy();
  else socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}
