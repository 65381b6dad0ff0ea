/** Reads the body of a request, up to its limit. */

import type { Readable } from 'node:stream';
import { tooLarge } from '../api/errors.ts';

/** Largest body. Source: kube-apiserver's MaxRequestBodyBytes. */
const BODY_MAX_BYTES = 3 * 1024 * 1024;

/** The whole body; undefined when there is none. Throws RequestEntityTooLarge. */
export async function readBody(body: Readable): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  const incoming = body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of incoming) {
    size += chunk.length;
    if (size > BODY_MAX_BYTES) break;
    chunks.push(chunk);
  }
  if (size > BODY_MAX_BYTES) {
    // The rest is let pass: many clients read no answer before they have sent all, and use the connection again.
    body.resume();
    throw tooLarge(`Request entity too large: limit is ${BODY_MAX_BYTES}`);
  }
  if (size === 0) return undefined;
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}
