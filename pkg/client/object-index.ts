/**
 * The objects of one resource, found by key, by namespace, by controlling owner and by custom indexes. An index costs
 * memory from its first use on. Objects are shared with whoever reads them and never changed.
 */

import type { ApiObject, Ref } from '../api/meta.ts';

/** The values under which an object is to be found; none = not at all. */
export type IndexFunction = (object: ApiObject) => readonly string[];

/** Name of the index by uid of the controlling owner. */
export const OWNER_INDEX = 'controller';

type Bucket = Map<string, ApiObject>;

interface Index {
  readonly valuesOf: IndexFunction;
  readonly buckets: Map<string, Set<ApiObject>>;
}

/** The ownerReference of the controller of an object, if it has one. */
export function controllerOf(object: ApiObject) {
  return object.metadata.ownerReferences?.find((owner) => owner.controller);
}

export class ObjectIndex {
  readonly #namespaces = new Map<string, Bucket>();
  readonly #indexes = new Map<string, Index>();
  readonly #functions = new Map<string, IndexFunction>([[OWNER_INDEX, ownerUids]]);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get({ namespace = '', name }: Ref): ApiObject | undefined {
    return this.#namespaces.get(namespace)?.get(name);
  }

  /** Puts an object in place and returns the one it replaces. */
  set(object: ApiObject): ApiObject | undefined {
    const { namespace = '', name } = object.metadata;
    let bucket = this.#namespaces.get(namespace);
    if (!bucket) {
      bucket = new Map();
      this.#namespaces.set(namespace, bucket);
    }
    const old = bucket.get(name);
    bucket.set(name, object);
    if (!old) this.#size += 1;
    for (const index of this.#indexes.values()) {
      if (old) unindex(index, old);
      enter(index, object);
    }
    return old;
  }

  /** Takes an object out and returns it. */
  delete({ namespace = '', name }: Ref): ApiObject | undefined {
    const bucket = this.#namespaces.get(namespace);
    const old = bucket?.get(name);
    if (!bucket || !old) return undefined;
    bucket.delete(name);
    if (bucket.size === 0) this.#namespaces.delete(namespace);
    this.#size -= 1;
    for (const index of this.#indexes.values()) unindex(index, old);
    return old;
  }

  /** All objects, or those of one namespace. */
  list(namespace?: string): ApiObject[] {
    if (namespace !== undefined) return [...(this.#namespaces.get(namespace)?.values() ?? [])];
    const out: ApiObject[] = [];
    for (const bucket of this.#namespaces.values()) {
      for (const object of bucket.values()) out.push(object);
    }
    return out;
  }

  /** Makes an index known under a name; the same name again changes nothing. */
  addIndex(name: string, valuesOf: IndexFunction): void {
    if (!this.#functions.has(name)) this.#functions.set(name, valuesOf);
  }

  /** Objects with this value in an index. Throws on an unknown index. */
  indexed(name: string, value: string): ApiObject[] {
    const index = this.#indexes.get(name) ?? this.#build(name);
    return [...(index.buckets.get(value) ?? [])];
  }

  #build(name: string): Index {
    const valuesOf = this.#functions.get(name);
    if (!valuesOf) throw new Error(`Unknown index "${name}"`);
    const index: Index = { valuesOf, buckets: new Map() };
    for (const object of this.list()) enter(index, object);
    this.#indexes.set(name, index);
    return index;
  }
}

function ownerUids(object: ApiObject): readonly string[] {
  const owner = controllerOf(object);
  return owner ? [owner.uid] : [];
}

function enter(index: Index, object: ApiObject): void {
  for (const value of index.valuesOf(object)) {
    const bucket = index.buckets.get(value);
    if (bucket) bucket.add(object);
    else index.buckets.set(value, new Set([object]));
  }
}

function unindex(index: Index, object: ApiObject): void {
  for (const value of index.valuesOf(object)) {
    const bucket = index.buckets.get(value);
    if (bucket?.delete(object) && bucket.size === 0) index.buckets.delete(value);
  }
}
