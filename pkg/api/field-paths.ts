/**
 * Field paths of objects by the schema: which fields an applied configuration names, and which differ between two
 * versions of an object. Lists of type map and set are seen item by item, atomic values as a whole.
 */

import { descend, type FieldSet, type FieldSetBuilder, newBuilder } from './field-set.ts';
import { getKey, isEqual, isObject, type JsonObject } from './json.ts';
import type { FieldSchema, Shape } from './schema.ts';

/** A value's place in the schema: its shape, and the field whose value it is (not for items). */
export interface Place {
  readonly shape: Shape | undefined;
  readonly field: FieldSchema | undefined;
}

export interface Difference {
  /** Added and changed. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

interface Builders {
  readonly changed: FieldSetBuilder;
  readonly removed: FieldSetBuilder;
}

/** How a value is owned: as a whole, by its keys, or by its items. */
export type Granularity = 'whole' | 'keys' | 'items';

export function granularityOf({ shape, field }: Place, value: unknown): Granularity {
  if (field?.isAtomic) return 'whole';
  if (Array.isArray(value)) return isByItems(field) ? 'items' : 'whole';
  if (!isObject(value) || shape?.kind === 'scalar') return 'whole';
  if (shape?.kind === 'object' && shape.type.isAtomic) return 'whole';
  return 'keys';
}

function isByItems(field: FieldSchema | undefined): boolean {
  return field?.listType === 'map' || field?.listType === 'set';
}

/** The place of a key of an object. */
export function placeOfKey({ shape }: Place, key: string): Place {
  if (shape?.kind === 'object') {
    const field = shape.type.fields.get(key);
    return { shape: field?.shape, field };
  }
  return { shape: shape?.kind === 'map' ? shape.value : undefined, field: undefined };
}

/** The place of the items of a list. */
export function placeOfItem({ shape }: Place): Place {
  return { shape: shape?.kind === 'list' ? shape.item : undefined, field: undefined };
}

/** The path element of an item of a list of type map or set. */
export function elementOf({ field, shape }: Place, item: unknown): string {
  if (field?.listType !== 'map' || !isObject(item)) return `v:${JSON.stringify(item)}`;
  const keys: Record<string, unknown> = {};
  for (const key of [...field.listKeys].sort()) {
    const value = getKey(item, key) ?? defaultOf(shape, key);
    if (value !== undefined) keys[key] = value;
  }
  return `k:${JSON.stringify(keys)}`;
}

/** The default of a key of a list's items: a port without protocol is TCP. */
export function defaultOf(shape: Shape | undefined, key: string): unknown {
  const item = shape?.kind === 'list' ? shape.item : undefined;
  return item?.kind === 'object' ? item.type.fields.get(key)?.default : undefined;
}

/** The fields that a configuration names: what its applier owns. */
export function fieldsOf(object: JsonObject, shape: Shape): FieldSet {
  const builder = newBuilder();
  addNamed(builder, { value: object, place: { shape, field: undefined } });
  builder.isMember = false;
  return builder;
}

function addNamed(into: FieldSetBuilder, { value, place }: { value: unknown; place: Place }): void {
  switch (granularityOf(place, value)) {
    case 'keys':
      addKeys(into, { value: value as JsonObject, place });
      return;
    case 'items':
      for (const item of value as readonly unknown[]) {
        const child = descend(into, elementOf(place, item));
        addNamed(child, { value: item, place: placeOfItem(place) });
        child.isMember = true;
      }
      return;
    default:
      into.isMember = true;
  }
}

function addKeys(
  into: FieldSetBuilder,
  { value, place }: { value: JsonObject; place: Place },
): void {
  for (const [key, its] of Object.entries(value)) {
    const child = descend(into, `f:${key}`);
    const inner = placeOfKey(place, key);
    addNamed(child, { value: its, place: inner });
    // Keys of maps are fields of their own; fields of messages only through what they hold, unless that is nothing.
    const isOwn = place.shape?.kind === 'map' || (isObject(its) && Object.keys(its).length === 0);
    if (isOwn) child.isMember = true;
  }
}

/** What differs from `before` to `after`, both of this shape. */
export function differenceBetween(before: JsonObject, after: JsonObject, shape: Shape): Difference {
  const builders = { changed: newBuilder(), removed: newBuilder() };
  compareKeys(builders, { a: before, b: after, place: { shape, field: undefined } });
  return builders;
}

interface Pair<T> {
  readonly a: T;
  readonly b: T;
  readonly place: Place;
}

function compare(into: Builders, { a, b, place }: Pair<unknown>): void {
  if (isEqual(a, b)) return;
  const granularity = granularityOf(place, b);
  if (granularity === 'whole' || granularity !== granularityOf(place, a)) {
    into.changed.isMember = true;
  } else if (granularity === 'keys') {
    compareKeys(into, { a: a as JsonObject, b: b as JsonObject, place });
  } else {
    compareItems(into, { a: a as readonly unknown[], b: b as readonly unknown[], place });
  }
}

function compareKeys(into: Builders, { a, b, place }: Pair<JsonObject>): void {
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const inner = placeOfKey(place, key);
    compareSides(into, { element: `f:${key}`, a: getKey(a, key), b: getKey(b, key), place: inner });
  }
}

function compareItems(into: Builders, { a, b, place }: Pair<readonly unknown[]>): void {
  const before = byElement(a, place);
  const after = byElement(b, place);
  for (const element of new Set([...before.keys(), ...after.keys()])) {
    const inner = placeOfItem(place);
    compareSides(into, { element, a: before.get(element), b: after.get(element), place: inner });
  }
}

function byElement(list: readonly unknown[], place: Place): ReadonlyMap<string, unknown> {
  return new Map(list.map((item) => [elementOf(place, item), item]));
}

function compareSides(
  into: Builders,
  { element, a, b, place }: Pair<unknown> & { readonly element: string },
): void {
  // An empty map or list is not stored: whether it is given or not is no difference.
  if (isNothing(a, place) && isNothing(b, place)) return;
  if (b === undefined) addAll(descend(into.removed, element), { value: a, place });
  else if (a === undefined) addAll(descend(into.changed, element), { value: b, place });
  else if (!isEqual(a, b)) {
    const inner = {
      changed: descend(into.changed, element),
      removed: descend(into.removed, element),
    };
    compare(inner, { a, b, place });
  }
}

function isNothing(value: unknown, { shape }: Place): boolean {
  if (value === undefined) return true;
  if (shape?.kind === 'list') return Array.isArray(value) && value.length === 0;
  return shape?.kind === 'map' && isObject(value) && Object.keys(value).length === 0;
}

/**
 * A value that is new or gone: its path and every path below, containers too. Containers that are always there (spec,
 * a container's list of a template) only count through what they hold.
 */
function addAll(into: FieldSetBuilder, { value, place }: { value: unknown; place: Place }): void {
  addNamed(into, { value, place });
  const isGiven = place.field?.zero === 'given' && into.children.size > 0;
  if (!isGiven) into.isMember = true;
  for (const child of into.children.values()) markAll(child);
}

function markAll(set: FieldSetBuilder): void {
  set.isMember = true;
  for (const child of set.children.values()) markAll(child);
}
