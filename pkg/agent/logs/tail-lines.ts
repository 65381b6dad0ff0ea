/** The last lines of files that were rotated away, read twice and never held: they may be hundreds of thousands. */

interface RotatedTail {
  /** Oldest first. */
  readonly files: readonly string[];
  readonly count: number;
  read(path: string): AsyncIterable<readonly Buffer[]>;
  /** Whether the line ends one that counts. */
  ends(line: Buffer): boolean;
}

/** In blocks, oldest first; with what goes before the first wanted line in no file. */
export async function* lastLines(tail: RotatedTail): AsyncGenerator<readonly Buffer[]> {
  const { start, surplus } = await firstFile(tail);
  let left = surplus;
  for (const path of tail.files.slice(start)) {
    for await (const lines of tail.read(path)) {
      let from = 0;
      for (; left > 0 && from < lines.length; from += 1) {
        const line = lines[from];
        if (line && tail.ends(line)) left -= 1;
      }
      yield from === 0 ? lines : lines.slice(from);
    }
  }
}

/** The file that holds the first wanted line, and how many lines of it end before that one. */
async function firstFile({
  files,
  count,
  read,
  ends,
}: RotatedTail): Promise<{ readonly start: number; readonly surplus: number }> {
  let found = 0;
  for (let at = files.length - 1; at >= 0; at -= 1) {
    for await (const lines of read(files[at] ?? '')) {
      for (const line of lines) if (ends(line)) found += 1;
    }
    if (found > count) return { start: at, surplus: found - count };
  }
  return { start: 0, surplus: Math.max(found - count, 0) };
}
