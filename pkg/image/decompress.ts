/** Finds out how a stream is compressed from its first bytes, and yields it plain. */

import { Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ImageError } from './image-store.ts';

interface Format {
  readonly magic: readonly number[];
  readonly name: string;
  readonly decoder?: () => Transform;
}

const FORMATS: readonly Format[] = [
  { magic: [0x1f, 0x8b], name: 'gzip', decoder: () => createGunzip() },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], name: 'zstd', decoder: () => createZstdDecompress() },
  // A skippable frame: zstd files of some tools begin with one.
  { magic: [0x50, 0x2a, 0x4d, 0x18], name: 'zstd', decoder: () => createZstdDecompress() },
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], name: 'xz' },
  { magic: [0x42, 0x5a, 0x68], name: 'bzip2' },
];
const LONGEST_MAGIC = 5;

/** Plain bytes of a gzip, zstd or uncompressed stream. Throws ImageError Unsupported for xz and bzip2. */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Buffer> {
  const { head, rest } = await peek(source);
  const format = FORMATS.find(({ magic }) => magic.every((byte, at) => head[at] === byte));
  if (format === undefined) {
    yield* join(head, rest);
    return;
  }
  if (format.decoder === undefined) {
    throw new ImageError(
      'Unsupported',
      `${what} is compressed with ${format.name}; use gzip or zstd`,
    );
  }
  const input = Readable.from(join(head, rest), { objectMode: false });
  const decoder = format.decoder();
  input.on('error', (error) => decoder.destroy(error));
  input.pipe(decoder);
  try {
    for await (const chunk of decoder) yield chunk;
  } catch (error) {
    throw error instanceof ImageError || !isZlib(error)
      ? error
      : new ImageError('Corrupt', `${what} is not whole ${format.name}`, error);
  } finally {
    input.destroy();
    decoder.destroy();
  }
}

function isZlib(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(Z_|ZSTD_|ERR_)/.test(String(error.code));
}

async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<{ head: Buffer; rest: AsyncIterator<Uint8Array> }> {
  const rest = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < LONGEST_MAGIC) {
    const next = await rest.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  return { head, rest };
}

async function* join(head: Buffer, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Buffer> {
  try {
    if (head.length > 0) yield head;
    for (let next = await rest.next(); !next.done; next = await rest.next()) {
      yield Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    }
  } finally {
    await rest.return?.();
  }
}
