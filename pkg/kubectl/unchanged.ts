/** Whether applying a manifest has changed an object. */

import { isEqual, isObject } from '../api/json.ts';

/**
 * Looks at what the manifest names alone, its last-applied annotation included: others, such as controllers, may have
 * changed the rest meanwhile. What apply does not write, the status, does not count.
 */
export function isUnchanged(
  before: object,
  after: object,
  { status: _, ...manifest }: Readonly<Record<string, unknown>>,
): boolean {
  return agree(before, after, manifest);
}

function agree(before: unknown, after: unknown, manifest: unknown): boolean {
  if (!isObject(manifest) || !isObject(before) || !isObject(after)) return isEqual(before, after);
  return Object.entries(manifest).every(([key, value]) => agree(before[key], after[key], value));
}
