/**
 * Connects to the API server: TCP, through an HTTP proxy where the environment names one, then TLS. The server is
 * known by the cluster's CA and the name `kubernetes`, never by the address it is reached at.
 */

import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { bareHost, type Environment, portOf, proxyFor } from './proxy.ts';

/** The name every server certificate of a cluster carries. */
const SERVER_NAME = 'kubernetes';
/** A connection, proxy and TLS included, must stand within this. */
export const CONNECT_DEADLINE_MS = 10_000;
/** No proxy's answer to CONNECT is longer. */
const MAX_PROXY_HEAD_BYTES = 16_384;

/** PEM texts. `ca` absent = the server is not verified: only for fetching the CA before anything secret is sent. */
export interface ClientTls {
  readonly ca: string | undefined;
  readonly cert?: string;
  readonly key?: string;
}

export interface DialOptions {
  readonly url: URL;
  readonly tls: ClientTls;
  readonly env?: Environment;
  readonly signal: AbortSignal;
  readonly deadlineMs?: number;
}

/** Resolves to a connected TLS socket. Rejects with an Error that says which step failed. */
export async function dialSocket(options: DialOptions): Promise<TLSSocket> {
  const { url, env = process.env, deadlineMs = CONNECT_DEADLINE_MS } = options;
  if (url.protocol !== 'https:') throw new Error(`The server ${url.origin} must be an https URL`);
  const deadline = AbortSignal.timeout(deadlineMs);
  const signal = AbortSignal.any([options.signal, deadline]);
  const proxy = proxyFor(url, env);
  const opened: Duplex[] = [];
  try {
    const raw = proxy
      ? await throughProxy({ url, proxy, signal, opened })
      : await tcp(url, signal, opened);
    return await secure(raw, options.tls, { signal, opened });
  } catch (error) {
    for (const socket of opened) socket.destroy();
    if (options.signal.aborted) throw options.signal.reason;
    const via = proxy ? ` through the proxy ${proxy.host}` : '';
    const why = deadline.aborted ? `no connection within ${deadlineMs / 1000} s` : messageOf(error);
    throw new Error(`Cannot reach ${url.host}${via}: ${why}`, { cause: error });
  }
}

async function tcp(url: URL, signal: AbortSignal, opened: Duplex[]): Promise<Socket> {
  const socket = connectTcp({ host: bareHost(url), port: portOf(url), noDelay: true });
  opened.push(socket);
  await once(socket, 'connect', { signal });
  return socket;
}

interface Attempt {
  readonly signal: AbortSignal;
  readonly opened: Duplex[];
}

async function secure(
  raw: Socket,
  tls: ClientTls,
  { signal, opened }: Attempt,
): Promise<TLSSocket> {
  const socket = connectTls({
    socket: raw,
    servername: SERVER_NAME,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: tls.ca !== undefined,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  });
  opened.push(socket);
  await once(socket, 'secureConnect', { signal });
  return socket;
}

async function throughProxy(
  options: { readonly url: URL; readonly proxy: URL } & Attempt,
): Promise<Socket> {
  const { url, proxy, signal, opened } = options;
  const socket = await tcp(proxy, signal, opened);
  const link = proxy.protocol === 'https:' ? await secureProxy(socket, proxy, options) : socket;
  const target = `${url.hostname}:${portOf(url)}`;
  const login = proxy.username
    ? `Proxy-Authorization: Basic ${Buffer.from(`${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`).toString('base64')}\r\n`
    : '';
  link.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${login}\r\n`);
  const head = await readHead(link, signal);
  const [, status = ''] = /^HTTP\/1\.[01] (\d{3})/.exec(head) ?? [];
  if (status !== '200') {
    throw new Error(`the proxy answered ${status || 'something that is not HTTP'}`);
  }
  return link;
}

async function secureProxy(
  socket: Socket,
  proxy: URL,
  { signal, opened }: Attempt,
): Promise<TLSSocket> {
  const link = connectTls({ socket, servername: bareHost(proxy) });
  opened.push(link);
  await once(link, 'secureConnect', { signal });
  return link;
}

/** Reads up to the blank line and leaves what follows in the socket. */
async function readHead(socket: Socket, signal: AbortSignal): Promise<string> {
  let head = Buffer.alloc(0);
  while (true) {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) {
      if (socket.readableEnded || socket.destroyed)
        throw new Error('the proxy closed the connection');
      await Promise.race([once(socket, 'readable', { signal }), once(socket, 'close', { signal })]);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end >= 0) {
      if (head.length > end + 4) socket.unshift(head.subarray(end + 4));
      return head.subarray(0, end).toString('latin1');
    }
    if (head.length > MAX_PROXY_HEAD_BYTES)
      throw new Error('the proxy answered with an endless header');
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  return READABLE[code] ?? (error.message || code);
}

const READABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused; does the server run there?',
  EHOSTUNREACH: 'no route to that host',
  ENETUNREACH: 'no route to that network',
  ENOTFOUND: 'the name is unknown',
  EAI_AGAIN: 'the name cannot be resolved now',
  ECONNRESET: 'the connection was reset',
  CERT_HAS_EXPIRED: 'its certificate has expired, or a clock is wrong',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet, or a clock is wrong',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by the CA of this cluster',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by the CA of this cluster',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by the CA of this cluster',
};
