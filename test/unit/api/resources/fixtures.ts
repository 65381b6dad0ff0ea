/** Objects and what the server makes of them, for the tests of rows. */

import type { ApiObject, ObjectMeta } from '../../../../pkg/api/meta.ts';
import type { Resource } from '../../../../pkg/api/resource.ts';
import { apiVersionOf, resourceOf } from '../../../../pkg/api/resources.ts';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');

/** The row of a name; throws when there is none. */
export function row(name: string): Resource {
  const found = resourceOf(name);
  if (!found) throw new Error(`No resource ${name}`);
  return found;
}

/** A whole object of a row: metadata of 90 seconds of age filled in. */
export function make(name: string, body: object, metadata: Partial<ObjectMeta> = {}): ApiObject {
  const resource = row(name);
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.gvk[2],
    metadata: {
      name: 'web',
      ...(resource.namespaced ? { namespace: 'default' } : {}),
      uid: 'u-1',
      resourceVersion: '1',
      creationTimestamp: '2025-12-31T23:58:30Z',
      ...metadata,
    },
    ...body,
  };
}

/** The object with its row's defaults. */
export function defaulted(
  name: string,
  body: object,
  metadata: Partial<ObjectMeta> = {},
): ApiObject {
  const object = make(name, body, metadata);
  return row(name).defaults?.(object) ?? object;
}

/** Each cause as `field: message`, of a new object after defaults. */
export function faults(
  name: string,
  body: object,
  metadata: Partial<ObjectMeta> = {},
): readonly string[] {
  const object = defaulted(name, body, metadata);
  return row(name)
    .validate(object)
    .map(({ field, message }) => `${field}: ${message}`);
}

/** Each cause of replacing one by the other, both after defaults. */
export function updateFaults(name: string, from: object, to: object): readonly string[] {
  const causes = row(name).validateUpdate?.(defaulted(name, to), defaulted(name, from)) ?? [];
  return causes.map(({ field, message }) => `${field}: ${message}`);
}

/** The headers of a table, as kubectl prints them; wide ones only if asked. */
export function headers(name: string, isWide = false): readonly string[] {
  return row(name)
    .columns.filter(({ priority = 0 }) => isWide || priority === 0)
    .map((column) => column.name.toUpperCase());
}

/** The cells of an object, in the order of the headers. */
export function cells(name: string, object: ApiObject, isWide = false): readonly unknown[] {
  return row(name)
    .columns.filter(({ priority = 0 }) => isWide || priority === 0)
    .map((column) => column.cell(object, NOW_MS));
}
