/**
 * The server's end of a SPDY/3.1 session as Kubernetes clients use it: the client opens streams, each is answered at
 * once. Clients of this kind keep no send window, so none is enforced; the transport's back-pressure holds.
 */

import type { Duplex } from 'node:stream';
import {
  controlFrame,
  dataFrame,
  FLAG_FIN,
  type Frame,
  FrameDecoder,
  numbers,
  SpdyError,
  TYPES,
} from './frames.ts';
import { HeaderCodec } from './header-codec.ts';
import { SpdyStream } from './stream.ts';

const MAX_STREAMS = 1000;
/** RST_STREAM status codes. */
const REFUSED_STREAM = 3;
const CANCEL = 5;
const STREAM_ID = 0x7fff_ffff;

export class SpdySession {
  readonly #transport: Duplex;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #codec = new HeaderCodec();
  readonly #streams = new Map<number, SpdyStream>();
  /** Resolves when the session has ended, for whatever cause. */
  readonly closed: Promise<void>;

  /** `onStream` is called for each stream that the client opens, before any of its data is given out. */
  constructor(transport: Duplex, onStream: (stream: SpdyStream) => void) {
    this.#transport = transport;
    this.#onStream = onStream;
    transport.on('error', () => transport.destroy());
    this.closed = this.#run();
  }

  close(): void {
    this.#write(controlFrame(TYPES.goAway, numbers(0, 0)))
      .catch(() => undefined)
      .finally(() => this.#transport.end());
  }

  async #run(): Promise<void> {
    const decoder = new FrameDecoder();
    try {
      for await (const chunk of this.#transport) {
        for (const frame of decoder.push(chunk)) await this.#handle(frame);
      }
    } catch {
      // Damaged frames and a broken transport end the session alike; its streams learn of it below.
    }
    for (const stream of this.#streams.values()) stream.reset();
    this.#transport.destroy();
    this.#codec.close();
  }

  async #handle(frame: Frame): Promise<void> {
    if (frame.kind === 'data') return this.#onData(frame);
    const { type, flags, payload } = frame;
    if (type === TYPES.synStream) await this.#onSynStream(payload, flags);
    else if (type === TYPES.rstStream)
      this.#streams.get(payload.readUInt32BE(0) & STREAM_ID)?.reset();
    else if (type === TYPES.ping) await this.#write(controlFrame(TYPES.ping, payload));
    else if (type === TYPES.headers) await this.#codec.decode(payload.subarray(4)); // Keeps the zlib stream in step.
  }

  async #onData({ streamId, data, isLast }: Frame & { readonly kind: 'data' }): Promise<void> {
    const stream = this.#streams.get(streamId);
    if (!stream) return;
    await stream.receive(data, isLast);
    if (data.length > 0)
      await this.#write(controlFrame(TYPES.windowUpdate, numbers(streamId, data.length)));
  }

  async #onSynStream(payload: Buffer, flags: number): Promise<void> {
    if (payload.length < 10) throw new SpdyError('a SYN_STREAM is cut short');
    const id = payload.readUInt32BE(0) & STREAM_ID;
    const headers = await this.#codec.decode(payload.subarray(10));
    if (this.#streams.size >= MAX_STREAMS || this.#streams.has(id)) {
      await this.#write(controlFrame(TYPES.rstStream, numbers(id, REFUSED_STREAM)));
      return;
    }
    const stream = new SpdyStream(headers, {
      send: (data, isLast) => this.#write(dataFrame(id, data, isLast)),
      reset: () => {
        this.#write(controlFrame(TYPES.rstStream, numbers(id, CANCEL))).catch(() => undefined);
      },
      closed: () => void this.#streams.delete(id),
    });
    stream.on('error', () => undefined);
    this.#streams.set(id, stream);
    const block = await this.#codec.encode(new Map());
    const reply = Buffer.alloc(4);
    reply.writeUInt32BE(id);
    await this.#write(controlFrame(TYPES.synReply, Buffer.concat([reply, block])));
    this.#onStream(stream);
    if ((flags & FLAG_FIN) !== 0) await stream.receive(Buffer.alloc(0), true);
  }

  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#transport.destroyed || this.#transport.writableEnded) {
        reject(new Error('the connection has ended'));
        return;
      }
      this.#transport.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }
}
