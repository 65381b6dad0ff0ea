/** One stream of a SPDY session: a Duplex whose end is the FIN flag and whose destruction is RST_STREAM. */

import { Duplex } from 'node:stream';
import type { Headers } from './header-codec.ts';

export interface StreamLink {
  send(data: Buffer, isLast: boolean): Promise<void>;
  /** This end is done with it before its time. */
  reset(): void;
  /** The stream has ended both ways. */
  closed(): void;
}

export class SpdyStream extends Duplex {
  readonly headers: Headers;
  readonly #link: StreamLink;
  #wanted: (() => void) | undefined;
  #isReset = false;

  constructor(headers: Headers, link: StreamLink) {
    super({ allowHalfOpen: true });
    this.headers = headers;
    this.#link = link;
  }

  /** What the peer sent; resolves when more may be given. */
  async receive(data: Buffer, isLast: boolean): Promise<void> {
    if (this.destroyed || this.readableEnded) return;
    const hasRoom = data.length === 0 || this.push(data);
    if (isLast) this.push(null);
    else if (!hasRoom) {
      await new Promise<void>((resolve) => {
        this.#wanted = resolve;
      });
    }
  }

  /** The peer reset the stream. */
  reset(): void {
    this.#isReset = true;
    this.destroy();
  }

  override _read(): void {
    this.#wanted?.();
    this.#wanted = undefined;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#link.send(chunk, false).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#link.send(Buffer.alloc(0), true).then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#wanted?.();
    const isComplete = this.readableEnded && this.writableFinished;
    if (!isComplete && !this.#isReset) this.#link.reset();
    this.#link.closed();
    done(error);
  }
}
