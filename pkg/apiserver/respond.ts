/** Turns objects and lists into answers in the form that the client asked for. */

import type { ApiList, ApiObject } from '../api/meta.ts';
import type { ServerResponse } from './contract.ts';
import type { Call, Parts } from './parts.ts';
import { metadataOf, tableOf } from './table.ts';

export interface Answer {
  readonly status?: number;
  /** Sent as Warning headers. */
  readonly warnings?: readonly string[];
}

/** Answers with one object. */
export function respondObject(
  parts: Parts,
  call: Call,
  answer: Answer & { readonly object: ApiObject },
): ServerResponse {
  const { object, status = 200, warnings = [] } = answer;
  return { kind: 'object', status, body: shapeObject(parts, call, object), ...warned(warnings) };
}

/** Answers with a list. */
export function respondList(parts: Parts, call: Call, found: ApiList): ServerResponse {
  return { kind: 'object', status: 200, body: shapeList(parts, call, found) };
}

/** The object in the asked form: as it is, as a Table with one row, or its metadata. */
function shapeObject(parts: Parts, { form, resource, request }: Call, object: ApiObject): object {
  if (form.shape === 'object') return object;
  if (form.shape === 'metadata') return metadataOf(object, form.version);
  return tableOf({
    resource,
    items: [object],
    metadata: { resourceVersion: object.metadata.resourceVersion },
    include: request.query.get('includeObject'),
    version: form.version,
    nowMs: parts.clock.now(),
  });
}

function shapeList(parts: Parts, { form, resource, request }: Call, found: ApiList): object {
  if (form.shape === 'object') return found;
  const { items, metadata } = found;
  if (form.shape === 'metadata') {
    return {
      kind: 'PartialObjectMetadataList',
      apiVersion: `meta.k8s.io/${form.version}`,
      metadata,
      items: items.map((item) => metadataOf(item, form.version)),
    };
  }
  const include = request.query.get('includeObject');
  const nowMs = parts.clock.now();
  return tableOf({ resource, items, metadata, include, version: form.version, nowMs });
}

function warned(warnings: readonly string[]): {
  readonly headers?: Readonly<Record<string, string>>;
} {
  if (warnings.length === 0) return {};
  const values = warnings.map((text) => `299 - "${text.replaceAll(/[\\"]/g, '\\$&')}"`);
  return { headers: { warning: values.join(', ') } };
}
