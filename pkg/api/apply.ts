/**
 * Server-side apply: merges a configuration into the live object, refuses to take fields that others own (unless
 * forced), gives up fields that it no longer names, and keeps the account in metadata.managedFields.
 */

import { mergeApplied, pruneReleased } from './apply-merge.ts';
import { decodePartial } from './decode.ts';
import { badRequest, StatusError } from './errors.ts';
import { differenceBetween, fieldsOf } from './field-paths.ts';
import {
  differenceOf,
  EMPTY,
  type FieldSet,
  fromFieldsV1,
  intersectionOf,
  isEmptySet,
  isSameSet,
  pathsOf,
  unionOf,
} from './field-set.ts';
import { isEqual, isObject, type JsonObject } from './json.ts';
import {
  isSameManager,
  type Manager,
  managersOf,
  ownable,
  ownedByOthers,
  plain,
  toEntries,
} from './managed-fields.ts';
import { type Shape, shapeOfType, typeSchema } from './schema.ts';

export interface ApplyRequest {
  /** Full name of the object's type in the table. */
  readonly type: string;
  /** The object as it is stored; undefined when it is to be created. */
  readonly live: object | undefined;
  /** The parsed body: the configuration that `manager` wants, and all of it. */
  readonly applied: unknown;
  readonly manager: string;
  readonly isForced: boolean;
  /** '' for the object itself. */
  readonly subresource: string;
  readonly nowIso: string;
}

/** Never taken out as a whole: it holds the object's name, which nobody owns. */
const IDENTITY = fromFieldsV1({ 'f:metadata': {} });

/** Owns what objects had before the first apply recorded anything. */
const BEFORE_FIRST_APPLY = 'before-first-apply';

/**
 * The new object with its managedFields; the live object itself when nothing changed. Not yet defaulted or validated.
 * Throws BadRequest for fields not in the schema, and Conflict (unless forced) naming the other managers.
 */
export function serverSideApply(request: ApplyRequest): JsonObject {
  const { type, live, manager, isForced, subresource, nowIso } = request;
  const shape = shapeOfType(type);
  const config = configOf(request);
  const apiVersion = String(config['apiVersion']);
  const managers = managersBefore(live, { shape, apiVersion, nowIso });
  const self: Manager = {
    manager,
    operation: 'Apply',
    apiVersion,
    subresource,
    time: nowIso,
    fields: ownable(fieldsOf(config, shape)),
  };
  const last = managers.find((entry) => isSameManager(entry, self));
  const before = plain(live);
  const merged = pruneReleased(
    mergeApplied(before, config, shape),
    {
      last: last?.fields ?? EMPTY,
      current: unionOf(self.fields, IDENTITY),
      others: ownedByOthers(managers, self),
    },
    shape,
  );
  const { changed, removed } = differenceBetween(before, merged, shape);
  const others = managers.filter((entry) => entry !== last);
  if (!isForced) refuseConflicts(others, changed);
  const left = others.map((entry) => ({
    ...entry,
    fields: differenceOf(differenceOf(entry.fields, changed), removed),
  }));
  const isSame = last !== undefined && isSameSet(last.fields, self.fields);
  if (isSame && isEqual(before, merged) && live) return { ...live };
  return withManagers(merged, [...left, isSame ? { ...self, time: last.time } : self]);
}

/** The configuration, checked and canonical, without what apply through this endpoint does not touch. */
function configOf({ type, applied, subresource }: ApplyRequest): JsonObject {
  const metadata = isObject(applied) ? applied['metadata'] : undefined;
  if (isObject(metadata) && isNonEmpty(metadata['managedFields'])) {
    throw badRequest('metadata.managedFields must be nil');
  }
  const config = decodePartial(type, applied);
  const ignored = subresource === 'status' ? 'spec' : 'status';
  if (!typeSchema(type).fields.has('status') || !(ignored in config)) return config;
  return Object.fromEntries(Object.entries(config).filter(([key]) => key !== ignored));
}

function isNonEmpty(list: unknown): boolean {
  return Array.isArray(list) && list.length > 0;
}

/** An object that nobody's account was kept of gets one manager for all that it has. */
function managersBefore(
  live: object | undefined,
  { shape, apiVersion, nowIso }: { shape: Shape; apiVersion: string; nowIso: string },
): readonly Manager[] {
  const managers = managersOf(live);
  if (live === undefined || managers.length > 0) return managers;
  return [
    {
      manager: BEFORE_FIRST_APPLY,
      operation: 'Update',
      apiVersion,
      subresource: '',
      time: nowIso,
      fields: ownable(fieldsOf(plain(live), shape)),
    },
  ];
}

interface ManagerConflict {
  readonly manager: Manager;
  readonly path: string;
}

function refuseConflicts(others: readonly Manager[], changed: FieldSet): void {
  const conflicts = others.flatMap((manager): readonly ManagerConflict[] => {
    const both = intersectionOf(manager.fields, changed);
    return isEmptySet(both) ? [] : pathsOf(both).map((path) => ({ manager, path }));
  });
  if (conflicts.length === 0) return;
  const causes = conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${managerText(manager)}`,
    field: path,
  }));
  throw new StatusError('Conflict', conflictText(conflicts), { causes });
}

function conflictText(conflicts: readonly ManagerConflict[]): string {
  const [first] = conflicts;
  if (first && conflicts.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${managerText(first.manager)}: ${first.path}`;
  }
  const byManager = Map.groupBy(conflicts, ({ manager }) => managerText(manager));
  const lines = [...byManager.keys()]
    .sort()
    .flatMap((text) => [
      `conflicts with ${text}:`,
      ...(byManager.get(text) ?? []).map(({ path }) => `- ${path}`),
    ]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
}

function managerText({ manager, operation, apiVersion, subresource }: Manager): string {
  const through = subresource ? ` with subresource "${subresource}"` : '';
  const using = operation === 'Update' ? ` using ${apiVersion}` : '';
  return `${JSON.stringify(manager)}${through}${using}`;
}

function withManagers(object: JsonObject, managers: readonly Manager[]): JsonObject {
  const metadata = isObject(object['metadata']) ? object['metadata'] : {};
  return { ...object, metadata: { ...metadata, managedFields: toEntries(managers) } };
}
