/**
 * The shape of a resource: a row of data from which the generic REST layer, discovery, tables and the client work.
 * One row a resource, in pkg/api/resources/<group>.ts, collected in pkg/api/resources.ts.
 */

import type { StatusCause } from './errors.ts';
import type { ApiObject } from './meta.ts';

/** What a resource can do whose row names no verbs. */
export const ALL_VERBS: readonly string[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
];

/** A column of the server-side table: kubectl's header, the cell, and how kubectl is to treat it. */
export interface Column<T extends ApiObject> {
  readonly name: string;
  readonly type?: 'string' | 'integer' | 'date' | 'boolean';
  readonly format?: string;
  /** 0 (default) = always shown; 1 = with -o wide. */
  readonly priority?: number;
  readonly description?: string;
  cell(object: T, nowMs: number): string | number | boolean | null;
}

export interface ScalePaths<T extends ApiObject> {
  replicas(object: T): number;
  statusReplicas(object: T): number;
  /** Label selector in its string form. */
  selector(object: T): string;
  withReplicas(object: T, replicas: number): T;
}

/** Reads one selectable field as text; '' when it is not set. */
export type FieldReader<T extends ApiObject> = { read(object: T): string }['read'];

type SubresourceCheck<T extends ApiObject> = {
  check(object: T, old: T): readonly StatusCause[];
}['check'];

/** Where the objects of a row are kept when not as they are. */
interface Storage<T extends ApiObject> {
  /** The resource whose objects they are, as resourceOf names it. */
  readonly resource: string;
  toStorage(object: T): ApiObject;
  fromStorage(stored: ApiObject): T;
}

export interface Resource<T extends ApiObject = ApiObject> {
  /** Group ('' = core), version, kind. */
  readonly gvk: readonly [group: string, version: string, kind: string];
  readonly names: {
    readonly plural: string;
    readonly singular: string;
    readonly short?: readonly string[];
    readonly categories?: readonly string[];
  };
  readonly namespaced: boolean;
  /** Full name of its type in the table of API facts, e.g. 'io.k8s.api.core.v1.Pod'. */
  readonly type: string;
  /** Absent = ALL_VERBS. Reviews have only create. */
  readonly verbs?: readonly string[];
  /** Names of what it has: 'status', 'scale', 'binding', 'eviction', 'log', 'exec', 'token', … */
  readonly subresources?: readonly string[];
  readonly scale?: ScalePaths<T>;
  /** Its objects are made when they are asked for, and never stored. */
  readonly isComputed?: boolean;
  /** Events and Leases: kept in memory, flushed lazily. */
  readonly isVolatile?: boolean;
  /** Whether metadata.generation counts changes of the spec (anything but metadata and status). */
  readonly hasGeneration?: boolean;
  /** Fields that field selectors may name besides metadata.name and metadata.namespace. */
  readonly fields?: Readonly<Record<string, FieldReader<T>>>;
  /**
   * The same objects under another version or group: stored as objects of that resource (its name as in
   * resourceOf), converted by pure functions. Such a row only decodes, defaults, validates and prints.
   */
  readonly storage?: Storage<T>;
  /** The syntax of metadata.name; absent = an RFC 1123 subdomain. Returns what is wrong, in Kubernetes's words. */
  readonly validateName?: (name: string) => readonly string[];
  /** Defaults as Kubernetes applies them on every write. Returns the same object when nothing was missing. */
  defaults?(object: T): T;
  /** Normalises a new object (clears status, sets what the server owns). */
  prepareForCreate?(object: T): T;
  /** Normalises a replacement: keeps what clients may not change through this endpoint. Status is kept generically. */
  prepareForUpdate?(object: T, old: T): T;
  /** Semantic validation beyond types and required fields; metadata is checked by validateMeta. */
  validate(object: T): readonly StatusCause[];
  /** What a new object may not have; run after validate. */
  validateCreate?(object: T): readonly StatusCause[];
  /** What may not change; run after validate. */
  validateUpdate?(object: T, old: T): readonly StatusCause[];
  /** What a write through a subresource may not change, where it changes more than status; by its name. */
  readonly validateSubresource?: Readonly<Record<string, SubresourceCheck<T>>>;
  readonly columns: readonly Column<T>[];
  /** Default grace period of a DELETE in seconds: objects with one are marked first and removed by their owner (pods). */
  graceSeconds?(object: T): number;
}
