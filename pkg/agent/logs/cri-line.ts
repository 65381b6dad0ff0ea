/** One line of a container's log file: `<RFC3339Nano> <stdout|stderr> <F|P> <text>`. Source: CRI log format. */

export interface LogLine {
  /** As written, e.g. '2026-01-02T03:04:05.123456789Z'. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** The text goes on in the next line of the same stream. */
  readonly isPartial: boolean;
  readonly text: Buffer;
}

const SPACE = 0x20;
const NEWLINE = 0x0a;

/** Parses a line with or without its newline; undefined if it is none. */
export function parseLine(line: Buffer): LogLine | undefined {
  const first = line.indexOf(SPACE);
  const second = line.indexOf(SPACE, first + 1);
  const third = line.indexOf(SPACE, second + 1);
  if (first < 0 || second < 0 || third < 0) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const end = line.at(-1) === NEWLINE ? line.length - 1 : line.length;
  return {
    time: line.toString('latin1', 0, first),
    stream,
    isPartial: line[second + 1] === 0x50,
    text: line.subarray(third + 1, end),
  };
}
