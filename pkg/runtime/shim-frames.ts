/**
 * Frames on a shim's socket, both ways: kind (1 byte), size (4 bytes, big-endian), data.
 * Sync with runtime/shim.h.
 */

export type ClientFrame = 'H' | 'I' | 'R';
export interface Frame {
  /** A = answer, O = stdout, E = stderr, X = exit. */
  readonly kind: string;
  readonly data: Buffer;
}

const HEADER_BYTES = 5;
/** Sync with FRAME_SIZE_MAX in runtime/shim.h. */
const FRAME_MAX_BYTES = 1 << 20;

/** Frames carrying `data`; several when it is larger than one may be. Empty data makes one empty frame. */
export function encodeFrames(kind: ClientFrame, data: Buffer): readonly Buffer[] {
  const out: Buffer[] = [];
  let offset = 0;
  do {
    const part = data.subarray(offset, offset + FRAME_MAX_BYTES);
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(kind, 0, 'latin1');
    header.writeUInt32BE(part.length, 1);
    out.push(header, part);
    offset += part.length;
  } while (offset < data.length);
  return out;
}

/** Gathers frames from chunks of any size. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);

  /** The frames that this chunk completes. */
  push(chunk: Buffer): readonly Frame[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const frames: Frame[] = [];
    for (;;) {
      if (this.#pending.length < HEADER_BYTES) return frames;
      const end = HEADER_BYTES + this.#pending.readUInt32BE(1);
      if (this.#pending.length < end) return frames;
      const kind = String.fromCharCode(this.#pending[0] ?? 0);
      frames.push({ kind, data: this.#pending.subarray(HEADER_BYTES, end) });
      this.#pending = this.#pending.subarray(end);
    }
  }
}
