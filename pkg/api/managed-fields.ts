/**
 * metadata.managedFields: who set which fields of an object. Entries of appliers (operation Apply) hold what they last
 * applied; entries of others (operation Update) what they changed by create, update and patch.
 */

import { decodeObject } from './decode.ts';
import { differenceBetween } from './field-paths.ts';
import {
  differenceOf,
  EMPTY,
  type FieldSet,
  fromFieldsV1,
  isEmptySet,
  isSameSet,
  toFieldsV1,
  unionOf,
  withoutPaths,
} from './field-set.ts';
import { isObject, type JsonObject } from './json.ts';
import type { ManagedFieldsEntry } from './meta.ts';
import { shapeOfType } from './schema.ts';

type Operation = 'Apply' | 'Update';

/** One entry with its fields as a set. */
export interface Manager {
  readonly manager: string;
  readonly operation: Operation;
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string | undefined;
  readonly fields: FieldSet;
}

/** As kube-apiserver: older updaters beyond this many become one entry. */
const UPDATERS_MAX = 10;
const ANCIENT = 'ancient-changes';

/** What nobody owns: the object's identity and what the server alone writes. */
const UNOWNED: readonly (readonly string[])[] = [
  ['f:apiVersion'],
  ['f:kind'],
  ...[
    'name',
    'namespace',
    'uid',
    'creationTimestamp',
    'generation',
    'managedFields',
    'resourceVersion',
    'selfLink',
  ].map((field) => ['f:metadata', `f:${field}`]),
];

/** The set without what nobody owns. */
export function ownable(set: FieldSet): FieldSet {
  return withoutOwnMembership(withoutPaths(set, UNOWNED));
}

function withoutOwnMembership(set: FieldSet): FieldSet {
  const metadata = set.children.get('f:metadata');
  if (!metadata) return set;
  const children = new Map(set.children);
  // metadata itself is always there.
  if (metadata.children.size === 0) children.delete('f:metadata');
  else children.set('f:metadata', { isMember: false, children: metadata.children });
  return { isMember: set.isMember, children };
}

/** The managers in an object's metadata; entries that make no sense are left out. */
export function managersOf(object: object | undefined): readonly Manager[] {
  return entriesOf(object)
    .filter((entry) => entry.operation === 'Apply' || entry.operation === 'Update')
    .map((entry) => ({
      manager: entry.manager ?? '',
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      apiVersion: entry.apiVersion ?? '',
      subresource: entry.subresource ?? '',
      time: entry.time,
      fields: fromFieldsV1(entry.fieldsV1 ?? {}),
    }));
}

function entriesOf(object: object | undefined): readonly ManagedFieldsEntry[] {
  const metadata = isObject(object) ? object['metadata'] : undefined;
  const entries = isObject(metadata) ? metadata['managedFields'] : undefined;
  return Array.isArray(entries) ? entries.filter(isObject) : [];
}

/** The entries as they are stored: appliers first, then by age, as kube-apiserver sorts them. */
export function toEntries(managers: readonly Manager[]): readonly ManagedFieldsEntry[] {
  return managers
    .filter(({ fields }) => !isEmptySet(fields))
    .toSorted(byOperationAndAge)
    .map(({ manager, operation, apiVersion, subresource, time, fields }) => ({
      manager,
      operation,
      apiVersion,
      ...(time === undefined ? {} : { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(subresource ? { subresource } : {}),
    }));
}

function byOperationAndAge(a: Manager, b: Manager): number {
  if (a.operation !== b.operation) return a.operation < b.operation ? -1 : 1;
  if (a.time !== b.time) return (a.time ?? '') < (b.time ?? '') ? -1 : 1;
  return compareText(a.manager, b.manager) || compareText(a.subresource, b.subresource);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export interface TrackRequest {
  /** Full name of the object's type in the table. */
  readonly type: string;
  /** Undefined on create. */
  readonly before: object | undefined;
  readonly after: object;
  readonly manager: string;
  readonly apiVersion: string;
  /** '' for the object itself. */
  readonly subresource: string;
  readonly nowIso: string;
}

/**
 * The managedFields of `after` when `manager` made it from `before` by a create, update or patch: the manager owns what
 * it changed, and all others lose that. Clients may rewrite the entries themselves; `[{}]` clears them.
 */
export function trackManager(request: TrackRequest): readonly ManagedFieldsEntry[] {
  const { type, before, after, manager, apiVersion, subresource, nowIso } = request;
  const shape = shapeOfType(type);
  const base = before ?? decodeObject(type, {}, 'Ignore').object;
  const { changed, removed } = differenceBetween(plain(base), plain(after), shape);
  const gained = ownable(changed);
  const self: Manager = {
    manager,
    operation: 'Update',
    apiVersion,
    subresource,
    time: nowIso,
    fields: gained,
  };
  const known = entriesOf(after).length > 0 ? managersOf(after) : managersOf(before);
  const others = known.map((entry) => {
    const isOwn = isSameManager(entry, self);
    const left = differenceOf(entry.fields, removed);
    return { ...entry, fields: isOwn ? left : differenceOf(left, gained) };
  });
  const own = others.find((entry) => isSameManager(entry, self));
  const rest = others.filter((entry) => entry !== own);
  return toEntries(capped([...rest, grown(own, self)]));
}

/** The entry with what was gained; its time moves only when it gained something. */
function grown(own: Manager | undefined, self: Manager): Manager {
  if (!own) return self;
  const fields = unionOf(own.fields, self.fields);
  return isSameSet(fields, own.fields) && isEmptySet(self.fields) ? own : { ...self, fields };
}

/** Whether two entries are of the same manager: appliers whatever their version, updaters only in one version. */
export function isSameManager(a: Manager, b: Manager): boolean {
  if (a.manager !== b.manager || a.operation !== b.operation) return false;
  if (a.subresource !== b.subresource) return false;
  return a.operation === 'Apply' || a.apiVersion === b.apiVersion;
}

function capped(managers: readonly Manager[]): readonly Manager[] {
  const updaters = managers
    .filter(({ operation, fields }) => operation === 'Update' && !isEmptySet(fields))
    .toSorted(byOperationAndAge);
  if (updaters.length <= UPDATERS_MAX) return managers;
  const ancient = updaters.slice(0, updaters.length - UPDATERS_MAX + 1);
  const merged = new Map<string, Manager>();
  for (const entry of ancient) {
    const same = merged.get(entry.apiVersion);
    const fields = same ? unionOf(same.fields, entry.fields) : entry.fields;
    merged.set(entry.apiVersion, { ...entry, manager: ANCIENT, subresource: '', fields });
  }
  return [...managers.filter((entry) => !ancient.includes(entry)), ...merged.values()];
}

/** All that others than `self` own. */
export function ownedByOthers(managers: readonly Manager[], self: Manager): FieldSet {
  return managers
    .filter((entry) => !isSameManager(entry, self))
    .reduce<FieldSet>((all, { fields }) => unionOf(all, fields), EMPTY);
}

/** The object without its managedFields: they are no fields that anyone owns, and dear to compare. */
export function plain(object: object | undefined): JsonObject {
  if (!isObject(object)) return {};
  const metadata = object['metadata'];
  if (!isObject(metadata) || metadata['managedFields'] === undefined) return object;
  const { managedFields: _, ...rest } = metadata;
  return { ...object, metadata: rest };
}
