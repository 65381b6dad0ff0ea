/** Which part of an object a write through a subresource may change; all else stays as it was. Pure. */

import type { ApiObject } from '../api/meta.ts';

type Merge = (next: ApiObject, old: ApiObject) => ApiObject;
type Fields = Readonly<Record<string, unknown>>;

const MERGES: Readonly<Record<string, Merge>> = {
  status: withStatus,
  approval: withStatus,
  ephemeralcontainers: (next, old) => withSpec(next, old, ['ephemeralContainers']),
  resize: (next, old) => withSpec(withSizes(next, old), old, RESIZED),
};

const LISTS = ['containers', 'initContainers'] as const;
const RESIZED = [...LISTS, 'resources'];

/** Of each container only what a resize is about; validation sees added, missing and renamed ones as they are. */
function withSizes(next: ApiObject, old: ApiObject): ApiObject {
  const spec: Record<string, unknown> = { ...specOf(next) };
  for (const list of LISTS) {
    const [ours, theirs] = [containersOf(old, list), containersOf(next, list)];
    const isSameSet =
      ours.length === theirs.length && ours.every(({ name }, at) => theirs[at]?.['name'] === name);
    if (isSameSet && theirs.length > 0) {
      spec[list] = ours.map((container, at) => {
        const { resources: _resources, resizePolicy: _policy, ...rest } = container;
        const { resources, resizePolicy } = theirs[at] ?? {};
        return {
          ...rest,
          ...(resources ? { resources } : {}),
          ...(resizePolicy ? { resizePolicy } : {}),
        };
      });
    }
  }
  return { ...next, spec } as ApiObject;
}

function containersOf(object: ApiObject, list: string): readonly Fields[] {
  const found = specOf(object)[list];
  return Array.isArray(found) ? found : [];
}

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
