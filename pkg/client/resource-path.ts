/** Where a resource's objects live in URLs. Names are those of client.ts: bare, with group, or with version and group. */

import type { ApiObject, Ref } from '../api/meta.ts';
import { resourceOf } from '../api/resources.ts';

/** What a URL needs to know of a resource. */
interface ResourceInfo {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

const VERSIONED = /^([^.]+)\.(v\d+(?:(?:alpha|beta)\d+)?)\.(.+)$/;

/** Finds a resource by name; `plural.version.group` needs no row in the table. Throws on an unknown name. */
function resourceInfo(name: string): ResourceInfo {
  const row = resourceOf(name);
  if (row) return { group: row.gvk[0], version: row.gvk[1], plural: row.names.plural };
  const [, plural, version, group] = VERSIONED.exec(name) ?? [];
  if (plural && version && group) return { group, version, plural };
  throw new Error(`Unknown resource "${name}"`);
}

/** The path of a collection; no namespace = across all namespaces, or cluster-scoped. */
export function collectionPath(resource: string, namespace?: string): string {
  const { group, version, plural } = resourceInfo(resource);
  const root = group ? `/apis/${group}/${version}` : `/api/${version}`;
  return namespace ? `${root}/namespaces/${namespace}/${plural}` : `${root}/${plural}`;
}

/** The path of one object, or of its subresource. */
export function objectPath(resource: string, ref: Ref, subresource?: string): string {
  const path = `${collectionPath(resource, ref.namespace)}/${encodeURIComponent(ref.name)}`;
  return subresource ? `${path}/${subresource}` : path;
}

/** The apiVersion and kind that objects of a resource carry; undefined for resources without a row. */
export function kindOf(resource: string): Pick<ApiObject, 'apiVersion' | 'kind'> | undefined {
  const row = resourceOf(resource);
  if (!row) return undefined;
  const [group, version, kind] = row.gvk;
  return { apiVersion: group ? `${group}/${version}` : version, kind };
}
