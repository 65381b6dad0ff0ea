/** Columns and cells that many resources share. Cells are worded as kubectl prints them. */

import { ageOf } from '../age.ts';
import type { PodSpec } from '../generated/types.ts';
import type { ApiObject } from '../meta.ts';
import type { Column } from '../resource.ts';

export const NONE = '<none>';
export const UNSET = '<unset>';
export const UNKNOWN = '<unknown>';

/** The first column of nearly every table. */
export const NAME: Column<ApiObject> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description:
    'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically.',
  cell: ({ metadata }) => metadata.name,
};

/** Time since creation. */
export const AGE: Column<ApiObject> = {
  name: 'Age',
  type: 'string',
  description:
    'CreationTimestamp is a timestamp representing the server time when this object was created.',
  cell: ({ metadata }, nowMs) => ageOf(metadata.creationTimestamp, nowMs),
};

/** The columns of resources without a printer of their own. */
export const DEFAULT_COLUMNS: readonly Column<ApiObject>[] = [
  NAME,
  {
    name: 'Created At',
    type: 'date',
    description:
      'CreationTimestamp is a timestamp representing the server time when this object was created.',
    cell: ({ metadata }) => metadata.creationTimestamp,
  },
];

/** NAME and AGE alone. */
export const NAME_AND_AGE: readonly Column<ApiObject>[] = [NAME, AGE];

/** A column of text. */
export function text<T extends ApiObject>(
  name: string,
  cell: (object: T, nowMs: number) => string,
): Column<T> {
  return { name, type: 'string', cell };
}

/** A column of a whole number. */
export function integer<T extends ApiObject>(name: string, cell: (object: T) => number): Column<T> {
  return { name, type: 'integer', cell };
}

/** The column only with -o wide. */
export function wide<T extends ApiObject>(column: Column<T>): Column<T> {
  return { ...column, priority: 1 };
}

/** Names and images of a pod template's containers, both wide. */
export function containerColumns<T extends ApiObject>(
  spec: (object: T) => PodSpec | undefined,
): readonly Column<T>[] {
  return [
    wide(text('Containers', (object) => joined(spec(object)?.containers.map(({ name }) => name)))),
    wide(
      text('Images', (object) => joined(spec(object)?.containers.map(({ image = '' }) => image))),
    ),
  ];
}

/** Comma-separated, "" when there is none. */
export function joined(list: readonly string[] | null | undefined): string {
  return (list ?? []).join(',');
}

/** Comma-separated, "<none>" when there is none. */
export function listed(list: readonly string[] | null | undefined): string {
  return list?.length ? list.join(',') : NONE;
}

/** A map of labels as `a=b,c=d`, "<none>" when empty. */
export function showLabels(labels: Readonly<Record<string, string>> | null | undefined): string {
  const entries = Object.entries(labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return listed(entries.map(([key, value]) => `${key}=${value}`));
}

/** The first few of a list, and how many more there are. */
export function firstOf(list: readonly string[], max: number): string {
  if (list.length === 0) return NONE;
  if (list.length <= max) return list.join(',');
  return `${list.slice(0, max).join(',')} + ${list.length - max} more...`;
}
