/** Tells a full disk apart from other failures. */

import { ImageError } from './image-store.ts';

/** An ImageError NoSpace when that is why, else the error as it is. */
export function explainNoSpace(error: unknown, what: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new ImageError('NoSpace', `no space left on the disk for ${what}`, error);
}
