/** Which objects a list, watch or deletecollection is about: label and field selectors, parsed once and checked. */

import { badRequest } from '../api/errors.ts';
import { type FieldSelector, matchesFields, parseFieldSelector } from '../api/field-selectors.ts';
import type { ApiObject } from '../api/meta.ts';
import type { Resource } from '../api/resource.ts';
import { matchesLabels, parseLabelSelector, SelectorError } from '../api/selectors.ts';

export interface Selection {
  /** Whether every object is selected. */
  readonly isEverything: boolean;
  matches(object: ApiObject): boolean;
}

const EVERYTHING: Selection = { isEverything: true, matches: () => true };

/** The selection that a query asks for. Throws BadRequest for selectors that cannot be read or name unknown fields. */
export function selectionOf(resource: Resource, query: URLSearchParams): Selection {
  const labelText = query.get('labelSelector') ?? '';
  const fieldText = query.get('fieldSelector') ?? '';
  if (!labelText && !fieldText) return EVERYTHING;
  const labels = parsed(() => parseLabelSelector(labelText), 'labelSelector');
  const fields = parsed(() => parseFieldSelector(fieldText), 'fieldSelector');
  checkFields(resource, fields);
  return {
    isEverything: labels.length === 0 && fields.length === 0,
    matches: (object) =>
      matchesLabels(labels, object.metadata.labels) &&
      matchesFields(fields, (field) => readField(resource, object, field)),
  };
}

function parsed<T>(parse: () => T, parameter: string): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    throw badRequest(`unable to parse the query parameter ${parameter}: ${error.message}`, error);
  }
}

function checkFields(resource: Resource, fields: FieldSelector): void {
  for (const { field } of fields) {
    if (isMetaField(field) || resource.fields?.[field]) continue;
    throw badRequest(`field label not supported: ${field}`);
  }
}

function isMetaField(field: string): boolean {
  return field === 'metadata.name' || field === 'metadata.namespace';
}

function readField(resource: Resource, object: ApiObject, field: string): string | undefined {
  if (field === 'metadata.name') return object.metadata.name;
  if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
  return resource.fields?.[field]?.(object) ?? '';
}
