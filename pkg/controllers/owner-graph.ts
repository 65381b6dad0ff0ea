/** Owners and dependents across all resources that informers follow: the garbage collector's view of the cluster. */

import { isReason } from '../api/errors.ts';
import type { ApiObject, OwnerReference, Ref } from '../api/meta.ts';
import { allResources, nameOf, resourceByKind } from '../api/resources.ts';
import type { Cache, Client } from '../client/client.ts';

/** An object with the resource it is of. */
export interface Item {
  readonly resource: string;
  readonly ref: Ref;
}

/** Name of the index by uid of every owner, controlling or not. */
export const OWNERS_INDEX = 'owners';
export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';

/** The index function of OWNERS_INDEX. */
export function ownerUids({ metadata }: ApiObject): readonly string[] {
  return metadata.ownerReferences?.map(({ uid }) => uid) ?? [];
}

/** An item as a work queue's key: the resource goes before the name. */
export function keyRef({ resource, ref }: Item): Ref {
  return { ...ref, name: `${resource}:${ref.name}` };
}

/** The inverse of keyRef. Names may have colons, resources have none. */
export function itemOf({ namespace, name }: Ref): Item {
  const colon = name.indexOf(':');
  const bare = name.slice(colon + 1);
  const ref = namespace ? { namespace, name: bare } : { name: bare };
  return { resource: name.slice(0, colon), ref };
}

/** The names by which the built-in resources that can be followed and deleted are known; Events own nothing. */
export function collectable(): string[] {
  return allResources.flatMap((row) => {
    const { verbs, names } = row;
    if (verbs && !(verbs.includes('watch') && verbs.includes('delete'))) return [];
    return names.plural === 'events' ? [] : [nameOf(row)];
  });
}

/** Whether an object waits for its dependents to be deleted before it goes. */
export function isWaiting({ metadata }: ApiObject): boolean {
  return Boolean(metadata.deletionTimestamp && metadata.finalizers?.includes(FOREGROUND));
}

/** Objects that name this uid as an owner. */
export function dependentsOf(
  uid: string,
  cache: Cache,
): { readonly item: Item; readonly object: ApiObject }[] {
  return cache.resources().flatMap((resource) =>
    cache.indexed(resource, { index: OWNERS_INDEX, value: uid }).map((object) => {
      const { namespace, name } = object.metadata;
      const ref = namespace ? { namespace, name } : { name };
      return { item: { resource, ref }, object };
    }),
  );
}

/** Where an owner is to be found; undefined when its kind is not known here. */
export function ownerItem(owner: OwnerReference, dependent: ApiObject): Item | undefined {
  const row = rowOf(owner);
  if (!row) return undefined;
  const resource = nameOf(row);
  const { namespace } = dependent.metadata;
  // A cluster-scoped object cannot have an owner in a namespace: there is no telling in which.
  if (row.namespaced && !namespace) return undefined;
  const ref = row.namespaced && namespace ? { namespace, name: owner.name } : { name: owner.name };
  return { resource, ref };
}

/** The row of an owner's kind; an older version of its group will do. */
function rowOf({ apiVersion, kind }: OwnerReference) {
  const group = groupOf(apiVersion);
  return (
    resourceByKind(apiVersion, kind) ??
    allResources.find(({ gvk }) => gvk[0] === group && gvk[2] === kind)
  );
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
}

/** The owner itself: from the cache, or, as the cache may lag behind, from the server. Undefined = it is gone. */
export async function findOwner(
  owner: OwnerReference,
  { resource, ref }: Item,
  {
    client,
    cache,
    signal,
  }: { readonly client: Client; readonly cache: Cache; readonly signal: AbortSignal },
): Promise<ApiObject | undefined> {
  const cached = cache.resources().includes(resource) ? cache.get(resource, ref) : undefined;
  if (cached?.metadata.uid === owner.uid) return cached;
  try {
    const live = await client.get(resource, ref, signal);
    return live.metadata.uid === owner.uid ? live : undefined;
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
