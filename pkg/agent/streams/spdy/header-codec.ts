/** Header blocks of SPDY/3: name/value pairs in one zlib stream a direction, so blocks must be coded in order. */

import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';
import { spdyDictionary } from './dictionary.ts';
import { SpdyError } from './frames.ts';

/** Lower-case names; several values of a name are separated by NUL. */
export type Headers = ReadonlyMap<string, string>;

const MAX_BLOCK_BYTES = 256 * 1024;
const MAX_PAIRS = 1000;

export class HeaderCodec {
  readonly #inflate: Inflate;
  readonly #deflate: Deflate;

  constructor() {
    const dictionary = spdyDictionary();
    this.#inflate = createInflate({ dictionary, finishFlush: constants.Z_SYNC_FLUSH });
    this.#deflate = createDeflate({ dictionary });
  }

  /** Rejects with SpdyError on a block that is none. */
  async decode(block: Buffer): Promise<Headers> {
    return parse(await this.#through(this.#inflate, block));
  }

  async encode(headers: Headers): Promise<Buffer> {
    return this.#through(this.#deflate, format(headers));
  }

  close(): void {
    this.#inflate.destroy();
    this.#deflate.destroy();
  }

  #through(stream: Inflate | Deflate, input: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      let size = 0;
      const onData = (part: Buffer) => {
        size += part.length;
        if (size <= MAX_BLOCK_BYTES) parts.push(part);
      };
      const onError = (error: Error) =>
        reject(new SpdyError('a header block is damaged', { cause: error }));
      stream.on('data', onData);
      stream.once('error', onError);
      stream.write(input);
      stream.flush(constants.Z_SYNC_FLUSH, () => {
        stream.off('data', onData);
        stream.off('error', onError);
        if (size > MAX_BLOCK_BYTES) reject(new SpdyError('a header block is too large'));
        else resolve(Buffer.concat(parts));
      });
    });
  }
}

function parse(block: Buffer): Headers {
  const headers = new Map<string, string>();
  let offset = 0;
  const number = () => {
    if (offset + 4 > block.length) throw new SpdyError('a header block is cut short');
    offset += 4;
    return block.readUInt32BE(offset - 4);
  };
  const text = () => {
    const length = number();
    if (offset + length > block.length) throw new SpdyError('a header block is cut short');
    offset += length;
    return block.toString('utf8', offset - length, offset);
  };
  const count = number();
  if (count > MAX_PAIRS) throw new SpdyError(`${count} headers are too many`);
  for (let index = 0; index < count; index += 1) {
    const name = text();
    headers.set(name.toLowerCase(), text());
  }
  return headers;
}

function format(headers: Headers): Buffer {
  const parts = [uint32(headers.size)];
  for (const [name, value] of headers) {
    for (const text of [Buffer.from(name), Buffer.from(value)])
      parts.push(uint32(text.length), text);
  }
  return Buffer.concat(parts);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
