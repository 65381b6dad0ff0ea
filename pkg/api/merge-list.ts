/**
 * Merging of lists for strategic merge patch: items are matched by merge key (objects) or by value (primitives), and
 * end in the order that the patch wants, with the server's own items between them where they were.
 */

import { badRequest } from './errors.ts';
import { isObject, type JsonObject } from './json.ts';

export interface ListMerge {
  /** Undefined for lists of primitives. */
  readonly mergeKey: string | undefined;
  /** The keys that tell items of one merge key apart: ports 53/TCP and 53/UDP. */
  readonly listKeys: readonly string[];
  /** $setElementOrder of this list; without it the patch's own order counts. */
  readonly order: readonly unknown[] | undefined;
  mergeItem(original: JsonObject, patch: JsonObject): JsonObject;
}

/** An item and what it is known by. */
export interface Entry {
  readonly id: string;
  item: unknown;
}

/** The original list with the items of the patch merged in, removed (`$patch: delete`) or put in its place (`replace`). */
export function mergeItems(
  original: readonly unknown[],
  patch: readonly unknown[],
  { mergeKey, listKeys, order, mergeItem }: ListMerge,
): readonly unknown[] {
  const identify = (item: unknown): string => identityOf(item, mergeKey);
  const { plain, deleted, isReplaced } = partition(patch, identify);
  const before = isReplaced ? [] : original.map((item): Entry => ({ id: identify(item), item }));
  const merged = before.filter(({ id }) => !deleted.has(id));
  const known = Map.groupBy(merged, ({ id }) => id);
  const named = Map.groupBy(plain, identify);
  for (const [id, items] of named) {
    for (const item of items) {
      const candidates = known.get(id) ?? [];
      const found = findEntry(candidates, { item, listKeys, isAlone: items.length === 1 });
      const result = mergedItem(found?.item, item, mergeItem);
      if (found) found.item = result;
      else merged.push(addTo(known, { id, item: result }));
    }
  }
  const wanted = order ? order.map(identify) : [...named.keys()];
  return ordered(merged, { wanted, server: original.map(identify) });
}

function mergedItem(before: unknown, item: unknown, mergeItem: ListMerge['mergeItem']): unknown {
  if (!isObject(item)) return item;
  return mergeItem(isObject(before) ? before : {}, item);
}

function addTo(known: Map<string, Entry[]>, entry: Entry): Entry {
  known.set(entry.id, [...(known.get(entry.id) ?? []), entry]);
  return entry;
}

/** The entry that a patch item means: of several with its merge key the one that the list keys agree on. */
function findEntry(
  candidates: readonly Entry[],
  sought: { item: unknown; listKeys: readonly string[]; isAlone: boolean },
): Entry | undefined {
  const exact = candidates.find(({ item }) =>
    agree({ a: item, b: sought.item, keys: sought.listKeys }),
  );
  return exact ?? (sought.isAlone ? candidates[0] : undefined);
}

function agree({ a, b, keys }: { a: unknown; b: unknown; keys: readonly string[] }): boolean {
  if (!isObject(a) || !isObject(b)) return a === b;
  return keys.every((key) => a[key] === b[key]);
}

/** The list without the primitives named. */
export function removeItems(
  list: readonly unknown[],
  removed: readonly unknown[],
): readonly unknown[] {
  const gone = new Set(removed.map(String));
  return list.filter((item) => !gone.has(String(item)));
}

interface Partition {
  readonly plain: readonly unknown[];
  readonly deleted: ReadonlySet<string>;
  readonly isReplaced: boolean;
}

function partition(patch: readonly unknown[], identify: (item: unknown) => string): Partition {
  const plain: unknown[] = [];
  const deleted = new Set<string>();
  let isReplaced = false;
  for (const item of patch) {
    const directive = isObject(item) ? item['$patch'] : undefined;
    if (directive === undefined || directive === 'merge') plain.push(item);
    else if (directive === 'delete') deleted.add(identify(item));
    else if (directive === 'replace') isReplaced = true;
    else throw badRequest(`Unknown patch type found: ${String(directive)}`);
  }
  return { plain, deleted, isReplaced };
}

function identityOf(item: unknown, mergeKey: string | undefined): string {
  if (!isObject(item)) return String(item);
  if (mergeKey === undefined) throw badRequest('invalid patch: list of objects has no merge key');
  const value = item[mergeKey];
  if (value === undefined) {
    throw badRequest(
      `map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`,
    );
  }
  return String(value);
}

/**
 * The items that the patch names in its order; the server's own items keep theirs, and each goes before the first named
 * item that it stood before on the server.
 */
function ordered(
  entries: readonly Entry[],
  { wanted, server }: { wanted: readonly string[]; server: readonly string[] },
): readonly unknown[] {
  const rank = rankOf(server);
  const place = rankOf(wanted);
  const named = entries
    .filter(({ id }) => place.has(id))
    .sort((a, b) => (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0));
  const own = entries.filter(({ id }) => !place.has(id));
  const result: unknown[] = [];
  let next = 0;
  for (const { id, item } of named) {
    const until = rank.get(id) ?? Number.NEGATIVE_INFINITY;
    for (let its = own[next]; its && (rank.get(its.id) ?? until) < until; its = own[next]) {
      result.push(its.item);
      next += 1;
    }
    result.push(item);
  }
  return [...result, ...own.slice(next).map(({ item }) => item)];
}

/** The first place of each. */
function rankOf(ids: readonly string[]): ReadonlyMap<string, number> {
  const rank = new Map<string, number>();
  for (const [index, id] of ids.entries()) if (!rank.has(id)) rank.set(id, index);
  return rank;
}
