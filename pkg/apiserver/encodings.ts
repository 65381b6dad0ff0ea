/**
 * Bytes of objects, made once: a stored object goes to every reader and watcher as the bytes that the store holds;
 * a line of a watch is made once for all its watchers, and kept while they write it.
 */

import type { ApiObject, WatchEvent } from '../api/meta.ts';

type Lines = Partial<Record<WatchEvent['type'], Buffer>>;

/** Objects whose lines are kept: those of the latest events, which watchers that keep up write at about the same time. */
const LINES_MAX = 256;

export class Encodings {
  readonly #bytes = new WeakMap<object, Buffer>();
  /** Oldest first. */
  readonly #lines = new Map<object, Lines>();

  /** States that `bytes` is the JSON of `object`. */
  remember(object: ApiObject, bytes: Buffer): void {
    this.#bytes.set(object, bytes);
  }

  /** JSON of any answer; lists are put together from the bytes of their items. */
  encode(body: object): Buffer {
    const known = this.#bytes.get(body);
    if (known) return known;
    if (!hasItems(body) || body.items.length === 0) return Buffer.from(JSON.stringify(body));
    const { items, ...rest } = body;
    const head = JSON.stringify(rest);
    const parts: Buffer[] = [
      Buffer.from(`${head.slice(0, -1)}${head === '{}' ? '' : ','}"items":[`),
    ];
    for (const [index, item] of items.entries()) {
      if (index > 0) parts.push(COMMA);
      parts.push(this.#bytes.get(item) ?? Buffer.from(JSON.stringify(item)));
    }
    parts.push(END);
    return Buffer.concat(parts);
  }

  /** One line of a watch over HTTP. */
  line(event: WatchEvent): Buffer {
    let lines = this.#lines.get(event.object);
    if (!lines) {
      lines = {};
      this.#lines.set(event.object, lines);
      if (this.#lines.size > LINES_MAX) this.#forgetOldest();
    }
    const known = lines[event.type];
    if (known) return known;
    const line = Buffer.concat([
      Buffer.from(`{"type":"${event.type}","object":`),
      this.encode(event.object),
      LINE_END,
    ]);
    lines[event.type] = line;
    return line;
  }

  #forgetOldest(): void {
    const [oldest] = this.#lines.keys();
    if (oldest) this.#lines.delete(oldest);
  }
}

const COMMA = Buffer.from(',');
const END = Buffer.from(']}');
const LINE_END = Buffer.from('}\n');

function hasItems(body: object): body is { readonly items: readonly object[] } {
  return 'items' in body && Array.isArray(body.items);
}
