/**
 * Which objects a controller of replicas controls: it adopts orphans that its selector matches and releases what it
 * owns but no longer matches. Others' objects are never touched.
 */

import { isReason } from '../api/errors.ts';
import type { ApiObject, OwnerReference } from '../api/meta.ts';
import { matchesLabels, type Selector } from '../api/selectors.ts';
import { controllerOf } from '../client/object-index.ts';
import type { Context } from './controller.ts';

/** Name of the index of objects without a controller, by namespace. */
export const ORPHANS = 'orphans';

/** The index function of ORPHANS. */
export function orphanNamespaces(object: ApiObject): readonly string[] {
  return controllerOf(object) ? [] : [object.metadata.namespace ?? ''];
}

export interface ClaimOptions {
  readonly resource: string;
  readonly owner: ApiObject;
  readonly selector: Selector;
}

/** The ownerReference that makes `owner` the controller. */
export function controllerReference({ apiVersion, kind, metadata }: ApiObject): OwnerReference {
  const { name, uid } = metadata;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** The objects that `owner` controls after adopting and releasing. */
export async function claim<T extends ApiObject>(
  { client, cache }: Context,
  options: ClaimOptions,
  signal: AbortSignal,
): Promise<T[]> {
  const { resource, owner, selector } = options;
  const isLeaving = owner.metadata.deletionTimestamp !== undefined;
  const claimed: T[] = [];
  for (const object of cache.owned<T>(resource, owner)) {
    if (isLeaving || matchesLabels(selector, object.metadata.labels)) claimed.push(object);
    else await ifStillThere(client.update(resource, released(object, owner), signal));
  }
  if (isLeaving) return claimed;
  const value = owner.metadata.namespace ?? '';
  for (const orphan of cache.indexed<T>(resource, { index: ORPHANS, value })) {
    if (orphan.metadata.deletionTimestamp || !matchesLabels(selector, orphan.metadata.labels))
      continue;
    const adopted = await ifStillThere(client.update(resource, taken(orphan, owner), signal));
    if (adopted) claimed.push(adopted);
  }
  return claimed;
}

function released<T extends ApiObject>(object: T, owner: ApiObject): T {
  const ownerReferences = object.metadata.ownerReferences?.filter(
    ({ uid }) => uid !== owner.metadata.uid,
  );
  return { ...object, metadata: { ...object.metadata, ownerReferences: ownerReferences ?? [] } };
}

function taken<T extends ApiObject>(object: T, owner: ApiObject): T {
  const others = (object.metadata.ownerReferences ?? []).filter(
    ({ uid }) => uid !== owner.metadata.uid,
  );
  const ownerReferences = [...others, controllerReference(owner)];
  return { ...object, metadata: { ...object.metadata, ownerReferences } };
}

async function ifStillThere<T>(write: Promise<T>): Promise<T | undefined> {
  try {
    return await write;
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
