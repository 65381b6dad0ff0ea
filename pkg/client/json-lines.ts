/** Reads a stream of JSON values, one a line, as watches send them over HTTP. */

/** A longer line cannot be an object that the server has accepted. */
const LINE_MAX_BYTES = 16 * 1024 * 1024;
const NEWLINE = 10;

/** Yields each line's value. Throws on a line over LINE_MAX_BYTES or one that is not JSON. */
export async function* jsonLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<unknown> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.subarray(from, end));
      const line = parts.length === 1 ? parts[0] : Buffer.concat(parts);
      parts = [];
      size = 0;
      from = end + 1;
      if (line && line.length > 0) yield JSON.parse(line.toString('utf8'));
    }
    if (from < chunk.length) {
      parts.push(chunk.subarray(from));
      size += chunk.length - from;
      if (size > LINE_MAX_BYTES) throw new Error(`A line is over ${LINE_MAX_BYTES} bytes`);
    }
  }
}
