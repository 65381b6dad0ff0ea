/**
 * The tunnel's protocol: each binary WebSocket message is one frame of a type byte, a stream number and a payload.
 * Streams opened by the end that dialled are odd, the others even; stream 0 is the session itself.
 */

export const FRAME = {
  /** Opens a stream; payload is its StreamHeader as JSON. The receiver has never seen the number before. */
  open: 1,
  /** Bytes of a stream; never more than the credit that the receiver has given. */
  data: 2,
  /** Credit: the receiver consumed this many bytes (u32) more, so that many more may be sent. */
  window: 3,
  /** The sender sends no more on this stream; the other direction goes on. */
  end: 4,
  /** The stream is gone in both directions; payload is why, empty when it was closed in order. */
  reset: 5,
  /** Asks for a pong with the same payload. */
  ping: 6,
  pong: 7,
  /** The sender ends the session; payload is why. */
  goaway: 8,
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];

export interface Frame {
  readonly type: FrameType;
  readonly stream: number;
  readonly payload: Buffer;
}

const HEADER_BYTES = 5;
/** A bigger write is cut; keeps one busy stream from holding up the others for long. */
export const MAX_PAYLOAD_BYTES = 32 * 1024;
export const MAX_FRAME_BYTES = HEADER_BYTES + MAX_PAYLOAD_BYTES;
/** Longer reasons are cut. */
const MAX_REASON_BYTES = 1024;
const TYPES: ReadonlySet<number> = new Set(Object.values(FRAME));

/** A message that is no frame; the session ends. */
export class FrameError extends Error {}

export function encodeFrame(type: FrameType, stream: number, payload?: Buffer): Buffer {
  const size = payload?.length ?? 0;
  if (size > MAX_PAYLOAD_BYTES) throw new FrameError(`payload of ${size} bytes is too large`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + size);
  frame[0] = type;
  frame.writeUInt32BE(stream, 1);
  if (payload) frame.set(payload, HEADER_BYTES);
  return frame;
}

/** Reads one frame. Throws FrameError on anything that encodeFrame does not make. */
export function decodeFrame(bytes: Buffer): Frame {
  if (bytes.length < HEADER_BYTES || bytes.length > MAX_FRAME_BYTES) {
    throw new FrameError(`frame of ${bytes.length} bytes`);
  }
  const type = bytes[0] ?? 0;
  if (!isFrameType(type)) throw new FrameError(`unknown frame type ${type}`);
  return { type, stream: bytes.readUInt32BE(1), payload: bytes.subarray(HEADER_BYTES) };
}

export function encodeWindow(stream: number, credit: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(credit, 0);
  return encodeFrame(FRAME.window, stream, payload);
}

export function decodeWindow(payload: Buffer): number {
  if (payload.length !== 4) throw new FrameError('window frame of a wrong length');
  return payload.readUInt32BE(0);
}

/** The payload of a reset or goaway. */
export function encodeReason(reason: string): Buffer {
  return Buffer.from(reason, 'utf8').subarray(0, MAX_REASON_BYTES);
}

function isFrameType(type: number): type is FrameType {
  return TYPES.has(type);
}
