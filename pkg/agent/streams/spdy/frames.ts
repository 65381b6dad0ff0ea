/** SPDY/3.1 frames: bytes to frames and back. Source: SPDY Protocol draft 3.1, section 2.2. */

export const FLAG_FIN = 0x01;
const VERSION = 3;
const HEADER_BYTES = 8;
/** Larger frames are refused; clients send far smaller ones. */
const MAX_FRAME_BYTES = 4 * 1024 * 1024;

export const TYPES = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

export type Frame =
  | {
      readonly kind: 'data';
      readonly streamId: number;
      readonly isLast: boolean;
      readonly data: Buffer;
    }
  /** `type` is one of TYPES, or one that the receiver does not know and passes over. */
  | {
      readonly kind: 'control';
      readonly type: number;
      readonly flags: number;
      readonly payload: Buffer;
    };

/** The bytes are no SPDY/3 frames; the session cannot go on. */
export class SpdyError extends Error {}

/** Collects bytes and gives out whole frames. */
export class FrameDecoder {
  #buffer: Buffer = Buffer.alloc(0);

  /** The frames that are complete with this chunk. Throws SpdyError. */
  push(chunk: Buffer): Frame[] {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    const frames: Frame[] = [];
    while (this.#buffer.length >= HEADER_BYTES) {
      const length = this.#buffer.readUIntBE(5, 3);
      if (length > MAX_FRAME_BYTES) throw new SpdyError(`a frame of ${length} bytes is too large`);
      if (this.#buffer.length < HEADER_BYTES + length) break;
      frames.push(decode(this.#buffer.subarray(0, HEADER_BYTES + length)));
      this.#buffer = this.#buffer.subarray(HEADER_BYTES + length);
    }
    return frames;
  }
}

function decode(bytes: Buffer): Frame {
  const first = bytes.readUInt32BE(0);
  const flags = bytes.readUInt8(4);
  const payload = bytes.subarray(HEADER_BYTES);
  if (first >>> 31 === 0) {
    return { kind: 'data', streamId: first, isLast: (flags & FLAG_FIN) !== 0, data: payload };
  }
  const version = (first >>> 16) & 0x7fff;
  if (version !== VERSION) throw new SpdyError(`version ${version} of SPDY is not supported`);
  return { kind: 'control', type: first & 0xffff, flags, payload };
}

export function dataFrame(streamId: number, data: Buffer, isLast: boolean): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(streamId, 0);
  header.writeUInt8(isLast ? FLAG_FIN : 0, 4);
  header.writeUIntBE(data.length, 5, 3);
  return data.length === 0 ? header : Buffer.concat([header, data]);
}

export function controlFrame(type: number, payload: Buffer, flags = 0): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(0x8000 | VERSION, 0);
  header.writeUInt16BE(type, 2);
  header.writeUInt8(flags, 4);
  header.writeUIntBE(payload.length, 5, 3);
  return Buffer.concat([header, payload]);
}

/** Payload of RST_STREAM, WINDOW_UPDATE and GOAWAY: two 32-bit numbers. */
export function numbers(first: number, second: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(first, 0);
  payload.writeUInt32BE(second, 4);
  return payload;
}
