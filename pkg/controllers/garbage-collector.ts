/**
 * Deletes what has lost all its owners, and helps owners to be deleted: with `foregroundDeletion` their dependents go
 * first, with `orphan` their dependents are cut loose. Keys are items of any resource.
 */

import { isDeepStrictEqual } from 'node:util';
import type { ApiObject, OwnerReference, Ref } from '../api/meta.ts';
import type { Cache } from '../client/client.ts';
import type { Change } from '../client/informer.ts';
import { type Context, type Controller, DONE, type Result } from './controller.ts';
import {
  collectable,
  dependentsOf,
  FOREGROUND,
  findOwner,
  type Item,
  isWaiting,
  itemOf,
  keyRef,
  ORPHAN,
  OWNERS_INDEX,
  ownerItem,
  ownerUids,
} from './owner-graph.ts';

export const garbageCollector: Controller = {
  name: 'garbage-collector',
  concurrency: 20,
  watches: {
    reads: collectable(),
    everyIndex: { [OWNERS_INDEX]: ownerUids },
    everything: concerned,
  },
  async reconcile(key, context, signal) {
    const item = itemOf(key);
    const object = context.cache.resources().includes(item.resource)
      ? context.cache.get(item.resource, item.ref)
      : undefined;
    if (!object) return DONE; // Gone; its dependents have keys of their own.
    const { deletionTimestamp, finalizers = [], ownerReferences = [] } = object.metadata;
    if (deletionTimestamp && finalizers.includes(ORPHAN)) {
      return orphanDependents({ item, object }, context, signal);
    }
    if (isWaiting(object)) return deleteDependents({ item, object }, context, signal);
    if (deletionTimestamp || ownerReferences.length === 0) return DONE;
    return checkOwners({ item, object }, context, signal);
  },
};

interface Subject {
  readonly item: Item;
  readonly object: ApiObject;
}

/** Which items a change concerns. */
function concerned(resource: string, { type, object, old }: Change, cache: Cache): readonly Ref[] {
  const { namespace, name, uid } = object.metadata;
  const own = keyRef({ resource, ref: namespace ? { namespace, name } : { name } });
  if (type === 'deleted') {
    const dependents = dependentsOf(uid, cache).map(({ item }) => keyRef(item));
    return [...dependents, ...waitingOwners(object, cache)];
  }
  if (!old) return isOfInterest(object) ? [own] : [];
  const isSame =
    old.metadata.deletionTimestamp === object.metadata.deletionTimestamp &&
    isDeepStrictEqual(old.metadata.finalizers, object.metadata.finalizers) &&
    isDeepStrictEqual(old.metadata.ownerReferences, object.metadata.ownerReferences);
  if (isSame) return [];
  return [...(isOfInterest(object) ? [own] : []), ...waitingOwners(old, cache)];
}

function isOfInterest({ metadata }: ApiObject): boolean {
  return (metadata.ownerReferences?.length ?? 0) > 0 || metadata.deletionTimestamp !== undefined;
}

function waitingOwners(object: ApiObject, cache: Cache): Ref[] {
  return (object.metadata.ownerReferences ?? []).flatMap((owner) => {
    const item = ownerItem(owner, object);
    if (!item || !cache.resources().includes(item.resource)) return [];
    const found = cache.get(item.resource, item.ref);
    return found && isWaiting(found) ? [keyRef(item)] : [];
  });
}

async function orphanDependents(
  subject: Subject,
  context: Context,
  signal: AbortSignal,
): Promise<Result> {
  const { uid } = subject.object.metadata;
  for (const dependent of dependentsOf(uid, context.cache)) {
    await keepOwners(dependent, (owner) => owner.uid !== uid, { context, signal });
  }
  await removeFinalizer(subject, ORPHAN, { context, signal });
  return DONE;
}

/** Foreground deletion: the owner goes when no dependent that blocks it is left. */
async function deleteDependents(
  subject: Subject,
  context: Context,
  signal: AbortSignal,
): Promise<Result> {
  const { uid } = subject.object.metadata;
  const dependents = dependentsOf(uid, context.cache);
  const blocking = dependents.filter(({ object }) =>
    object.metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.blockOwnerDeletion),
  );
  for (const dependent of dependents) {
    if (!dependent.object.metadata.deletionTimestamp) await checkOwners(dependent, context, signal);
  }
  if (blocking.length === 0) await removeFinalizer(subject, FOREGROUND, { context, signal });
  return DONE;
}

interface Owners {
  readonly solid: readonly OwnerReference[];
  readonly waiting: readonly OwnerReference[];
  readonly gone: readonly OwnerReference[];
}

async function checkOwners(
  subject: Subject,
  context: Context,
  signal: AbortSignal,
): Promise<Result> {
  const { item, object } = subject;
  const { solid, waiting, gone } = await classify(object, context, signal);
  if (waiting.length + gone.length === 0) return DONE;
  if (solid.length > 0) {
    const lost = new Set([...waiting, ...gone].map(({ uid }) => uid));
    await keepOwners(subject, ({ uid }) => !lost.has(uid), { context, signal });
    return DONE;
  }
  const { uid, finalizers = [] } = object.metadata;
  const hasDependents = dependentsOf(uid, context.cache).length > 0;
  const propagationPolicy = policyOf(finalizers, waiting.length > 0 && hasDependents);
  await context.client.remove(
    item.resource,
    item.ref,
    { propagationPolicy, preconditions: { uid } },
    signal,
  );
  context.log.debug('Deleted an object without owners', { resource: item.resource, ...item.ref });
  return DONE;
}

function policyOf(finalizers: readonly string[], isForeground: boolean) {
  if (isForeground || finalizers.includes(FOREGROUND)) return 'Foreground';
  return finalizers.includes(ORPHAN) ? 'Orphan' : 'Background';
}

async function classify(object: ApiObject, context: Context, signal: AbortSignal): Promise<Owners> {
  const solid: OwnerReference[] = [];
  const waiting: OwnerReference[] = [];
  const gone: OwnerReference[] = [];
  for (const owner of object.metadata.ownerReferences ?? []) {
    const item = ownerItem(owner, object);
    // An owner of an unknown kind may well exist: nothing is deleted on a guess.
    const found = item && (await findOwner(owner, item, { ...context, signal }));
    if (!item || (found && !isWaiting(found))) solid.push(owner);
    else if (found) waiting.push(owner);
    else gone.push(owner);
  }
  return { solid, waiting, gone };
}

interface Means {
  readonly context: Context;
  readonly signal: AbortSignal;
}

async function keepOwners(
  { item, object }: Subject,
  isKept: (owner: OwnerReference) => boolean,
  { context, signal }: Means,
): Promise<void> {
  const { resourceVersion, ownerReferences = [] } = object.metadata;
  const kept = ownerReferences.filter(isKept);
  const patch = { metadata: { resourceVersion, ownerReferences: kept } };
  await context.client.patch(item.resource, item.ref, patch, { type: 'merge' }, signal);
}

async function removeFinalizer(
  { item, object }: Subject,
  finalizer: string,
  means: Means,
): Promise<void> {
  const { resourceVersion, finalizers = [] } = object.metadata;
  const kept = finalizers.filter((other) => other !== finalizer);
  const patch = { metadata: { resourceVersion, finalizers: kept } };
  const { client } = means.context;
  await client.patch(item.resource, item.ref, patch, { type: 'merge' }, means.signal);
}
