/**
 * A transport over HTTP/1.1, to one of several servers: the one that answered last is asked first, the next one when
 * it cannot be reached. Connections are kept alive and shared. With an `agent` the bytes go where that leads them,
 * e.g. through the tunnel.
 */

import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { fromStatus, StatusError, unavailable } from '../api/errors.ts';
import type { WatchEvent } from '../api/meta.ts';
import { type Clock, systemClock } from '../wait/clock.ts';
import { checked, statusOf } from './direct-transport.ts';
import { jsonLines } from './json-lines.ts';
import type { ApiRequest, Transport } from './transport.ts';

export interface Tls {
  /** PEM of the CA that signed the server's certificate; absent = the system's. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Name that the certificate must have, when it is not the one in the URL. */
  readonly servername?: string;
  /** kubeconfig's insecure-skip-tls-verify. */
  readonly isInsecure?: boolean;
}

export interface HttpTransportOptions {
  /** Base URLs, `https://10.0.0.1:6443`; at least one. */
  readonly servers: readonly string[];
  readonly tls?: Tls;
  /** Bearer token; a function is asked for each request, for tokens that are renewed. */
  readonly token?: string | (() => string | undefined);
  /** Basic authentication. */
  readonly basic?: { readonly username: string; readonly password: string };
  /** Where connections come from; absent = the network. */
  readonly agent?: Agent;
  readonly userAgent?: string;
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

export interface HttpTransport extends Transport {
  /** The bytes of an answer as they come: logs, plain texts. Rejects with a StatusError when it is refused. */
  stream(request: ApiRequest, signal?: AbortSignal): Promise<AsyncIterable<Buffer>>;
  /** Closes idle connections. */
  close(): void;
}

/** A request without an answer for this long is given up; the server's own limit is the same. */
const TIMEOUT_MS = 60_000;
const CONNECTIONS_MAX = 64;
/** A dead peer is noticed after about this long (TCP keep-alive) even by a watch that is silent. */
const KEEP_ALIVE_MS = 15_000;
/** No answer of the API is larger. */
const BODY_MAX_BYTES = 512 * 1024 * 1024;

/** Makes a transport. Nothing is connected before the first request. */
export function httpTransport(options: HttpTransportOptions): HttpTransport {
  if (options.servers.length === 0) throw new Error('No server given');
  const connection = new Connection(options);
  return {
    request: (request, signal) => connection.request(request, signal),
    watch: (request, signal) => connection.watch(request, signal),
    stream: (request, signal) => connection.stream(request, signal),
    close: () => connection.close(),
  };
}

class Connection {
  readonly #options: HttpTransportOptions;
  readonly #bases: readonly URL[];
  readonly #agent: Agent;
  readonly #clock: Clock;
  /** Index of the server that answered last. */
  #current = 0;

  constructor(options: HttpTransportOptions) {
    this.#options = options;
    this.#bases = options.servers.map((server) => new URL(server));
    this.#clock = options.clock ?? systemClock;
    const keep = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxSockets: CONNECTIONS_MAX };
    const isPlain = this.#bases[0]?.protocol === 'http:';
    this.#agent =
      options.agent ??
      (isPlain ? new Agent(keep) : new HttpsAgent({ ...keep, ...tlsOf(options.tls) }));
  }

  close(): void {
    this.#agent.destroy();
  }

  async request(request: ApiRequest, signal?: AbortSignal): Promise<unknown> {
    const timeout = new AbortController();
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    const cancel = this.#clock.after(timeoutMs, () => {
      timeout.abort(
        new StatusError('Timeout', `No answer to ${request.path} within ${timeoutMs} ms`),
      );
    });
    try {
      const both = signal ? AbortSignal.any([signal, timeout.signal]) : timeout.signal;
      const response = await this.#send(request, both);
      return decodeAnswer(response, await bodyOf(response, both));
    } finally {
      cancel();
    }
  }

  async *watch(request: ApiRequest, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    const response = await this.#send(request, signal);
    try {
      if ((response.statusCode ?? 500) >= 400) {
        decodeAnswer(response, await bodyOf(response, signal));
      }
      for await (const value of jsonLines(response)) yield checked(decodeEvent(value));
    } catch (error) {
      if (error instanceof StatusError || signal.aborted) throw error;
      throw unavailable(`The watch of ${request.path} was cut`, error);
    } finally {
      response.destroy();
    }
  }

  async stream(request: ApiRequest, signal = new AbortController().signal) {
    const response = await this.#send(request, signal);
    if ((response.statusCode ?? 500) >= 400) decodeAnswer(response, await bodyOf(response, signal));
    return response;
  }

  /** Sends to the current server, then to the others; only a connection that was never made is tried elsewhere. */
  async #send(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    let last: unknown;
    for (let attempt = 0; attempt < this.#bases.length; attempt += 1) {
      const index = (this.#current + attempt) % this.#bases.length;
      const base = this.#bases[index];
      if (!base) continue;
      try {
        const response = await this.#exchange(base, request, signal);
        this.#current = index;
        return response;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        last = error;
        if (request.method !== 'GET' && !isUnsent(error)) break;
      }
    }
    const why = last instanceof Error ? last.message : String(last);
    throw unavailable(`Cannot reach ${this.#options.servers.join(' or ')}: ${why}`, last);
  }

  #exchange(base: URL, request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const payload = request.body === undefined ? undefined : JSON.stringify(request.body);
    const query = new URLSearchParams(request.query).toString();
    const prefix = base.pathname.replace(/\/$/, '');
    const options: RequestOptions = {
      method: request.method,
      protocol: base.protocol,
      hostname: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port,
      path: `${prefix}${request.path}${query ? `?${query}` : ''}`,
      headers: this.#headers(request, payload),
      agent: this.#agent,
      signal,
    };
    return new Promise((resolve, reject) => {
      const send = base.protocol === 'http:' ? httpRequest : httpsRequest;
      const outgoing: ClientRequest = send(options, resolve);
      outgoing.on('error', reject);
      outgoing.on('socket', (socket) => socket.setKeepAlive?.(true, KEEP_ALIVE_MS));
      outgoing.end(payload);
    });
  }

  #headers(
    { contentType = 'application/json', accept = 'application/json' }: ApiRequest,
    payload: string | undefined,
  ) {
    const { token, basic, userAgent = 'mini' } = this.#options;
    const bearer = typeof token === 'function' ? token() : token;
    const pair = basic && Buffer.from(`${basic.username}:${basic.password}`).toString('base64');
    return {
      accept,
      'user-agent': userAgent,
      ...(bearer ? { authorization: `Bearer ${bearer}` } : {}),
      ...(pair ? { authorization: `Basic ${pair}` } : {}),
      ...(payload === undefined
        ? {}
        : { 'content-type': contentType, 'content-length': String(Buffer.byteLength(payload)) }),
    };
  }
}

function tlsOf({ isInsecure = false, ...tls }: Tls = {}) {
  return { ...tls, rejectUnauthorized: !isInsecure };
}

/** Whether a request cannot have reached the server, so that sending it again is safe. */
function isUnsent(error: unknown): boolean {
  const { code } = error as { code?: string };
  return ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'].includes(
    code ?? '',
  );
}

async function bodyOf(response: IncomingMessage, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > BODY_MAX_BYTES) throw new Error(`The answer is over ${BODY_MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw unavailable('The connection was cut in the middle of an answer', error);
  }
  return Buffer.concat(chunks);
}

function decodeAnswer({ statusCode: code = 500 }: IncomingMessage, body: Buffer): unknown {
  const value = parse(body);
  if (code < 400) {
    if (value === undefined) throw new StatusError('InternalError', 'The server answered no JSON');
    return value;
  }
  const status = statusOf(value);
  if (status.kind === 'Status') throw fromStatus(status);
  throw fromStatus({ code, message: body.toString('utf8', 0, 1024).trim() || `HTTP ${code}` });
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // Not JSON: the caller decides by the HTTP code what that means.
    return undefined;
  }
}

function decodeEvent(value: unknown): WatchEvent {
  const event = value as Partial<WatchEvent>;
  if (!event?.type || !event.object) {
    throw new StatusError('InternalError', 'The server sent a line that is no watch event');
  }
  return { type: event.type, object: event.object };
}
