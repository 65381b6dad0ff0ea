/** Which part of an object a write through a subresource may change; all else stays as it was. Pure. */

import type { ApiObject } from '../api/meta.ts';

type Merge = (next: ApiObject, old: ApiObject) => ApiObject;
type Fields = Readonly<Record<string, unknown>>;

const MERGES: Readonly<Record<string, Merge>> = {
  status: withStatus,
  approval: withStatus,
  ephemeralcontainers: (next, old) => withSpec(next, old, ['ephemeralContainers']),
  resize: (next, old) => withSpec(next, old, ['containers', 'initContainers', 'resources']),
};

/** The old object with what the subresource may change taken from the new one; undefined if it may change all. */
export function mergedThrough(
  subresource: string,
  next: ApiObject,
  old: ApiObject,
): ApiObject | undefined {
  return MERGES[subresource]?.(next, old);
}

/** The object with the status of another, or with none if that has none. */
function withStatus(next: ApiObject, old: ApiObject): ApiObject {
  const { status: _status, ...rest } = old as ApiObject & { readonly status?: unknown };
  const merged = 'status' in next ? { ...rest, status: next.status } : rest;
  const { ownerReferences: _owners, ...metadata } = next.metadata;
  const { ownerReferences } = old.metadata;
  return { ...merged, metadata: ownerReferences ? { ...metadata, ownerReferences } : metadata };
}

function withSpec(next: ApiObject, old: ApiObject, names: readonly string[]): ApiObject {
  const spec: Record<string, unknown> = { ...specOf(old) };
  for (const name of names) {
    if (specOf(next)[name] === undefined) delete spec[name];
    else spec[name] = specOf(next)[name];
  }
  return { ...old, metadata: next.metadata, spec } as ApiObject;
}

function specOf(object: ApiObject): Fields {
  return (object as ApiObject & { readonly spec?: Fields }).spec ?? {};
}
