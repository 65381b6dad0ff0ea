/**
 * Keeps one session to one of the servers up for as long as the signal lets it: jittered reconnects, all servers tried
 * side by side, each attempt with a deadline. The session's own pings find half-open connections.
 */

import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { describe, type Logger } from '../log/log.ts';
import { Backoff } from '../wait/backoff.ts';
import { type Clock, sleep, systemClock } from '../wait/clock.ts';
import { type ClientTls, CONNECT_DEADLINE_MS, dialSocket } from './dial-socket.ts';
import type { Environment } from './proxy.ts';
import { firstToAnswer, type Winner } from './race.ts';
import type { Session, StreamHeader } from './session.ts';
import { StreamError } from './stream.ts';
import { MAX_MESSAGE_BYTES, WebSocketSession } from './web-socket-session.ts';

/** After a session that ended. */
const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 4_000;
/** A session that ended sooner counts as a failed attempt, so that a refusing server is not hammered. */
const STABLE_MS = 5_000;
/** The body of a refusal is read up to here. */
const MAX_REFUSAL_BYTES = 4_096;

export interface DialTunnelOptions {
  /** Read before each attempt, so that the list may change. */
  readonly servers: readonly string[] | (() => readonly string[]);
  /** e.g. `/v1-mini/connect` */
  readonly path: string;
  /** Read before each attempt, so that a renewed certificate is used. */
  readonly tls: ClientTls | (() => ClientTls);
  readonly headers?: Readonly<Record<string, string>>;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly env?: Environment;
  /** Called for each session at once after it stands: set onStream here. */
  readonly onSession: (session: Session) => void;
  /** Called when a server answered with an HTTP status instead of a session (401: the certificate is not accepted). */
  readonly onRefused?: (refusal: Refused) => void;
  readonly pingIntervalMs?: number;
  readonly peerDeadlineMs?: number;
}

export interface Tunnel {
  /** The session that stands now. */
  readonly session: Session | undefined;
  /** Opens a stream in it. Throws StreamError ECONNREFUSED while there is none. */
  open(header: StreamHeader): Duplex;
  /** Resolves once the signal has ended the tunnel. */
  readonly done: Promise<void>;
}

/** The server answered, but not with a session. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Starts dialling; never throws, failures are logged and retried. */
export function dialTunnel(options: DialTunnelOptions): Tunnel {
  let session: Session | undefined;
  const done = keepUp(options, (current) => {
    session = current;
  });
  return {
    get session() {
      return session;
    },
    open(header) {
      if (!session) throw new StreamError('ECONNREFUSED', 'there is no tunnel to the server now');
      return session.open(header);
    },
    done,
  };
}

async function keepUp(
  options: DialTunnelOptions,
  setSession: (session: Session | undefined) => void,
): Promise<void> {
  const { signal, clock = systemClock } = options;
  const backoff = new Backoff({ firstMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS, jitter: 0.5 });
  let good = '';
  while (!signal.aborted) {
    const winner = await findServer(options, good);
    if (!winner) continue;
    // The server that was good is tried first.
    good = winner.server;
    const livedMs = await runSession(options, winner, setSession);
    if (livedMs >= STABLE_MS) backoff.reset();
    await sleep(backoff.next(), signal, clock).catch(() => undefined);
  }
}

function findServer(
  options: DialTunnelOptions,
  good: string,
): Promise<Winner<WebSocketSession> | undefined> {
  const { log, signal, clock = systemClock } = options;
  const list = serversOf(options);
  return firstToAnswer({
    servers: [...list.filter((server) => server === good), ...list.filter((one) => one !== good)],
    connect: (server, stop) => connect({ ...options, signal: stop }, server),
    discard: (session) => session.close(new Error('another server was faster')),
    onFailure(server, error) {
      log.warn('Connecting to server failed', { server, error: describe(error) });
      if (error instanceof Refused) options.onRefused?.(error);
    },
    isCurrent: () => serversOf(options).join() === list.join(),
    clock,
    signal,
  });
}

function serversOf({ servers }: DialTunnelOptions): readonly string[] {
  const list = typeof servers === 'function' ? servers() : servers;
  return list.length > 0 ? list : [''];
}

/** Resolves to how long the session lived. */
async function runSession(
  options: DialTunnelOptions,
  { server, connection: session }: Winner<WebSocketSession>,
  setSession: (session: Session | undefined) => void,
): Promise<number> {
  const { log, signal, clock = systemClock } = options;
  const since = clock.monotonic();
  setSession(session);
  log.info('Connected to server', { server });
  options.onSession(session);
  const reason = await closedOrAborted(session, signal);
  setSession(undefined);
  if (!signal.aborted) log.warn('Lost connection to server', { server, reason: reason?.message });
  return clock.monotonic() - since;
}

async function closedOrAborted(session: Session, signal: AbortSignal): Promise<Error | undefined> {
  const onAbort = () => session.close(new Error('this end shuts down'));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await session.closed;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function connect(options: DialTunnelOptions, server: string): Promise<WebSocketSession> {
  const { signal, path, headers, env, clock } = options;
  const base = URL.parse(server);
  if (!base) throw new Error(`The server "${server}" is not a URL`);
  const tls = typeof options.tls === 'function' ? options.tls() : options.tls;
  const socket = await dialSocket({ url: base, tls, signal, ...(env ? { env } : {}) });
  const webSocket = new WebSocket(new URL(path, base).href.replace(/^http/, 'ws'), {
    // The socket stands already: proxy and TLS are dialSocket's.
    createConnection: () => socket,
    headers: { ...headers },
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    handshakeTimeout: CONNECT_DEADLINE_MS,
  });
  // Made before the handshake ends, so that no early frame is missed.
  const opened = handshake(webSocket, signal);
  const session = new WebSocketSession(webSocket, {
    isDialer: true,
    connection: socket,
    ...(clock ? { clock } : {}),
    ...(options.pingIntervalMs === undefined ? {} : { pingIntervalMs: options.pingIntervalMs }),
    ...(options.peerDeadlineMs === undefined ? {} : { peerDeadlineMs: options.peerDeadlineMs }),
  });
  try {
    await opened;
  } catch (error) {
    session.close();
    socket.destroy();
    throw error;
  }
  return session;
}

function handshake(webSocket: WebSocket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const settle = (finish: () => void) => {
      signal.removeEventListener('abort', onAbort);
      finish();
    };
    webSocket.once('open', () => settle(resolve));
    webSocket.on('error', (error) => settle(() => reject(error)));
    webSocket.once('unexpected-response', (_request, response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (body.length < MAX_REFUSAL_BYTES) body += chunk;
      });
      response.on('close', () => {
        const status = response.statusCode ?? 0;
        const why = body.trim() || response.statusMessage || 'no reason given';
        settle(() => reject(new Refused(status, `the server refused (${status}): ${why}`)));
      });
    });
  });
}
