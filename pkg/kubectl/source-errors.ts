/** Errors about objects from files, with the file that the object stands in. */

import { StatusError } from '../api/errors.ts';

/** The error with `error when … "file": ` before its message; those about wrong fields tell themselves. */
export function withSource(
  error: StatusError,
  { doing, source }: { readonly doing: string; readonly source: string },
): StatusError {
  if (error.reason === 'Invalid' || error.message.startsWith('Cannot reach')) return error;
  const message = `error when ${doing} "${source}": ${error.message}`;
  return new StatusError(error.reason, message, error.details, error);
}
