/** The last lines of a log file in one go, for termination messages: small and bounded. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { parseLine } from './cri-line.ts';

/** CRI adds a time and tags to each line; so much more is read for each to have enough text left. */
const OVERHEAD_BYTES = 64;

/** At most the last maxLines lines and maxBytes bytes of text; empty when there is no log. */
export function tailSync(
  path: string,
  { maxBytes, maxLines }: { readonly maxBytes: number; readonly maxLines: number },
): string {
  const lines = readEnd(path, maxBytes + maxLines * OVERHEAD_BYTES)
    .split('\n')
    .slice(-maxLines - 1);
  const texts = lines.flatMap((line) => {
    const parsed = parseLine(Buffer.from(line));
    return parsed ? [`${parsed.text.toString()}${parsed.isPartial ? '' : '\n'}`] : [];
  });
  const text = Buffer.from(texts.join(''));
  return text.subarray(Math.max(0, text.length - maxBytes)).toString();
}

function readEnd(path: string, maxBytes: number): string {
  try {
    const file = openSync(path, 'r');
    try {
      const { size } = fstatSync(file);
      const length = Math.min(size, maxBytes);
      const buffer = Buffer.alloc(length);
      return buffer.toString('utf8', 0, readSync(file, buffer, 0, length, size - length));
    } finally {
      closeSync(file);
    }
  } catch {
    return '';
  }
}
