/**
 * The two changes that an applied configuration makes to the live object: what it names is merged in, and what its
 * manager no longer names and nobody else owns is taken out. Pure, driven by the schema.
 */

import { badRequest } from './errors.ts';
import {
  defaultOf,
  elementOf,
  granularityOf,
  type Place,
  placeOfItem,
  placeOfKey,
} from './field-paths.ts';
import { EMPTY, type FieldSet } from './field-set.ts';
import { getKey, isObject, type JsonObject, setKey } from './json.ts';
import type { Entry } from './merge-list.ts';
import type { Shape } from './schema.ts';

/** The live object with everything that the configuration names set to what it says. */
export function mergeApplied(live: JsonObject, applied: JsonObject, shape: Shape): JsonObject {
  return mergeKeys(live, applied, { shape, field: undefined });
}

function mergeValue(live: unknown, applied: unknown, place: Place): unknown {
  const granularity = granularityOf(place, applied);
  if (granularity === 'keys') {
    return mergeKeys(isObject(live) ? live : {}, applied as JsonObject, place);
  }
  if (granularity !== 'items') return applied;
  const before: readonly unknown[] = Array.isArray(live) ? live : [];
  return mergeItems(before, applied as readonly unknown[], place);
}

function mergeKeys(live: JsonObject, applied: JsonObject, place: Place): JsonObject {
  const result: Record<string, unknown> = { ...live };
  for (const [key, value] of Object.entries(applied)) {
    setKey(result, key, mergeValue(getKey(live, key), value, placeOfKey(place, key)));
  }
  return result;
}

function mergeItems(
  live: readonly unknown[],
  applied: readonly unknown[],
  place: Place,
): readonly unknown[] {
  const entries = live.map((item): Entry => ({ id: elementOf(place, item), item }));
  // Items that share their keys (environment variables may) stay unless the configuration names them.
  const firsts = new Map(entries.toReversed().map((entry) => [entry.id, entry]));
  const named = new Map<string, unknown>();
  for (const item of applied) {
    const id = elementOf(place, item);
    checkKeys(item, place);
    if (named.has(id)) {
      throw badRequest(`duplicate entries for key ${id.slice(2)} in ${nameOf(place)}`);
    }
    named.set(id, mergeValue(firsts.get(id)?.item, item, placeOfItem(place)));
  }
  return interleave(entries, named);
}

/** The named items in their order, each live item that is not named where it stood among those that are. */
function interleave(
  live: readonly Entry[],
  named: ReadonlyMap<string, unknown>,
): readonly unknown[] {
  const result: unknown[] = [];
  const coming = named.entries();
  const seen = new Set<string>();
  for (const { id, item } of live) {
    if (!named.has(id)) result.push(item);
    while (named.has(id) && !seen.has(id)) {
      const { value } = coming.next();
      if (value === undefined) break;
      seen.add(value[0]);
      result.push(value[1]);
    }
  }
  return [...result, ...[...coming].map(([, item]) => item)];
}

/** An item must have all keys of its list, or at least a default for those it lacks. */
function checkKeys(item: unknown, { field, shape }: Place): void {
  if (field?.listType !== 'map' || !isObject(item)) return;
  for (const key of field.listKeys) {
    if (getKey(item, key) === undefined && defaultOf(shape, key) === undefined) {
      throw badRequest(
        `.${field.name}: associative list with keys has an element that omits key field "${key}" (and doesn't have default value)`,
      );
    }
  }
}

function nameOf({ field }: Place): string {
  return field ? `.${field.name}` : 'the list';
}

export interface Ownership {
  /** What the manager named before. */
  readonly last: FieldSet;
  /** What it names now. */
  readonly current: FieldSet;
  /** What all others own. */
  readonly others: FieldSet;
}

/** The object without what its manager has let go of and nobody else owns. */
export function pruneReleased(object: JsonObject, sets: Ownership, shape: Shape): JsonObject {
  return pruneKeys(object, { sets, place: { shape, field: undefined } });
}

interface Pruning {
  readonly sets: Ownership;
  readonly place: Place;
}

function pruneValue(value: unknown, { sets, place }: Pruning): unknown {
  if (sets.last.children.size === 0) return value;
  switch (granularityOf(place, value)) {
    case 'keys':
      return pruneKeys(value as JsonObject, { sets, place });
    case 'items':
      return pruneItems(value as readonly unknown[], { sets, place });
    default:
      return value;
  }
}

function pruneKeys(value: JsonObject, { sets, place }: Pruning): JsonObject {
  const result: Record<string, unknown> = {};
  for (const [key, its] of Object.entries(value)) {
    const below = setsBelow(sets, `f:${key}`);
    if (isReleased(below)) continue;
    const inner = placeOfKey(place, key);
    setKey(result, key, below.isOwned ? pruneValue(its, { sets: below, place: inner }) : its);
  }
  return result;
}

function pruneItems(value: readonly unknown[], { sets, place }: Pruning): readonly unknown[] {
  const result: unknown[] = [];
  for (const item of value) {
    const below = setsBelow(sets, elementOf(place, item));
    if (isReleased(below)) continue;
    const inner = placeOfItem(place);
    result.push(below.isOwned ? pruneValue(item, { sets: below, place: inner }) : item);
  }
  return result;
}

interface Below extends Ownership {
  readonly isOwned: boolean;
  readonly isKept: boolean;
}

function setsBelow({ last, current, others }: Ownership, element: string): Below {
  const now = current.children.get(element);
  const their = others.children.get(element);
  return {
    last: last.children.get(element) ?? EMPTY,
    current: now ?? EMPTY,
    others: their ?? EMPTY,
    isOwned: last.children.has(element),
    isKept: now !== undefined || their !== undefined,
  };
}

/** A path that leads to something owned stays, whoever owns it. */
function isReleased({ isOwned, isKept }: Below): boolean {
  return isOwned && !isKept;
}
