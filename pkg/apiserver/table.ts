/** Server-side printing: objects as rows of a meta.k8s.io Table, and objects reduced to their metadata. Pure. */

import type { ApiList, ApiObject } from '../api/meta.ts';
import type { Column, Resource } from '../api/resource.ts';

export interface TableRequest {
  readonly resource: Resource;
  readonly items: readonly ApiObject[];
  readonly metadata: ApiList['metadata'];
  /** Of the includeObject parameter: Object, None, or Metadata (also when absent). */
  readonly include: string | null;
  readonly version: 'v1' | 'v1beta1';
  readonly nowMs: number;
  /** Rows of a watch after the first come without column definitions. */
  readonly isHeadless?: boolean;
}

/** A Table of these objects with the columns of their resource. */
export function tableOf(request: TableRequest): object {
  const { resource, items, metadata, version, isHeadless } = request;
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: isHeadless ? [] : resource.columns.map(definitionOf),
    rows: items.map((item) => rowOf(request, item)),
  };
}

/** The object's metadata as PartialObjectMetadata. */
export function metadataOf(object: ApiObject, version: 'v1' | 'v1beta1'): ApiObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: `meta.k8s.io/${version}`,
    metadata: object.metadata,
  };
}

function definitionOf({
  name,
  type = 'string',
  format,
  priority = 0,
  description,
}: Column<ApiObject>) {
  const isName = name === 'Name';
  return {
    name,
    type,
    format: format ?? (isName ? 'name' : ''),
    description: description ?? '',
    priority,
  };
}

function rowOf({ resource, include, version, nowMs }: TableRequest, object: ApiObject) {
  const cells = resource.columns.map((column) => column.cell(object, nowMs));
  if (include === 'None') return { cells };
  return { cells, object: include === 'Object' ? object : metadataOf(object, version) };
}
