/**
 * The part of ASN.1 DER that certificates and signing requests need: nodes are built inside out and read with
 * bounds checked. Definite lengths and one-byte tags only, which is all that RFC 5280 and RFC 2986 use.
 */

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** No certificate or request that we take is longer; refuses absurd lengths before anything is copied. */
const MAX_DER_BYTES = 65_536;

export class DerError extends Error {}

/** One node as read: `raw` is the whole of it, `content` what it holds. */
export interface DerNode {
  readonly tag: number;
  readonly content: Buffer;
  readonly raw: Buffer;
}

/** A node with this tag around the contents. */
export function encode(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(content.length)]), content]);
}

export function sequence(...items: readonly Buffer[]): Buffer {
  return encode(TAG.sequence, ...items);
}

/** A SET OF one element, as names use it. */
export function setOf(item: Buffer): Buffer {
  return encode(TAG.set, item);
}

/** An explicit context tag `[n]` around an item. */
export function explicit(n: number, item: Buffer): Buffer {
  return encode(0xa0 | n, item);
}

/** A non-negative integer from its big-endian bytes. */
export function integer(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const short = bytes.subarray(start);
  return encode(TAG.integer, (short[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.of(0), short]) : short);
}

export function bitString(bytes: Buffer, unusedBits = 0): Buffer {
  return encode(TAG.bitString, Buffer.of(unusedBits), bytes);
}

export function octetString(bytes: Buffer): Buffer {
  return encode(TAG.octetString, bytes);
}

export function utf8String(text: string): Buffer {
  return encode(TAG.utf8String, Buffer.from(text, 'utf8'));
}

/** An object identifier from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return encode(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** A time as RFC 5280 wants it: UTCTime until 2049, GeneralizedTime after. */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  const isShort = new Date(ms).getUTCFullYear() < 2050;
  return isShort
    ? encode(TAG.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : encode(TAG.generalizedTime, Buffer.from(digits, 'latin1'));
}

/** The one node that these bytes are. Throws DerError when they are cut short or followed by more. */
export function decode(bytes: Buffer): DerNode {
  const [node, ...more] = decodeAll(bytes);
  if (!node || more.length > 0) throw new DerError('expected exactly one DER value');
  return node;
}

/** The nodes inside a constructed node. */
export function children(node: DerNode | undefined, tag: number = TAG.sequence): DerNode[] {
  if (node?.tag !== tag) throw new DerError(`expected tag ${tag}, found ${node?.tag ?? 'nothing'}`);
  return decodeAll(node.content);
}

/** The dotted form of an object identifier. */
export function readOid(node: DerNode | undefined): string {
  if (node?.tag !== TAG.oid || node.content.length === 0) throw new DerError('expected an OID');
  const numbers: number[] = [];
  let value = 0;
  for (const byte of node.content) {
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER) throw new DerError('OID is too large');
    if (byte & 0x80) continue;
    numbers.push(value);
    value = 0;
  }
  const [head = 0, ...rest] = numbers;
  const first = Math.min(Math.floor(head / 40), 2);
  return [first, head - first * 40, ...rest].join('.');
}

/** The bytes of a bit string that has no unused bits. */
export function readBits(node: DerNode | undefined): Buffer {
  if (node?.tag !== TAG.bitString || node.content[0] !== 0) {
    throw new DerError('expected a bit string of whole bytes');
  }
  return node.content.subarray(1);
}

function decodeAll(bytes: Buffer): DerNode[] {
  if (bytes.length > MAX_DER_BYTES) throw new DerError(`longer than ${MAX_DER_BYTES} bytes`);
  const nodes: DerNode[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { tag, start, end } = header(bytes, at);
    nodes.push({ tag, content: bytes.subarray(start, end), raw: bytes.subarray(at, end) });
    at = end;
  }
  return nodes;
}

function header(bytes: Buffer, at: number): { tag: number; start: number; end: number } {
  const tag = bytes[at] ?? 0;
  const first = bytes[at + 1];
  if (first === undefined || (tag & 0x1f) === 0x1f) throw new DerError('truncated or unknown tag');
  const lengthSize = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || lengthSize > 3) throw new DerError('unsupported length');
  const start = at + 2 + lengthSize;
  if (start > bytes.length) throw new DerError('truncated length');
  const length = lengthSize === 0 ? first : bytes.readUIntBE(at + 2, lengthSize);
  if (start + length > bytes.length) throw new DerError('truncated value');
  return { tag, start, end: start + length };
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

function base128(value: number): number[] {
  const bytes = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.unshift((rest % 128) | 0x80);
  }
  return bytes;
}
