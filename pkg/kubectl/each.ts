/** Work on several objects, of which each may fail without harm to the others. */

import { StatusError } from '../api/errors.ts';

/** Works on every item in turn; what the server refused is thrown at the end. */
export async function forEachTried<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const failures: StatusError[] = [];
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      failures.push(error);
    }
  }
  throwAll(failures);
}

/** Throws what has failed, if anything has. */
export function throwAll(failures: readonly StatusError[]): void {
  const [first] = failures;
  if (failures.length > 1) throw new AggregateError(failures);
  if (first) throw first;
}
