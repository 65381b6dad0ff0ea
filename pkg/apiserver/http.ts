/**
 * HTTP in front of the server: HTTP/1.1 and HTTP/2 on one TLS port, and HTTP/1.1 on streams of tunnels. Finds out who
 * asks, reads the body, calls the server and sends its answer. One AbortSignal a request ends with its client.
 */

import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse as OutgoingResponse,
} from 'node:http';
import { type Http2Session, performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import {
  type AddressInfo,
  createServer as createNetServer,
  type Server as NetServer,
} from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { StatusError, tooManyRequests } from '../api/errors.ts';
import { readBody } from './body.ts';
import { limitConnections } from './connection-limit.ts';
import type {
  Authenticator,
  Authorizer,
  ExtraHandler,
  ServerRequest,
  ServerResponse,
  UpgradeHandler,
  User,
} from './contract.ts';
import { errorResponse } from './error-response.ts';
import { type Exchange, exchangeOf, exchangeOfStream, flattened } from './exchange.ts';
import { compatRequest, compatResponse } from './h2-compat.ts';
import { isHeadSent, parseUrl, refuseBadHttp, requestOf, targetOf } from './http-request.ts';
import { identify, peerOf } from './identity.ts';
import { contextOf, type Listening, type ListenOptions, type TlsOptions } from './listening.ts';
import type { Parts } from './parts.ts';
import { send } from './send.ts';
import { serveUpgrade } from './upgrade.ts';

/** From the first byte of a request to the end of its head. */
const HEADERS_TIMEOUT_MS = 30 * 1000;
/** A connection without a request is kept this long. */
const KEEP_ALIVE_MS = 120 * 1000;
const TLS_HANDSHAKE_TIMEOUT_MS = 10 * 1000;
/** Line and headers of a request. Source: net/http's DefaultMaxHeaderBytes. */
const HEADERS_MAX_BYTES = 1024 * 1024;
/** Requests served at a time but for long ones (watches, streams). Source: kube-apiserver's two limits together. */
const IN_FLIGHT_MAX = 600;
/** How long a closing server waits for the answers to requests that it has taken. */
const DRAIN_MAX_MS = 3 * 1000;
/** Streams that one HTTP/2 connection may have open. Source: kube-apiserver. */
const H2_STREAMS_MAX = 250;

export interface HttpFrontOptions {
  readonly handle: (request: ServerRequest) => Promise<ServerResponse>;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly parts: Parts;
  readonly extraHandlers?: readonly ExtraHandler[];
  readonly upgradeHandlers?: readonly UpgradeHandler[];
  readonly closing: AbortSignal;
}

export class HttpFront {
  readonly #options: HttpFrontOptions;
  readonly #http: HttpServer;
  readonly #listeners = new Set<NetServer>();
  readonly #sockets = new Set<Duplex>();
  readonly #sessions = new Set<Http2Session>();
  /** Users of streams that came through a tunnel. */
  readonly #users = new WeakMap<object, User>();
  #inFlight = 0;
  #onIdle: () => void = () => undefined;

  constructor(options: HttpFrontOptions) {
    this.#options = options;
    this.#http = createHttpServer({
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: HEADERS_MAX_BYTES,
      shouldUpgradeCallback: ({ headers }) => /^(websocket|spdy\/)/i.test(headers.upgrade ?? ''),
    });
    this.#http.on('request', (request, response) => this.#onRequest(request, response));
    this.#http.on('upgrade', (request, socket, head) => this.#onUpgrade({ request, socket, head }));
    this.#http.on('clientError', (error, socket) => refuseBadHttp(error, socket));
    // Its sockets come from the listeners below; this starts the checks of its time limits.
    this.#http.emit('listening');
  }

  async listen({ host, port, tls }: ListenOptions): Promise<Listening> {
    const server = tls ? this.#tlsServer(tls) : undefined;
    const listener = server ?? createNetServer((socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen({ host, port }, () => {
        listener.off('error', reject);
        resolve();
      });
    });
    listener.on('error', (error) => this.#options.parts.log.warn('Lost a listener', { error }));
    limitConnections(listener, this.#options.parts);
    this.#listeners.add(listener);
    return {
      port: (listener.address() as AddressInfo).port,
      renew: (next) => server?.setSecureContext(contextOf(next)),
      // Connections stay until the server closes: who waits for them would wait for every idle client.
      close: async () => void this.#closeListener(listener),
    };
  }

  serveStream(stream: Duplex, user: User): void {
    this.#users.set(stream, user);
    this.#accept(stream);
  }

  async close(): Promise<void> {
    const closed = [...this.#listeners].map((listener) => this.#closeListener(listener));
    await this.#drained();
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#http.close();
    this.#http.closeAllConnections();
    await Promise.all(closed);
  }

  #tlsServer(tls: TlsOptions) {
    const server = createTlsServer({
      ...contextOf(tls),
      ALPNProtocols: ['h2', 'http/1.1'],
      requestCert: tls.clientCa !== undefined,
      // Clients without a certificate, or with a foreign one, may still bring a token.
      rejectUnauthorized: false,
      handshakeTimeout: TLS_HANDSHAKE_TIMEOUT_MS,
    });
    server.on('secureConnection', (socket) => {
      if (socket.alpnProtocol === 'h2') this.#acceptH2(socket);
      else this.#accept(socket);
    });
    return server;
  }

  #accept(socket: Duplex): void {
    this.#track(socket);
    this.#http.emit('connection', socket);
  }

  #acceptH2(socket: TLSSocket): void {
    this.#track(socket);
    const session = performServerHandshake(socket, {
      settings: { maxConcurrentStreams: H2_STREAMS_MAX, maxHeaderListSize: HEADERS_MAX_BYTES },
    });
    this.#sessions.add(session);
    session.on('close', () => this.#sessions.delete(session));
    session.on('error', () => session.destroy());
    session.on('stream', (stream, headers) => this.#onStream({ stream, headers, socket }));
  }

  #track(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  }

  #onRequest(request: IncomingMessage, response: OutgoingResponse): void {
    const extra = this.#extraFor(request.url ?? '/');
    if (extra) extra.handle(request, response);
    else void this.#serve(exchangeOf(request, response), request.socket);
  }

  #onStream(arrival: {
    readonly stream: ServerHttp2Stream;
    readonly headers: Parameters<typeof exchangeOfStream>[1];
    readonly socket: TLSSocket;
  }): void {
    const { stream, headers, socket } = arrival;
    stream.on('error', () => stream.destroy());
    const exchange = exchangeOfStream(stream, headers);
    const extra = this.#extraFor(exchange.url);
    if (extra) extra.handle(compatRequest(stream, headers), compatResponse(stream));
    else void this.#serve(exchange, socket);
  }

  #onUpgrade(arrival: {
    readonly request: IncomingMessage;
    readonly socket: Duplex;
    readonly head: Buffer;
  }): void {
    const { request, socket, head } = arrival;
    socket.on('error', () => socket.destroy());
    const { pathname } = parseUrl(request.url ?? '/');
    const handler = this.#options.upgradeHandlers?.find(({ path }) => path === pathname);
    if (handler) handler.handle(request, socket, head);
    else void this.#serveUpgrade(arrival, socket);
  }

  async #serveUpgrade(
    { request, head }: { readonly request: IncomingMessage; readonly head: Buffer },
    socket: Duplex,
  ): Promise<void> {
    const controller = new AbortController();
    socket.once('close', () => controller.abort(new Error('The client went away')));
    const headers = flattened(request.headers);
    await serveUpgrade(this.#options, {
      message: request,
      socket,
      head,
      signal: controller.signal,
      make: async () => ({
        method: request.method ?? 'GET',
        ...targetOf(request.url ?? '/'),
        headers,
        user: await this.#userOf(headers, request.socket),
        signal: controller.signal,
      }),
    });
  }

  async #serve(exchange: Exchange, socket: object): Promise<void> {
    const { handle, parts } = this.#options;
    const { encodings } = parts.storage;
    try {
      const response = await this.#limited(exchange, async () => {
        const hasBody = exchange.method !== 'GET' && exchange.method !== 'HEAD';
        const user = await this.#userOf(exchange.headers, socket);
        const body = hasBody ? await readBody(exchange.body) : undefined;
        return await handle(requestOf(exchange, { user, body }));
      });
      await send(exchange, { response, encodings });
    } catch (error) {
      await this.#fail(exchange, error);
    }
  }

  /** What went wrong before or after the server answered. */
  async #fail(exchange: Exchange, error: unknown): Promise<void> {
    const { parts } = this.#options;
    const path = parseUrl(exchange.url).pathname;
    if (exchange.signal.aborted || exchange.out.writableEnded || isHeadSent(exchange)) {
      const isExpected = exchange.signal.aborted || error instanceof StatusError;
      if (!isExpected) parts.log.warn('Broke off an answer', { path, error });
      exchange.out.destroy();
      return;
    }
    const { method, signal } = exchange;
    const response = errorResponse(error, { log: parts.log, request: { method, path, signal } });
    await send(exchange, { response, encodings: parts.storage.encodings }).catch(() =>
      exchange.out.destroy(),
    );
  }

  async #limited(exchange: Exchange, work: () => Promise<ServerResponse>): Promise<ServerResponse> {
    const isLong = /[?&](watch|follow)=(true|1)/.test(exchange.url);
    if (!isLong && this.#inFlight >= IN_FLIGHT_MAX) {
      throw tooManyRequests('too many requests, please try again later', 1);
    }
    this.#inFlight += 1;
    try {
      return await work();
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#onIdle();
    }
  }

  /** A tunnel's streams act as its user, unless the request brings a token of its own (a pod's). */
  async #userOf(headers: Exchange['headers'], socket: object): Promise<User> {
    const known = this.#users.get(socket);
    const certificate = peerOf(socket);
    return await identify(this.#options, {
      headers,
      ...(certificate ? { certificate } : {}),
      ...(known ? { tunnelUser: known } : {}),
    });
  }

  /** Resolves when no request is being answered, or after a while. */
  async #drained(): Promise<void> {
    if (this.#inFlight === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#options.parts.clock.after(DRAIN_MAX_MS, resolve);
      this.#onIdle = () => {
        cancel();
        resolve();
      };
    });
  }

  #extraFor(url: string): ExtraHandler | undefined {
    return this.#options.extraHandlers?.find(({ prefix }) => url.startsWith(prefix));
  }

  async #closeListener(listener: NetServer): Promise<void> {
    if (!this.#listeners.delete(listener)) return;
    await new Promise<void>((resolve) => listener.close(() => resolve()));
  }
}
