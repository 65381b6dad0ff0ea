/** What may go wrong without being a failure. */

import { isReason } from '../api/errors.ts';

/** What `work` gives; undefined when the server says that there is no such object. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
