/**
 * Packs records into one transferable buffer, so that a batch crosses to the worker thread and back without a copy
 * for each value. Layout of a record: float64 revision, float64 createRevision, float64 replaced revision (-1
 * = unknown), uint32 key bytes, uint32 value bytes + 1 (0 = no value), key, value. Little-endian. Used by sqlite.ts and sqlite-worker.ts only.
 */

import type { LogEntry } from './journal.ts';
import { ownCopy } from './value.ts';

const HEADER_BYTES = 32;
const UNKNOWN = -1;

/** Packs entries; the result owns its memory and may be transferred. */
export function packBatch(entries: readonly LogEntry[]): ArrayBuffer {
  const keys = entries.map((entry) => Buffer.byteLength(entry.key));
  const total = entries.reduce(
    (sum, entry, i) => sum + HEADER_BYTES + (keys[i] ?? 0) + (entry.value?.length ?? 0),
    0,
  );
  const bytes = new ArrayBuffer(total);
  const out = Buffer.from(bytes);
  let at = 0;
  entries.forEach(({ revision, createRevision, replaces = UNKNOWN, key, value }, i) => {
    out.writeDoubleLE(revision, at);
    out.writeDoubleLE(createRevision, at + 8);
    out.writeDoubleLE(replaces, at + 16);
    out.writeUInt32LE(keys[i] ?? 0, at + 24);
    out.writeUInt32LE(value ? value.length + 1 : 0, at + 28);
    at += HEADER_BYTES;
    at += out.write(key, at);
    if (value) at += value.copy(out, at);
  });
  return bytes;
}

/** Unpacks entries. With `isCopied` each value owns its memory; without, values are views of the whole batch. */
export function unpackBatch(bytes: ArrayBuffer, { isCopied = false } = {}): LogEntry[] {
  const input = Buffer.from(bytes);
  const entries: LogEntry[] = [];
  for (let at = 0; at < input.length; ) {
    const revision = input.readDoubleLE(at);
    const createRevision = input.readDoubleLE(at + 8);
    const replaces = input.readDoubleLE(at + 16);
    const keyEnd = at + HEADER_BYTES + input.readUInt32LE(at + 24);
    const valueBytes = input.readUInt32LE(at + 28);
    const key = input.toString('utf8', at + HEADER_BYTES, keyEnd);
    const valueEnd = keyEnd + Math.max(valueBytes - 1, 0);
    const view = input.subarray(keyEnd, valueEnd);
    const value = valueBytes === 0 ? undefined : isCopied ? ownCopy(view) : view;
    entries.push({
      revision,
      createRevision,
      key,
      value,
      ...(replaces === UNKNOWN ? {} : { replaces }),
    });
    at = valueEnd;
  }
  return entries;
}
