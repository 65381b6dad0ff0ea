/** Errors about objects from files, with the file that the object stands in. */

import { StatusError } from '../api/errors.ts';

/** What `work` gives; its errors say what was done with which file. Those about wrong fields tell themselves. */
export async function named<T>(
  work: Promise<T>,
  { doing, source }: { readonly doing: string; readonly source: string },
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof StatusError) || isClear(error)) throw error;
    const message = `error when ${doing} "${source}": ${error.message}`;
    throw new StatusError(error.reason, message, error.details, error);
  }
}

function isClear({ reason, message }: StatusError): boolean {
  return reason === 'Invalid' || message.startsWith('Cannot reach');
}
