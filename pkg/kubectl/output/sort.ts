/** `--sort-by`: order by the value that a path leads to; what lacks it comes first. */

import { compareQuantities, parseQuantity, QuantityError } from '../../api/quantity.ts';
import { relaxedPath } from './custom-columns.ts';
import { valuesAt } from './json-path.ts';

/** Items in the order of a field of their objects; equals keep their order. */
export function sortedBy<T>(
  items: readonly T[],
  { path, objectOf }: { readonly path: string; objectOf(item: T): unknown },
): readonly T[] {
  const steps = relaxedPath(path);
  return items
    .map((item) => ({ item, value: valuesAt(steps, objectOf(item))[0] }))
    .sort((a, b) => compare(a.value, b.value))
    .map(({ item }) => item);
}

function compare(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [left, right] = [String(a), String(b)];
  if (isQuantity(left) && isQuantity(right)) return compareQuantities(left, right);
  return left < right ? -1 : Number(left > right);
}

function isQuantity(text: string): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch (error) {
    if (error instanceof QuantityError) return false;
    throw error;
  }
}
