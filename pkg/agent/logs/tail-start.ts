/** Finds where the last N lines of a file begin by reading it backwards in blocks. */

import type { FileHandle } from 'node:fs/promises';
import { parseLine } from './cri-line.ts';

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export interface TailStart {
  /** Offset of the first byte of the first line. */
  readonly offset: number;
  /** How many lines lie from there to the end; less than asked for when the file is short. */
  readonly lines: number;
}

/**
 * Lines are counted as users see them: a line that was cut into partial ones is one, also when its end is not there
 * (yet). Only lines of a wanted stream count. For the newest file of a log.
 */
export async function tailStart(
  file: FileHandle,
  options: {
    readonly count: number;
    readonly isWanted: (stream: 'stdout' | 'stderr') => boolean;
  },
): Promise<TailStart> {
  const { size } = await file.stat();
  if (options.count === 0) return { offset: size, lines: 0 };
  let lines = 0;
  let start = size;
  const seen = new Set<string>();
  for await (const { line, offset } of backwards(file, size)) {
    const parsed = parseLine(line);
    const isEnd =
      parsed !== undefined &&
      (!parsed.isPartial || !seen.has(parsed.stream)) &&
      options.isWanted(parsed.stream);
    if (parsed) seen.add(parsed.stream);
    if (isEnd && lines === options.count) return { offset: start, lines };
    if (isEnd) lines += 1;
    start = offset;
  }
  return { offset: 0, lines };
}

interface LineAt {
  readonly line: Buffer;
  readonly offset: number;
}

/** The lines of the file, the last one first. */
async function* backwards(file: FileHandle, size: number): AsyncGenerator<LineAt> {
  let data: Buffer = Buffer.alloc(0);
  for (let end = size; end > 0; ) {
    const length = Math.min(BLOCK_BYTES, end);
    const block = Buffer.alloc(length);
    await file.read(block, 0, length, end - length);
    end -= length;
    data = Buffer.concat([block, data]);
    // Each newline but the one that ends the data begins a line.
    for (let newline = lastBreak(data); newline >= 0; newline = lastBreak(data)) {
      yield { line: data.subarray(newline + 1), offset: end + newline + 1 };
      data = data.subarray(0, newline + 1);
    }
  }
  if (data.length > 0) yield { line: data, offset: 0 };
}

function lastBreak(data: Buffer): number {
  return data.length < 2 ? -1 : data.lastIndexOf(NEWLINE, data.length - 2);
}
