/**
 * The Session over one WebSocket, the same on both ends. Any frame proves that the peer lives; a silent one is
 * pinged, and given up after PEER_DEADLINE_MS. Whatever ends the session ends all its streams with the reason.
 */

import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { type Clock, systemClock } from '../wait/clock.ts';
import {
  decodeFrame,
  decodeWindow,
  encodeFrame,
  encodeReason,
  encodeWindow,
  FRAME,
  type Frame,
  FrameError,
  type FrameType,
  MAX_FRAME_BYTES,
} from './frames.ts';
import type { Session, StreamHeader } from './session.ts';
import { StreamError, TunnelStream } from './stream.ts';

/** A WebSocket whose messages are larger than a frame is refused by `ws` itself; pass this as its maxPayload. */
export const MAX_MESSAGE_BYTES = MAX_FRAME_BYTES;
/** Streams open at once in one session, both directions together. */
export const MAX_STREAMS = 4096;
/** A session without traffic for this long is pinged. */
const PING_INTERVAL_MS = 5_000;
/** A peer from which nothing came for this long is dead: a half-open connection, or a cut. */
const PEER_DEADLINE_MS = 15_000;
/** After goaway the WebSocket's closing handshake gets this long. */
const CLOSE_DEADLINE_MS = 1_000;

export interface SessionOptions {
  /** The end that dialled numbers its streams odd, the other even. */
  readonly isDialer: boolean;
  /** The connection under the WebSocket; what one turn of the event loop sends goes out in one write. */
  readonly connection?: Duplex;
  readonly clock?: Clock;
  readonly pingIntervalMs?: number;
  readonly peerDeadlineMs?: number;
}

export class WebSocketSession implements Session {
  onStream: Session['onStream'] = (_header, stream) =>
    void stream.destroy(new Error('this end takes no streams'));
  readonly closed: Promise<Error | undefined>;

  readonly #socket: WebSocket;
  readonly #connection: Duplex | undefined;
  readonly #clock: Clock;
  readonly #pingIntervalMs: number;
  readonly #peerDeadlineMs: number;
  readonly #streams = new Map<number, TunnelStream>();
  readonly #ownParity: number;
  #nextId: number;
  #lastPeerId = 0;
  #lastHeard: number;
  #cancelPing: (() => void) | undefined;
  #cancelClose: (() => void) | undefined;
  #isClosed = false;
  #isGathering = false;
  #settle: (reason: Error | undefined) => void = () => undefined;

  constructor(socket: WebSocket, options: SessionOptions) {
    this.#socket = socket;
    this.#connection = options.connection;
    this.#clock = options.clock ?? systemClock;
    this.#pingIntervalMs = options.pingIntervalMs ?? PING_INTERVAL_MS;
    this.#peerDeadlineMs = options.peerDeadlineMs ?? PEER_DEADLINE_MS;
    this.#ownParity = options.isDialer ? 1 : 0;
    this.#nextId = options.isDialer ? 1 : 2;
    this.#lastHeard = this.#clock.monotonic();
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
    socket.on('message', (data: RawData, isBinary: boolean) => this.#receive(data, isBinary));
    socket.on('close', (code: number, reason: Buffer) => {
      this.#cancelClose?.();
      this.#finish(
        new Error(`the tunnel was closed (${code}${reason.length > 0 ? ` ${reason}` : ''})`),
      );
    });
    socket.on('error', (error: Error) => this.#finish(error));
    this.#armPing();
  }

  open(header: StreamHeader): Duplex {
    if (this.#isClosed) throw new StreamError('ECONNRESET', 'the tunnel is closed');
    if (this.#streams.size >= MAX_STREAMS) {
      throw new StreamError(
        'EMFILE',
        `the tunnel has ${MAX_STREAMS} streams open, which is the limit`,
      );
    }
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = this.#add(id);
    this.#send(FRAME.open, id, Buffer.from(JSON.stringify(header)));
    return stream;
  }

  close(reason?: Error): void {
    if (this.#isClosed) return;
    this.#send(FRAME.goaway, 0, encodeReason(reason?.message ?? ''));
    this.#finish(reason);
  }

  #add(id: number): TunnelStream {
    const stream = new TunnelStream({
      clock: this.#clock,
      sendData: (chunk, done) => {
        this.#gather();
        this.#socket.send(encodeFrame(FRAME.data, id, chunk), done);
      },
      sendWindow: (credit) => this.#transmit(encodeWindow(id, credit)),
      sendEnd: () => this.#send(FRAME.end, id),
      sendReset: (reason) => this.#send(FRAME.reset, id, encodeReason(reason)),
      forget: () => void this.#streams.delete(id),
    });
    // Without a listener an error that comes before anybody uses the stream would end the process.
    stream.on('error', () => undefined);
    this.#streams.set(id, stream);
    return stream;
  }

  #send(type: FrameType, stream: number, payload?: Buffer): void {
    this.#transmit(encodeFrame(type, stream, payload));
  }

  #transmit(frame: Buffer): void {
    // A frame that cannot be sent needs no handling here: the socket's close event ends every stream.
    if (this.#isClosed || this.#socket.readyState !== this.#socket.OPEN) return;
    this.#gather();
    this.#socket.send(frame, () => undefined);
  }

  /** Holds frames back until the end of this turn of the event loop. */
  #gather(): void {
    if (this.#isGathering || this.#connection === undefined) return;
    const connection = this.#connection;
    this.#isGathering = true;
    connection.cork();
    setImmediate(() => {
      this.#isGathering = false;
      connection.uncork();
    });
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#isClosed) return;
    this.#lastHeard = this.#clock.monotonic();
    try {
      if (!isBinary || !Buffer.isBuffer(data)) throw new FrameError('a text message');
      this.#dispatch(decodeFrame(data));
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      this.close(new Error(`the peer broke the tunnel protocol: ${cause.message}`, { cause }));
    }
  }

  #dispatch(frame: Frame): void {
    const { type, payload } = frame;
    if (type === FRAME.open) this.#onOpen(frame);
    else if (type === FRAME.ping) this.#send(FRAME.pong, 0, Buffer.from(payload));
    else if (type === FRAME.goaway) this.#finish(peerReason(payload));
    else if (type !== FRAME.pong) this.#onStreamFrame(frame);
  }

  #onOpen({ stream: id, payload }: Frame): void {
    if (id % 2 === this.#ownParity || id <= this.#lastPeerId) {
      throw new FrameError(`stream ${id} cannot be opened`);
    }
    this.#lastPeerId = id;
    const header = decodeHeader(payload);
    if (this.#streams.size >= MAX_STREAMS) {
      this.#send(FRAME.reset, id, encodeReason('too many streams'));
      return;
    }
    const stream = this.#add(id);
    this.onStream(header, stream);
  }

  #onStreamFrame({ type, stream: id, payload }: Frame): void {
    const stream = this.#streams.get(id);
    if (!stream) {
      // Frames may cross a reset on the way; a stream that never was is an error.
      const isOwn = id % 2 === this.#ownParity;
      if (id === 0 || (isOwn ? id >= this.#nextId : id > this.#lastPeerId)) {
        throw new FrameError(`frame for stream ${id}, which does not exist`);
      }
      return;
    }
    if (type === FRAME.data && !stream.receive(payload)) {
      throw new FrameError(`stream ${id} exceeds its window`);
    }
    if (type === FRAME.window && !stream.addCredit(decodeWindow(payload))) {
      throw new FrameError(`stream ${id} was given more than its window`);
    }
    if (type === FRAME.end) stream.receiveEnd();
    if (type === FRAME.reset) stream.receiveReset(payload.toString());
  }

  #armPing(): void {
    this.#cancelPing = this.#clock.after(this.#pingIntervalMs, () => {
      const silentMs = this.#clock.monotonic() - this.#lastHeard;
      if (silentMs >= this.#peerDeadlineMs) {
        this.#finish(
          new Error(`nothing came through the tunnel for ${Math.round(silentMs / 1000)} s`),
        );
        this.#socket.terminate();
        return;
      }
      if (silentMs >= this.#pingIntervalMs / 2) this.#send(FRAME.ping, 0);
      this.#armPing();
    });
  }

  #finish(reason: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelPing?.();
    const why = reason?.message ?? 'the tunnel was closed';
    for (const stream of [...this.#streams.values()])
      stream.abort(new StreamError('ECONNRESET', why));
    if (this.#socket.readyState < this.#socket.CLOSED) {
      this.#socket.close();
      this.#cancelClose = this.#clock.after(CLOSE_DEADLINE_MS, () => this.#socket.terminate());
    }
    this.#settle(reason);
  }
}

function peerReason(payload: Buffer): Error {
  return new Error(`the peer ended the tunnel: ${payload.toString() || 'no reason given'}`);
}

function decodeHeader(payload: Buffer): StreamHeader {
  const header: unknown = JSON.parse(payload.toString());
  const kind = typeof header === 'object' && header !== null && 'kind' in header && header.kind;
  if (kind === 'api' || kind === 'node') return { kind };
  throw new FrameError('an open frame with an unknown header');
}

/** The accepting end of a session; `socket` must have been made with maxPayload MAX_MESSAGE_BYTES. */
export function acceptSession(
  socket: WebSocket,
  options: Omit<SessionOptions, 'isDialer'> = {},
): Session {
  return new WebSocketSession(socket, { ...options, isDialer: false });
}
