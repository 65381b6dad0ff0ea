/** The answer to paths and resources that do not exist. */

import { StatusError } from '../api/errors.ts';

/** NotFound without a name: kubectl then asks discovery again. */
export function unknownPath(): StatusError {
  return new StatusError('NotFound', 'the server could not find the requested resource', {});
}
