/**
 * One stream of a session as a Node Duplex: half-close, backpressure by credit, errors of the peer as errors here.
 * It has the few socket methods that Node's HTTP client and server call on what they take for a socket.
 */

import { Duplex } from 'node:stream';
import type { Clock } from '../wait/clock.ts';
import { MAX_PAYLOAD_BYTES } from './frames.ts';

/** Bytes that a peer may send on one stream ahead of what was read here. */
export const WINDOW_BYTES = 512 * 1024;
/** Credit is given back in lots of this size: few window frames, and the sender rarely runs dry. */
const CREDIT_STEP_BYTES = WINDOW_BYTES / 4;

/** What a stream needs of its session. */
export interface StreamWire {
  readonly clock: Clock;
  /** Sends a data frame; `done` is called once the transport took it. */
  sendData(chunk: Buffer, done: (error?: Error | null) => void): void;
  sendWindow(credit: number): void;
  sendEnd(): void;
  /** Sends a reset; '' for one closed in order. */
  sendReset(reason: string): void;
  /** The stream is destroyed: forget it. */
  forget(): void;
}

/** An error with a code as sockets have it, so that HTTP code treats it as a lost connection. */
export class StreamError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface Pending {
  readonly chunk: Buffer;
  readonly done: (error?: Error | null) => void;
}

export class TunnelStream extends Duplex {
  readonly #wire: StreamWire;
  readonly #incoming: Buffer[] = [];
  #unreadBytes = 0;
  #uncreditedBytes = 0;
  #credit = WINDOW_BYTES;
  #pending: Pending | undefined;
  #wantsRead = false;
  #peerEnded = false;
  #isEndDelivered = false;
  #hasSentEnd = false;
  #peerGone = false;
  #idleMs = 0;
  #lastActive = 0;
  #cancelIdle: (() => void) | undefined;
  /** As net.Socket's: the idle timeout; HTTP agents compare it. */
  timeout = 0;

  constructor(wire: StreamWire) {
    super({ allowHalfOpen: true, emitClose: true });
    this.#wire = wire;
  }

  /** Takes bytes from the peer; false when it sent more than its credit. */
  receive(payload: Buffer): boolean {
    if (this.#peerEnded) return false;
    this.#unreadBytes += payload.length;
    if (this.#unreadBytes + this.#uncreditedBytes > WINDOW_BYTES) return false;
    this.#touch();
    this.#incoming.push(payload);
    this.#deliver();
    return true;
  }

  /** The peer gave credit; false when that exceeds the window. */
  addCredit(credit: number): boolean {
    this.#credit += credit;
    if (this.#credit > WINDOW_BYTES) return false;
    this.#touch();
    this.#pump();
    return true;
  }

  /** The peer sends no more. */
  receiveEnd(): void {
    this.#peerEnded = true;
    this.#deliver();
  }

  /** The peer dropped the stream: with a reason that is an error; in order, what was received can still be read. */
  receiveReset(reason: string): void {
    this.#peerGone = true;
    if (reason !== '') {
      this.destroy(new StreamError('ECONNRESET', reason));
    } else if (!this.#peerEnded) {
      this.destroy(new StreamError('ECONNRESET', 'the peer closed the stream'));
    } else if (this.#isEndDelivered && this.readableEnded) {
      this.destroy();
    } else {
      this.#failPending(new StreamError('EPIPE', 'the peer closed the stream'));
      this.once('end', () => this.destroy());
    }
  }

  /** The session ended. */
  abort(error: Error): void {
    this.#peerGone = true;
    this.destroy(error);
  }

  override _read(): void {
    this.#wantsRead = true;
    this.#deliver();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    if (this.#peerGone) {
      done(new StreamError('EPIPE', 'the peer closed the stream'));
      return;
    }
    this.#touch();
    this.#pending = { chunk, done };
    this.#pump();
  }

  /** What HTTP writes at once (head, body, chunk lengths) is one frame. */
  override _writev(
    writes: readonly { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    this._write(Buffer.concat(writes.map(({ chunk }) => chunk)), 'binary', done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#hasSentEnd = true;
    if (!this.#peerGone) this.#wire.sendEnd();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#cancelIdle?.();
    const isOver = this.#hasSentEnd && this.#peerEnded;
    if (!this.#peerGone && !isOver) this.#wire.sendReset(error ? error.message : '');
    this.#incoming.length = 0;
    this.#wire.forget();
    this.#failPending(error ?? new StreamError('ERR_STREAM_DESTROYED', 'the stream was destroyed'));
    done(error);
  }

  /** As net.Socket's: emits 'timeout' after that long without traffic; 0 turns it off. */
  setTimeout(idleMs: number, onTimeout?: () => void): this {
    this.#cancelIdle?.();
    this.#cancelIdle = undefined;
    this.#idleMs = idleMs;
    this.timeout = idleMs;
    if (onTimeout) {
      if (idleMs === 0) this.removeListener('timeout', onTimeout);
      else this.once('timeout', onTimeout);
    }
    if (idleMs > 0 && !this.destroyed) {
      this.#touch();
      this.#armIdle(idleMs);
    }
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** As net.Socket's: ends, then destroys once everything was written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  #deliver(): void {
    while (this.#wantsRead) {
      const chunk = this.#incoming.shift();
      if (chunk === undefined) break;
      this.#unreadBytes -= chunk.length;
      this.#giveCredit(chunk.length);
      this.#wantsRead = this.push(chunk);
    }
    if (this.#peerEnded && this.#incoming.length === 0 && !this.#isEndDelivered) {
      this.#isEndDelivered = true;
      this.push(null);
    }
  }

  #giveCredit(bytes: number): void {
    this.#uncreditedBytes += bytes;
    if (this.#uncreditedBytes < CREDIT_STEP_BYTES || this.#peerEnded) return;
    const credit = this.#uncreditedBytes;
    this.#uncreditedBytes = 0;
    this.#wire.sendWindow(credit);
  }

  /** Sends what credit allows of the write at hand; the write is done when its last frame was taken. */
  #pump(): void {
    while (this.#pending && this.#credit > 0) {
      const { chunk, done } = this.#pending;
      const size = Math.min(chunk.length, this.#credit, MAX_PAYLOAD_BYTES);
      const rest = chunk.subarray(size);
      this.#credit -= size;
      this.#pending = rest.length > 0 ? { chunk: rest, done } : undefined;
      this.#wire.sendData(chunk.subarray(0, size), rest.length > 0 ? () => undefined : done);
    }
  }

  #failPending(error: Error): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.done(error);
  }

  #touch(): void {
    if (this.#idleMs > 0) this.#lastActive = this.#wire.clock.monotonic();
  }

  #armIdle(delayMs: number): void {
    this.#cancelIdle = this.#wire.clock.after(delayMs, () => {
      const idleMs = this.#wire.clock.monotonic() - this.#lastActive;
      if (idleMs < this.#idleMs) this.#armIdle(this.#idleMs - idleMs);
      else this.emit('timeout');
    });
  }
}
