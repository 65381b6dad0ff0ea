/** Turns log lines into what a client asked for: text, perhaps with times, of some streams, since a time, at most so much. */

import { parseLine } from './cri-line.ts';
import type { LogQuery } from './log-query.ts';

export class LogPrinter {
  readonly #query: LogQuery;
  #leftBytes: number;
  /** Whether the next line of a stream continues a partial one, so that it gets no time of its own. */
  readonly #continues = { stdout: false, stderr: false };

  constructor(query: LogQuery) {
    this.#query = query;
    this.#leftBytes = query.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** The limit is reached: nothing more will be printed. */
  get isFull(): boolean {
    return this.#leftBytes <= 0;
  }

  print(lines: readonly Buffer[]): Buffer {
    const parts: Buffer[] = [];
    for (const line of lines) {
      if (this.isFull) break;
      this.#printOne(line, parts);
    }
    return Buffer.concat(parts);
  }

  #printOne(line: Buffer, parts: Buffer[]): void {
    const parsed = parseLine(line);
    if (!parsed) return;
    const { stream, hasTimestamps, sinceMs } = this.#query;
    if (stream !== 'all' && stream !== parsed.stream) return;
    if (sinceMs !== undefined && Date.parse(parsed.time) < sinceMs) return;
    const isContinued = this.#continues[parsed.stream];
    this.#continues[parsed.stream] = parsed.isPartial;
    if (hasTimestamps && !isContinued) this.#add(Buffer.from(`${parsed.time} `), parts);
    this.#add(parsed.text, parts);
    if (!parsed.isPartial) this.#add(Buffer.from('\n'), parts);
  }

  #add(part: Buffer, parts: Buffer[]): void {
    const kept = part.length > this.#leftBytes ? part.subarray(0, this.#leftBytes) : part;
    this.#leftBytes -= kept.length;
    parts.push(kept);
  }
}
