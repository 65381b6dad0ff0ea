/**
 * Objects in the store: keys, JSON, one decoded object per revision, and the store's errors turned into API errors.
 * The only part of the server that calls the store. What it returns is shared: never change it.
 */

import { alreadyExists, conflict, expired, notFound, unavailable } from '../api/errors.ts';
import type { ApiObject, Ref } from '../api/meta.ts';
import type { Resource } from '../api/resource.ts';
import { resourceOf } from '../api/resources.ts';
import {
  type Backend,
  Compacted,
  KeyNotFound,
  type KeyValue,
  ReadOnly,
  RevisionConflict,
  type StoreEvent,
} from '../store/backend.ts';
import { ownBytes } from '../store/value.ts';
import { Encodings } from './encodings.ts';

/** What a write that lost a race is told; clients match on this text. */
export const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

export interface Target {
  readonly resource: Resource;
  readonly ref: Ref;
}

export interface StoredPage {
  readonly items: readonly KeyValue[];
  readonly revision: number;
  readonly remaining: number;
}

export class Storage {
  readonly store: Backend;
  readonly encodings = new Encodings();
  /** By resource, as one value may be shown as several resources. */
  readonly #objects = new WeakMap<Resource, WeakMap<KeyValue, ApiObject>>();

  constructor(store: Backend) {
    this.store = store;
  }

  get({ resource, ref }: Target): ApiObject | undefined {
    const found = this.store.get(keyFor(resource, ref));
    return found && this.objectOf(resource, found);
  }

  list(resource: Resource, namespace?: string): StoredPage {
    return this.store.list(prefixFor(resource, namespace));
  }

  /** As they were at a revision. Rejects with Expired when that is not known any more. */
  async listAt(resource: Resource, namespace: string, revision: number): Promise<StoredPage> {
    try {
      return await this.store.listAt(prefixFor(resource, namespace), revision);
    } catch (error) {
      if (!(error instanceof Compacted)) throw error;
      throw expired('The resourceVersion for the provided list is too old.');
    }
  }

  /**
   * The decoded value as an object of this resource; the same object for the same value. Only volatile ones are decoded
   * each time: they are many, and seldom read.
   */
  objectOf(resource: Resource, stored: KeyValue): ApiObject {
    const objects = this.#objectsOf(resource);
    const known = objects.get(stored);
    if (known) return known;
    const decoded = decodeStored(stored.value);
    const object = resource.storage?.fromStorage(decoded) ?? decoded;
    if (!resource.isVolatile) objects.set(stored, object);
    if (!resource.storage) this.encodings.remember(object, stored.value);
    return object;
  }

  /** The last state of a deleted object, with the deletion's revision, as watchers of Kubernetes see it. */
  deletedObjectOf(resource: Resource, event: StoreEvent): ApiObject {
    const objects = this.#objectsOf(resource);
    const known = objects.get(event.current);
    if (known) return known;
    const last = this.objectOf(resource, event.previous ?? event.current);
    const object = stamped(last, event.current.revision);
    objects.set(event.current, object);
    return object;
  }

  async create(resource: Resource, object: ApiObject): Promise<ApiObject> {
    return await this.#put({ resource, object, expected: 0 });
  }

  /** Replaces the object if it still is at `expected`. */
  async update(resource: Resource, object: ApiObject, expected: number): Promise<ApiObject> {
    return await this.#put({ resource, object, expected });
  }

  /** Deletes the object if it still is at `expected`; resolves to its last state with the deletion's revision. */
  async delete(target: Target, expected: number): Promise<ApiObject> {
    const key = keyFor(target.resource, target.ref);
    try {
      const gone = await this.store.delete(key, { expected, ...volatility(target.resource) });
      const last = decodeStored(gone.value);
      return stamped(target.resource.storage?.fromStorage(last) ?? last, gone.revision);
    } catch (error) {
      throw translated(error, target);
    }
  }

  async #put(write: {
    resource: Resource;
    object: ApiObject;
    expected: number;
  }): Promise<ApiObject> {
    const { resource, object, expected } = write;
    const key = keyFor(resource, object.metadata);
    const kept = resource.storage?.toStorage(object) ?? object;
    try {
      const stored = await this.store.put(
        key,
        (revision) => ownBytes(JSON.stringify(stamped(kept, revision))),
        { expected, ...volatility(resource) },
      );
      return this.objectOf(resource, stored);
    } catch (error) {
      throw translated(error, { resource, ref: object.metadata, isCreate: expected === 0 });
    }
  }

  #objectsOf(resource: Resource): WeakMap<KeyValue, ApiObject> {
    let objects = this.#objects.get(resource);
    if (!objects) {
      objects = new WeakMap();
      this.#objects.set(resource, objects);
    }
    return objects;
  }
}

/** The revision at which an object was read. */
export function revisionOf(object: ApiObject): number {
  return Number(object.metadata.resourceVersion);
}

/** The row of a resource that the server itself names. */
export function rowOf(name: string): Resource {
  const row = resourceOf(name);
  if (!row) throw new Error(`No resource "${name}"`);
  return row;
}

/** `plural` and `group` of a resource, as errors name it. */
export function nameOf({ names, gvk }: Resource): { plural: string; group: string } {
  return { plural: names.plural, group: gvk[0] };
}

/** Key prefix of a resource, or of its objects in one namespace. Ends with a slash. */
export function prefixFor(resource: Resource, namespace?: string): string {
  const { gvk, names, namespaced } = resource.storage ? rowOf(resource.storage.resource) : resource;
  const root = `/registry/${gvk[0] || 'core'}/${names.plural}/`;
  return namespaced && namespace ? `${root}${namespace}/` : root;
}

/** Key of one object. */
export function keyFor(resource: Resource, ref: Ref): string {
  return `${prefixFor(resource, ref.namespace)}${ref.name}`;
}

function volatility(resource: Resource): { readonly isVolatile?: true } {
  return resource.isVolatile ? { isVolatile: true } : {};
}

function stamped(object: ApiObject, revision: number): ApiObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}

function decodeStored(value: Buffer): ApiObject {
  return JSON.parse(value.toString('utf8')) as ApiObject;
}

function translated(error: unknown, target: Target & { readonly isCreate?: boolean }): unknown {
  const name = nameOf(target.resource);
  if (error instanceof KeyNotFound) return notFound(name, target.ref.name);
  if (error instanceof RevisionConflict) {
    if (target.isCreate) return alreadyExists(name, target.ref.name);
    if (error.actual === 0) return notFound(name, target.ref.name);
    return conflict(name, target.ref.name, MODIFIED);
  }
  if (error instanceof ReadOnly)
    return unavailable(`the store takes no writes: ${error.message}`, error);
  return error;
}
