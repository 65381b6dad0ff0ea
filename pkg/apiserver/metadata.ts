/** What the server owns in an object's metadata: identity, times, generation. */

import { randomInt, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ApiObject, Draft, ObjectMeta } from '../api/meta.ts';
import type { Resource } from '../api/resource.ts';

/** Characters of generated names: no vowels, no look-alikes, as in Kubernetes. */
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;
/** Longest generated name, as in Kubernetes. */
const GENERATED_NAME_MAX = 63;

/** RFC 3339 with whole seconds. */
export function timestamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** Metadata of a new object: what the client may set, completed by the server. */
export function newMetadata(
  draft: Partial<ObjectMeta>,
  { namespace, nowMs, hasGeneration }: { namespace: string; nowMs: number; hasGeneration: boolean },
): ObjectMeta {
  const {
    selfLink: _selfLink,
    deletionTimestamp: _deletion,
    deletionGracePeriodSeconds: _grace,
    generation: _generation,
    uid: _uid,
    ...kept
  } = draft;
  return {
    ...kept,
    name: draft.name || generatedName(draft.generateName),
    ...(namespace ? { namespace } : {}),
    uid: randomUUID(),
    resourceVersion: '',
    creationTimestamp: timestamp(nowMs),
    ...(hasGeneration ? { generation: 1 } : {}),
  };
}

function generatedName(base = ''): string {
  if (!base) return '';
  let suffix = '';
  for (let i = 0; i < SUFFIX_LENGTH; i += 1) {
    suffix += SUFFIX_ALPHABET[randomInt(SUFFIX_ALPHABET.length)];
  }
  return base.slice(0, GENERATED_NAME_MAX - SUFFIX_LENGTH) + suffix;
}

/** Metadata of a replacement: the server's own fields stay as they are. */
export function keptMetadata(next: Draft<ApiObject>['metadata'], old: ObjectMeta): ObjectMeta {
  const {
    generation: _generation,
    deletionTimestamp: _deletion,
    deletionGracePeriodSeconds: _grace,
    namespace: _namespace,
    selfLink: _selfLink,
    ...kept
  } = next;
  return {
    ...kept,
    name: old.name,
    ...(old.namespace ? { namespace: old.namespace } : {}),
    uid: old.uid,
    resourceVersion: old.resourceVersion,
    creationTimestamp: old.creationTimestamp,
    ...(old.generation === undefined ? {} : { generation: old.generation }),
    ...(old.deletionTimestamp === undefined ? {} : { deletionTimestamp: old.deletionTimestamp }),
    ...(old.deletionGracePeriodSeconds === undefined
      ? {}
      : { deletionGracePeriodSeconds: old.deletionGracePeriodSeconds }),
  };
}

/** The replacement with its generation counted up if anything but metadata and status changed. */
export function withGeneration(resource: Resource, next: ApiObject, old: ApiObject): ApiObject {
  if (!resource.hasGeneration || isDeepStrictEqual(desired(next), desired(old))) return next;
  return {
    ...next,
    metadata: { ...next.metadata, generation: (old.metadata.generation ?? 0) + 1 },
  };
}

function desired(object: ApiObject): object {
  const {
    metadata: _metadata,
    status: _status,
    ...rest
  } = object as ApiObject & {
    readonly status?: unknown;
  };
  return rest;
}

/** Namespaces are held by finalizers in their spec and say in their phase that they go. */
export function hasSpecFinalizers(object: ApiObject): boolean {
  const spec = (object as { readonly spec?: { readonly finalizers?: readonly string[] } }).spec;
  return object.kind === 'Namespace' && (spec?.finalizers?.length ?? 0) > 0;
}
