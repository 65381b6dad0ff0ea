/**
 * The one way by which objects come into being and change, for clients and for the server itself: defaults, admission,
 * what the server owns, validation, field managers, compare-and-swap.
 */

import { isDeepStrictEqual } from 'node:util';
import { conflict, invalid, isReason, notFound, type StatusCause } from '../api/errors.ts';
import type { ApiObject, Draft, Ref } from '../api/meta.ts';
import { validateMeta, validateMetaUpdate } from '../api/meta-validation.ts';
import type { Resource } from '../api/resource.ts';
import type { Clock } from '../wait/clock.ts';
import type { Admit } from './admit.ts';
import { hasSpecFinalizers, keptMetadata, newMetadata, withGeneration } from './metadata.ts';
import { nextChange } from './next-change.ts';
import { MODIFIED, nameOf, revisionOf, type Storage, type Target } from './storage.ts';
import { mergedThrough } from './subresource-parts.ts';

/** How often a name is generated anew when it is taken. Source: Kubernetes' maxNameGenerationCreateAttempts. */
const NAME_ATTEMPTS = 8;
/** How often a patch is tried again on a newer revision; Kubernetes gives up after 5, which 6 racing clients would notice. */
const CONFLICT_ATTEMPTS = 50;
/** Changes of the server itself lose to nobody but for this many times. */
const OWN_ATTEMPTS = 100;

export interface Writer {
  readonly storage: Storage;
  readonly clock: Clock;
}

/** Records who owns which fields of `next`; `old` is absent on creation. */
export type Track = (next: ApiObject, old: ApiObject | undefined) => ApiObject;

export interface Creation {
  readonly resource: Resource;
  readonly namespace: string;
  readonly draft: Draft<ApiObject>;
  readonly admit?: Admit;
  readonly track?: Track;
  readonly isDryRun?: boolean;
}

/** Creates an object. Throws Invalid, AlreadyExists and whatever admission throws. */
export async function createObject(writer: Writer, creation: Creation): Promise<ApiObject> {
  const { resource, draft } = creation;
  for (let attempt = 1; ; attempt += 1) {
    const object = await newObject(writer, creation);
    const isGenerated = !draft.metadata.name && draft.metadata.generateName !== undefined;
    try {
      if (!creation.isDryRun) return await writer.storage.create(resource, object);
      const target = { resource, ref: object.metadata };
      if (!writer.storage.get(target)) return unstored(object);
      return await writer.storage.create(resource, object);
    } catch (error) {
      if (!isGenerated || attempt === NAME_ATTEMPTS || !isReason(error, 'AlreadyExists'))
        throw error;
    }
  }
}

/** What is only tried out has no revision, not an empty one. */
function unstored(object: ApiObject): ApiObject {
  const { resourceVersion: _none, ...metadata } = object.metadata;
  return { ...object, metadata: metadata as ApiObject['metadata'] };
}

async function newObject(writer: Writer, creation: Creation): Promise<ApiObject> {
  const { resource, namespace, draft, admit, track } = creation;
  const metadata = newMetadata(draft.metadata, {
    namespace: resource.namespaced ? namespace : '',
    nowMs: writer.clock.now(),
    hasGeneration: resource.hasGeneration ?? false,
  });
  const prepared = prepareNew(resource, { ...draft, metadata });
  const admitted = (await admit?.('CREATE', { object: prepared, old: undefined })) ?? prepared;
  const object = withDefaults(resource, admitted);
  refuse(resource, object, [
    ...validateMeta(object, resource),
    ...resource.validate(object),
    ...(resource.validateCreate?.(object) ?? []),
  ]);
  return track?.(object, undefined) ?? object;
}

function prepareNew(resource: Resource, object: ApiObject): ApiObject {
  const defaulted = withDefaults(resource, object);
  return resource.prepareForCreate?.(defaulted) ?? defaulted;
}

function withDefaults(resource: Resource, object: ApiObject): ApiObject {
  return resource.defaults?.(object) ?? object;
}

function refuse(resource: Resource, object: ApiObject, causes: readonly StatusCause[]): void {
  if (causes.length === 0) return;
  const [group, , kind] = resource.gvk;
  throw invalid({ group, kind }, object.metadata.name, causes);
}

export interface Replacement extends Target {
  /** The new object made of the current one; its resourceVersion, if it has one, must be the current one. */
  readonly change: (current: ApiObject) => Draft<ApiObject> | Promise<Draft<ApiObject>>;
  readonly subresource?: string;
  readonly admit?: Admit;
  readonly track?: Track;
  readonly isDryRun?: boolean;
  /** Try again when the write loses a race (patches). */
  readonly isRetried?: boolean;
}

/** Changes an object. Throws NotFound, Conflict, Invalid and whatever change and admission throw. */
export async function changeObject(writer: Writer, replacement: Replacement): Promise<ApiObject> {
  const attempts = replacement.isRetried ? CONFLICT_ATTEMPTS : 1;
  return await attemptChange(writer, replacement, attempts);
}

/** A change by the server itself: no admission, tried until it holds. */
export async function modifyObject(
  writer: Writer,
  target: Target & {
    readonly change: (current: ApiObject) => ApiObject;
    readonly subresource?: string;
  },
): Promise<ApiObject> {
  return await attemptChange(writer, { ...target, isRetried: true }, OWN_ATTEMPTS);
}

/** A change that its maker has just seen fail because the object moved on, though it named no revision. */
class LostRace extends Error {}

async function attemptChange(
  writer: Writer,
  replacement: Replacement,
  attempts: number,
): Promise<ApiObject> {
  for (let attempt = 1; ; attempt += 1) {
    const current = writer.storage.get(replacement);
    if (!current) throw notFound(nameOf(replacement.resource), replacement.ref.name);
    try {
      return await changeOnce(writer, replacement, current);
    } catch (error) {
      if (!(error instanceof LostRace)) throw error;
      if (attempt >= attempts) throw error.cause;
      await nextChange(writer, { target: replacement, seen: current });
    }
  }
}

async function changeOnce(
  writer: Writer,
  replacement: Replacement,
  current: ApiObject,
): Promise<ApiObject> {
  const { resource, change, admit, track, isDryRun } = replacement;
  const proposed = await change(current);
  checkIdentity(replacement, proposed, current);
  const prepared = prepareReplacement(replacement, proposed, current);
  const admitted = (await admit?.('UPDATE', { object: prepared, old: current })) ?? prepared;
  const defaulted = withDefaults(resource, admitted);
  refuse(resource, defaulted, [
    ...validateMeta(defaulted, resource),
    ...validateMetaUpdate(defaulted, current),
    ...resource.validate(defaulted),
    ...(isWhole(replacement) ? (resource.validateUpdate?.(defaulted, current) ?? []) : []),
    ...(resource.validateSubresource?.[replacement.subresource ?? '']?.(defaulted, current) ?? []),
  ]);
  const next = track?.(defaulted, current) ?? defaulted;
  if (isDryRun) return next;
  return await save(writer, { ...replacement, next, current, isPinned: isPinned(proposed) });
}

/** Rules about what may not change hold for the object's own endpoint and status; other subresources exist to break them. */
function isWhole({ subresource = '' }: Replacement): boolean {
  return subresource === '' || subresource === 'status';
}

/** Zero is any revision. */
export function isPinned({ metadata }: Draft<ApiObject>): boolean {
  return Boolean(metadata.resourceVersion) && metadata.resourceVersion !== '0';
}

interface Save extends Replacement {
  readonly next: ApiObject;
  readonly current: ApiObject;
  readonly isPinned: boolean;
}

async function save(writer: Writer, write: Save): Promise<ApiObject> {
  const { resource, next, current } = write;
  try {
    if (isGone(next)) return await writer.storage.delete(write, revisionOf(current));
    if (isDeepStrictEqual(next, current)) return current;
    return await writer.storage.update(resource, next, revisionOf(current));
  } catch (error) {
    if (!isReason(error, 'Conflict') || (write.isPinned && !write.isRetried)) throw error;
    throw new LostRace('Lost a race', { cause: error });
  }
}

/** Whether a deleted object has nothing left that holds it. */
function isGone(object: ApiObject): boolean {
  const { metadata } = object;
  return (
    !hasSpecFinalizers(object) &&
    metadata.deletionTimestamp !== undefined &&
    (metadata.finalizers?.length ?? 0) === 0 &&
    metadata.deletionGracePeriodSeconds === 0
  );
}

function checkIdentity(target: Target, proposed: Draft<ApiObject>, current: ApiObject): void {
  const { resourceVersion, uid } = proposed.metadata;
  const name = nameOf(target.resource);
  if (uid && uid !== current.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`;
    throw conflict(name, current.metadata.name, why);
  }
  if (resourceVersion && !/^\d+$/.test(resourceVersion)) {
    const why = `Invalid value: ${JSON.stringify(resourceVersion)}: must be a resource version that the server gave`;
    refuse(target.resource, current, [{ field: 'metadata.resourceVersion', message: why }]);
  }
  if (isPinned(proposed) && resourceVersion !== current.metadata.resourceVersion) {
    throw conflict(name, current.metadata.name, MODIFIED);
  }
}

function prepareReplacement(
  { resource, subresource = '' }: Replacement,
  proposed: Draft<ApiObject>,
  old: ApiObject,
): ApiObject {
  const metadata = keptMetadata(proposed.metadata, old.metadata);
  const object: ApiObject = { ...proposed, apiVersion: old.apiVersion, kind: old.kind, metadata };
  const merged = mergedThrough(subresource, object, old);
  if (merged) return withGeneration(resource, merged, old);
  const defaulted = withDefaults(resource, object);
  // A binding is the scheduler's word, not a change of what is wanted.
  if (subresource === 'binding') return defaulted;
  if (subresource) return withGeneration(resource, defaulted, old);
  const hasStatus = resource.subresources?.includes('status') ?? false;
  const kept = hasStatus ? withStatusOf(old, defaulted) : defaulted;
  return withGeneration(resource, resource.prepareForUpdate?.(kept, old) ?? kept, old);
}

function withStatusOf(old: ApiObject, object: ApiObject): ApiObject {
  const { status: _status, ...rest } = object as ApiObject & { readonly status?: unknown };
  return 'status' in old ? ({ ...rest, status: old.status } as ApiObject) : rest;
}

/** The reference of an object that a call names. */
export function refIn(namespace: string, name: string): Ref {
  return namespace ? { namespace, name } : { name };
}
