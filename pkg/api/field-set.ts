/**
 * Sets of field paths, as managedFields has them: a tree whose keys are path elements ("f:name" a field, "k:{…}" an
 * item by its keys, "v:…" an item by its value). A set is immutable once built; all operations make new ones.
 */

import { isObject, type JsonObject } from './json.ts';

export interface FieldSet {
  /** Whether the path that ends here belongs to the set. */
  readonly isMember: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
}

/** A set under construction. */
export interface FieldSetBuilder extends FieldSet {
  isMember: boolean;
  readonly children: Map<string, FieldSetBuilder>;
}

export const EMPTY: FieldSet = { isMember: false, children: new Map() };

const SELF = '.';

export function newBuilder(): FieldSetBuilder {
  return { isMember: false, children: new Map() };
}

/** The builder of the path one element further. */
export function descend(builder: FieldSetBuilder, element: string): FieldSetBuilder {
  const known = builder.children.get(element);
  if (known) return known;
  const child = newBuilder();
  builder.children.set(element, child);
  return child;
}

export function isEmptySet(set: FieldSet): boolean {
  return !set.isMember && [...set.children.values()].every(isEmptySet);
}

export function unionOf(a: FieldSet, b: FieldSet): FieldSet {
  const children = new Map(a.children);
  for (const [element, child] of b.children) {
    const own = children.get(element);
    children.set(element, own ? unionOf(own, child) : child);
  }
  return { isMember: a.isMember || b.isMember, children };
}

/** The paths of `a` that are not in `b`. */
export function differenceOf(a: FieldSet, b: FieldSet): FieldSet {
  const children = new Map<string, FieldSet>();
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    const rest = other ? differenceOf(child, other) : child;
    if (!isEmptySet(rest)) children.set(element, rest);
  }
  return { isMember: a.isMember && !b.isMember, children };
}

/** The paths that both have. */
export function intersectionOf(a: FieldSet, b: FieldSet): FieldSet {
  const children = new Map<string, FieldSet>();
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    const both = other ? intersectionOf(child, other) : EMPTY;
    if (!isEmptySet(both)) children.set(element, both);
  }
  return { isMember: a.isMember && b.isMember, children };
}

export function isSameSet(a: FieldSet, b: FieldSet): boolean {
  return isEmptySet(differenceOf(a, b)) && isEmptySet(differenceOf(b, a));
}

/** The set without the paths at or below any of these, each a list of elements. */
export function withoutPaths(set: FieldSet, paths: readonly (readonly string[])[]): FieldSet {
  return paths.reduce<FieldSet>((rest, path) => withoutPath(rest, path), set);
}

function withoutPath(set: FieldSet, [first, ...rest]: readonly string[]): FieldSet {
  const child = first === undefined ? undefined : set.children.get(first);
  if (first === undefined || !child) return set;
  const children = new Map(set.children);
  const left = rest.length > 0 ? withoutPath(child, rest) : EMPTY;
  if (isEmptySet(left)) children.delete(first);
  else children.set(first, left);
  return { isMember: set.isMember, children };
}

/** The fieldsV1 of a managedFields entry. */
export function toFieldsV1(set: FieldSet): JsonObject {
  const result: Record<string, unknown> = {};
  if (set.isMember && set.children.size > 0) result[SELF] = {};
  for (const element of [...set.children.keys()].sort()) {
    const child = set.children.get(element);
    if (child && !isEmptySet(child)) result[element] = toFieldsV1(child);
  }
  return result;
}

/** The set that a fieldsV1 describes; unknown keys are kept as they are. */
export function fromFieldsV1(fields: unknown): FieldSet {
  return { ...fromNode(fields), isMember: false };
}

function fromNode(fields: unknown): FieldSet {
  const children = new Map<string, FieldSet>();
  if (!isObject(fields)) return { isMember: true, children };
  for (const [element, child] of Object.entries(fields)) {
    if (element !== SELF) children.set(element, fromNode(child));
  }
  return { isMember: children.size === 0 || SELF in fields, children };
}

/** The paths of the set as Kubernetes prints them: .spec.containers[name="web"].image */
export function pathsOf(set: FieldSet, prefix = ''): readonly string[] {
  const own = set.isMember ? [prefix] : [];
  const below = [...set.children].flatMap(([element, child]) =>
    pathsOf(child, prefix + elementText(element)),
  );
  return [...own, ...below];
}

function elementText(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith('f:')) return `.${rest}`;
  if (element.startsWith('v:')) return `[=${rest}]`;
  if (!element.startsWith('k:')) return `[${rest}]`;
  const keys: unknown = JSON.parse(rest);
  const parts = Object.entries(isObject(keys) ? keys : {});
  return `[${parts.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
}
