/**
 * The closed vocabulary of validation errors: one cause per field, worded and named as Kubernetes does.
 * Source: apimachinery pkg/util/validation/field/errors.go.
 */

import type { StatusCause } from './errors.ts';

export type Causes = readonly StatusCause[];

function cause(reason: string, field: string, words: string, detail = ''): StatusCause {
  return { reason, message: detail ? `${words}: ${detail}` : words, field };
}

/** How Kubernetes prints a bad value: strings quoted, the rest as JSON. */
function show(value: unknown): string {
  return JSON.stringify(value) ?? 'null';
}

export function required(field: string, detail = ''): StatusCause {
  return cause('FieldValueRequired', field, 'Required value', detail);
}

export function invalidValue(field: string, value: unknown, detail = ''): StatusCause {
  return cause('FieldValueInvalid', field, `Invalid value: ${show(value)}`, detail);
}

/** The value is none of a closed list, which the message names. */
export function notSupported(field: string, value: unknown, valid: readonly string[]): StatusCause {
  const list = valid.map((each) => `"${each}"`).join(', ');
  return cause(
    'FieldValueNotSupported',
    field,
    `Unsupported value: ${show(value)}`,
    `supported values: ${list}`,
  );
}

export function forbiddenField(field: string, detail = ''): StatusCause {
  return cause('FieldValueForbidden', field, 'Forbidden', detail);
}

export function duplicate(field: string, value: unknown): StatusCause {
  return cause('FieldValueDuplicate', field, `Duplicate value: ${show(value)}`);
}

export function notFoundValue(field: string, value: unknown): StatusCause {
  return cause('FieldValueNotFound', field, `Not found: ${show(value)}`);
}

export function tooLong(field: string, maxBytes: number): StatusCause {
  return cause('FieldValueTooLong', field, 'Too long', `may not be more than ${maxBytes} bytes`);
}

export function tooMany(field: string, actual: number, max: number): StatusCause {
  return cause('FieldValueTooMany', field, `Too many: ${actual}`, `must have at most ${max} items`);
}

/** One invalidValue for each sentence that a check of names.ts returned. */
export function invalidEach(field: string, value: unknown, why: readonly string[]): Causes {
  return why.map((detail) => invalidValue(field, value, detail));
}

/** A text that must be there and pass a check. */
export function requiredName(
  field: string,
  value: string | undefined,
  check: (value: string) => readonly string[],
): Causes {
  return value ? invalidEach(field, value, check(value)) : [required(field)];
}

/** A value that, when present, must be in a closed list. */
export function oneOf(field: string, value: string | undefined, valid: readonly string[]): Causes {
  return value === undefined || valid.includes(value) ? [] : [notSupported(field, value, valid)];
}

/** A value that must be there and be in a closed list. */
export function requiredOneOf(
  field: string,
  value: string | undefined,
  valid: readonly string[],
): Causes {
  return value ? oneOf(field, value, valid) : [required(field)];
}

/** A number that, when present, must not be negative. */
export function notNegative(field: string, value: number | undefined): Causes {
  return value !== undefined && value < 0
    ? [invalidValue(field, value, 'must be greater than or equal to 0')]
    : [];
}

/** A number that, when present, must be above zero. */
export function positive(field: string, value: number | undefined): Causes {
  return value !== undefined && value <= 0
    ? [invalidValue(field, value, 'must be greater than 0')]
    : [];
}

/** The value must be what it was. */
export function immutable(field: string, value: unknown, old: unknown): Causes {
  return isSame(value, old) ? [] : [invalidValue(field, value ?? null, 'field is immutable')];
}

/** Whether two JSON values are equal; absent, null, empty lists and empty maps count as the same. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isEmpty(a) || isEmpty(b)) return isEmpty(a) && isEmpty(b);
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = new Map(Object.entries(a));
  const right = new Map(Object.entries(b));
  return [...new Set([...left.keys(), ...right.keys()])].every((key) =>
    isSame(left.get(key), right.get(key)),
  );
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Runs a check on each item of a list with the item's path. */
export function each<T>(
  field: string,
  list: readonly T[] | null | undefined,
  check: (item: T, path: string, index: number) => Causes,
): Causes {
  return (list ?? []).flatMap((item, index) => check(item, `${field}[${index}]`, index));
}

/** A duplicate for each item whose key came before; items without a key are left out. */
export function unique<T>(
  list: readonly T[] | null | undefined,
  key: (item: T) => string | undefined,
  path: (index: number) => string,
): Causes {
  const seen = new Set<string>();
  return (list ?? []).flatMap((item, index) => {
    const name = key(item);
    if (name === undefined || name === '') return [];
    if (seen.has(name)) return [duplicate(path(index), name)];
    seen.add(name);
    return [];
  });
}
