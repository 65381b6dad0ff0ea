/**
 * A sorted set of keys that stays fast when it is large: an array of sorted chunks, each of bounded length, so that
 * an insertion moves at most CHUNK_MAX keys. Used by the store for lists by prefix.
 */

/** Keys in a chunk before it is split; moving half of this many pointers costs about a microsecond. */
const CHUNK_MAX = 512;

export class SortedKeys {
  #chunks: string[][] = [];

  add(key: string): void {
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at];
    if (!chunk) {
      this.#chunks.push([key]);
      return;
    }
    const index = lowerBound(chunk, key);
    if (chunk[index] === key) return;
    chunk.splice(index, 0, key);
    if (chunk.length > CHUNK_MAX) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_MAX / 2));
  }

  delete(key: string): void {
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at];
    if (!chunk) return;
    const index = lowerBound(chunk, key);
    if (chunk[index] !== key) return;
    chunk.splice(index, 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** Keys with this prefix that are greater than `after`, in order. Do not change the set while iterating. */
  *under(prefix: string, after = ''): Generator<string> {
    const from = after > prefix ? after : prefix;
    for (let at = this.#chunkOf(from); at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at] ?? [];
      for (let index = lowerBound(chunk, from); index < chunk.length; index++) {
        const key = chunk[index] ?? '';
        if (key === after) continue;
        if (!key.startsWith(prefix)) return;
        yield key;
      }
    }
  }

  /** How many keys with this prefix are greater than `after`. */
  count(prefix: string, after: string): number {
    return this.#rank(prefixEnd(prefix)) - this.#rank(`${after > prefix ? after : prefix}\0`);
  }

  /** How many keys are less than `key`. */
  #rank(key: string): number {
    const at = this.#chunkOf(key);
    let rank = 0;
    for (let i = 0; i < at; i++) rank += this.#chunks[i]?.length ?? 0;
    return rank + lowerBound(this.#chunks[at] ?? [], key);
  }

  /** The last chunk whose first key is not greater than `key`, else the first chunk. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#chunks[middle]?.[0] ?? '') <= key) low = middle + 1;
      else high = middle;
    }
    return Math.max(low - 1, 0);
  }
}

/** The least string that is greater than every string with this prefix. */
function prefixEnd(prefix: string): string {
  return prefix + String.fromCharCode(0xffff);
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
