/**
 * Typed verbs over a transport. A resource is named by its plural ('pods', 'deployments'); where two groups share
 * a plural, by `plural.group` ('events.events.k8s.io'); the core and the older group win the bare name. Resources that
 * are not in the table (CRDs) are named with their version: `plural.version.group` ('widgets.v1.example.com').
 */

import type { ApiList, ApiObject, Draft, Ref, WatchEvent } from '../api/meta.ts';

export interface ListQuery {
  /** Absent = all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'NotOlderThan' | 'Exact';
  /** Watches only: BOOKMARK events tell how far the stream has come. */
  readonly allowWatchBookmarks?: boolean;
  /** Watches only: the state as ADDED events first, ended by a bookmark. */
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
}

export interface RemoveOptions {
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

export interface PatchOptions {
  readonly type: PatchType;
  readonly subresource?: string;
  readonly fieldManager?: string;
  readonly isForced?: boolean;
}

/** Every verb rejects with a StatusError and takes a last AbortSignal. */
export interface Client {
  get<T extends ApiObject>(resource: string, ref: Ref, signal?: AbortSignal): Promise<T>;
  list<T extends ApiObject>(
    resource: string,
    query?: ListQuery,
    signal?: AbortSignal,
  ): Promise<ApiList<T>>;
  create<T extends ApiObject>(resource: string, object: Draft<T>, signal?: AbortSignal): Promise<T>;
  /** Replaces; fails with Conflict unless metadata.resourceVersion is current. */
  update<T extends ApiObject>(resource: string, object: T, signal?: AbortSignal): Promise<T>;
  updateStatus<T extends ApiObject>(resource: string, object: T, signal?: AbortSignal): Promise<T>;
  /** PUT to a subresource, e.g. updateSub(['namespaces', 'finalize'], namespace). */
  updateSub<T extends ApiObject>(
    path: readonly [resource: string, subresource: string],
    object: T,
    signal?: AbortSignal,
  ): Promise<T>;
  patch<T extends ApiObject>(
    resource: string,
    ref: Ref,
    patch: unknown,
    options: PatchOptions,
    signal?: AbortSignal,
  ): Promise<T>;
  /** Resolves even if the object is gone already. */
  remove(resource: string, ref: Ref, options?: RemoveOptions, signal?: AbortSignal): Promise<void>;
  /** Deletes every object that the query (namespace, selectors) matches. */
  removeAll(
    resource: string,
    query?: ListQuery,
    options?: RemoveOptions,
    signal?: AbortSignal,
  ): Promise<void>;
  /** POST to a subresource, e.g. create('pods', ref, 'binding' | 'eviction' | 'token'). */
  createSub<T>(
    resource: string,
    ref: Ref,
    subresource: string,
    body: unknown,
    signal?: AbortSignal,
  ): Promise<T>;
  watch<T extends ApiObject>(
    resource: string,
    query: ListQuery,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
}

/** Read-only view of synced informers; what it returns is shared and immutable. */
export interface Cache {
  /** Names of the resources that are followed. */
  resources(): readonly string[];
  get<T extends ApiObject>(resource: string, ref: Ref): T | undefined;
  /** All objects, or those of one namespace; served from an index. */
  list<T extends ApiObject>(resource: string, namespace?: string): readonly T[];
  /** Objects whose controlling ownerReference has this owner's uid; served from an index. */
  owned<T extends ApiObject>(resource: string, owner: ApiObject): readonly T[];
  /** Objects for which the index function of that name (Informers.addIndex) returns this value. */
  indexed<T extends ApiObject>(
    resource: string,
    query: { readonly index: string; readonly value: string },
  ): readonly T[];
}
