/**
 * Bytes that live as long as a key does. A small Buffer is else a view of Node's pool of 64 KiB, and keeps all of it:
 * one Event kept for an hour would hold sixty values that were replaced long ago.
 */

/** The text in UTF-8, in memory of its own. */
export function ownBytes(text: string): Buffer {
  const value = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  value.write(text);
  return value;
}

/** A copy in memory of its own. */
export function ownCopy(bytes: Buffer): Buffer {
  const value = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(value);
  return value;
}
