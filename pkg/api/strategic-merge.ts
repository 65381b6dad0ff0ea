/**
 * Strategic merge patch: a merge patch that merges lists item by item where the table names a merge key, with the
 * directives $patch, $retainKeys, $setElementOrder/x and $deleteFromPrimitiveList/x. Pure: makes new objects and shares
 * what it leaves alone. Called through patch.ts.
 */

import { badRequest } from './errors.ts';
import { getKey, isObject, type JsonObject, setKey } from './json.ts';
import { mergeItems, removeItems } from './merge-list.ts';
import type { FieldSchema, Shape } from './schema.ts';

const DIRECTIVE = '$patch';
const RETAIN_KEYS = '$retainKeys';
const ORDER = '$setElementOrder/';
const DELETE_FROM = '$deleteFromPrimitiveList/';

/** What is known of the value at hand: nothing of fields that the table does not have. */
interface Known {
  readonly shape: Shape | undefined;
  readonly field: FieldSchema | undefined;
}

const UNKNOWN: Known = { shape: undefined, field: undefined };

/** The object with the patch applied; `shape` is that of the whole object. */
export function strategicMerge(object: JsonObject, patch: JsonObject, shape: Shape): JsonObject {
  return mergeObjects(object, patch, shape);
}

function mergeObjects(
  original: JsonObject,
  patch: JsonObject,
  shape: Shape | undefined,
): JsonObject {
  const directive = patch[DIRECTIVE];
  if (directive === 'delete') return {};
  if (directive === 'replace') return mergeObjects({}, withoutKey(patch, DIRECTIVE), shape);
  if (directive !== undefined && directive !== 'merge') {
    throw badRequest(`Unknown patch type found: ${String(directive)}`);
  }
  const result: Record<string, unknown> = retained(original, patch);
  const orders = new Map<string, readonly unknown[]>();
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(ORDER)) orders.set(key.slice(ORDER.length), listOf(key, value));
    if (key.startsWith(DELETE_FROM)) deletePrimitives(result, { key, value });
  }
  for (const [key, value] of Object.entries(patch)) {
    if (isDirective(key)) continue;
    const known = knownOf(shape, key);
    mergeKey(result, { key, value, known, order: orders.get(key) });
    orders.delete(key);
  }
  // An order alone moves what is there.
  for (const [key, order] of orders) {
    const list = getKey(result, key);
    if (Array.isArray(list)) {
      mergeKey(result, { key, value: [], known: knownOf(shape, key), order });
    }
  }
  return result;
}

interface Change {
  readonly key: string;
  readonly value: unknown;
  readonly known: Known;
  readonly order: readonly unknown[] | undefined;
}

function mergeKey(into: Record<string, unknown>, { key, value, known, order }: Change): void {
  if (value === null) {
    delete into[key];
    return;
  }
  const before = getKey(into, key);
  if (isObject(value)) setKey(into, key, mergeObjectValue(before, value, known));
  else if (Array.isArray(value)) setKey(into, key, mergeListValue(before, value, { known, order }));
  else setKey(into, key, value);
}

function mergeObjectValue(before: unknown, patch: JsonObject, known: Known): JsonObject {
  const isReplaced = known.field?.patchStrategy.includes('replace') === true;
  const original = isObject(before) && !isReplaced ? before : {};
  return mergeObjects(original, patch, known.shape);
}

function mergeListValue(
  before: unknown,
  patch: readonly unknown[],
  { known, order }: { known: Known; order: readonly unknown[] | undefined },
): readonly unknown[] {
  const { field, shape } = known;
  const itemShape = shape?.kind === 'list' ? shape.item : undefined;
  const mergeItem = (original: JsonObject, item: JsonObject): JsonObject =>
    mergeObjects(original, item, itemShape);
  const isMerged = field?.patchStrategy.includes('merge') === true;
  const original: readonly unknown[] = Array.isArray(before) ? before : [];
  if (!isMerged) return patch.map((item) => (isObject(item) ? mergeItem({}, item) : item));
  const { mergeKey: key, listKeys = [] } = field ?? {};
  return mergeItems(original, patch, { mergeKey: key, listKeys, order, mergeItem });
}

/** The original's keys that $retainKeys lets stay; all of them without it. */
function retained(original: JsonObject, patch: JsonObject): Record<string, unknown> {
  const keys = patch[RETAIN_KEYS];
  if (keys === undefined) return { ...original };
  const allowed = new Set(listOf(RETAIN_KEYS, keys));
  for (const key of Object.keys(patch)) {
    if (!isDirective(key) && patch[key] !== null && !allowed.has(key)) {
      throw badRequest(`retainKeys list doesn't contain a key of the patch: ${key}`);
    }
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => allowed.has(key)));
}

function deletePrimitives(
  into: Record<string, unknown>,
  { key, value }: { key: string; value: unknown },
): void {
  const name = key.slice(DELETE_FROM.length);
  const list = getKey(into, name);
  if (Array.isArray(list)) setKey(into, name, removeItems(list, listOf(key, value)));
}

function knownOf(shape: Shape | undefined, key: string): Known {
  if (shape?.kind === 'object') {
    const field = shape.type.fields.get(key);
    return field ? { shape: field.shape, field } : UNKNOWN;
  }
  return shape?.kind === 'map' ? { shape: shape.value, field: undefined } : UNKNOWN;
}

function isDirective(key: string): boolean {
  if (!key.startsWith('$')) return false;
  return (
    key === DIRECTIVE || key === RETAIN_KEYS || key.startsWith(ORDER) || key.startsWith(DELETE_FROM)
  );
}

function listOf(directive: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw badRequest(`invalid patch: ${directive} must be a list`);
}

function withoutKey(object: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
}
