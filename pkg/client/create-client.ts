/** The verbs of client.ts as requests to a transport. Stateless: one client may be shared by all. */

import { isReason } from '../api/errors.ts';
import type { ApiList, ApiObject, Ref, WatchEvent } from '../api/meta.ts';
import type { Client, ListQuery, PatchOptions, PatchType, RemoveOptions } from './client.ts';
import { collectionPath, objectPath } from './resource-path.ts';
import type { ApiRequest, Transport } from './transport.ts';

export interface ClientOptions {
  /** Recorded in managedFields as the writer of what this client writes. */
  readonly fieldManager?: string;
}

const PATCH_TYPES: Record<PatchType, string> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

type Send = (request: ApiRequest, signal?: AbortSignal) => Promise<unknown>;

/** Makes a client whose requests go through `transport`. */
export function createClient(transport: Transport, options: ClientOptions = {}): Client {
  const send: Send = (request, signal) => transport.request(request, signal);
  const writer = options.fieldManager ? { fieldManager: options.fieldManager } : {};
  return {
    ...reads(transport),
    ...writes(send, writer),
    ...removals(send),
    ...patches(send, writer),
  };
}

function reads(transport: Transport): Pick<Client, 'get' | 'list' | 'watch'> {
  return {
    async get<T extends ApiObject>(resource: string, ref: Ref, signal?: AbortSignal) {
      const path = objectPath(resource, ref);
      return decode<T>(await transport.request({ method: 'GET', path }, signal));
    },
    async list<T extends ApiObject>(resource: string, query: ListQuery = {}, signal?: AbortSignal) {
      const path = collectionPath(resource, query.namespace);
      const answer = await transport.request({ method: 'GET', path, query: params(query) }, signal);
      return decode<ApiList<T>>(answer);
    },
    watch<T extends ApiObject>(resource: string, query: ListQuery, signal: AbortSignal) {
      const path = collectionPath(resource, query.namespace);
      const watching = { ...params(query), watch: 'true' };
      return decode<AsyncIterable<WatchEvent<T>>>(
        transport.watch({ method: 'GET', path, query: watching }, signal),
      );
    },
  };
}

type Writer = Readonly<Record<string, string>>;

function writes(
  send: Send,
  writer: Writer,
): Pick<Client, 'create' | 'createSub' | 'update' | 'updateStatus' | 'updateSub'> {
  const put = async <T extends ApiObject>(path: string, body: T, signal?: AbortSignal) =>
    decode<T>(await send({ method: 'PUT', path, query: writer, body }, signal));
  return {
    async create(resource, object, signal) {
      const path = collectionPath(resource, object.metadata.namespace);
      return decode(await send({ method: 'POST', path, query: writer, body: object }, signal));
    },
    async createSub(resource, ref, subresource, body, signal) {
      const path = objectPath(resource, ref, subresource);
      return decode(await send({ method: 'POST', path, query: writer, body }, signal));
    },
    update: (resource, object, signal) =>
      put(objectPath(resource, object.metadata), object, signal),
    updateStatus: (resource, object, signal) =>
      put(objectPath(resource, object.metadata, 'status'), object, signal),
    updateSub: ([resource, subresource], object, signal) =>
      put(objectPath(resource, object.metadata, subresource), object, signal),
  };
}

function removals(send: Send): Pick<Client, 'remove' | 'removeAll'> {
  return {
    async remove(resource, ref, options, signal) {
      try {
        await send(
          { method: 'DELETE', path: objectPath(resource, ref), body: deleteOptions(options) },
          signal,
        );
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
      }
    },
    async removeAll(resource, query = {}, options, signal) {
      const path = collectionPath(resource, query.namespace);
      const body = deleteOptions(options);
      await send({ method: 'DELETE', path, query: params(query), body }, signal);
    },
  };
}

function patches(send: Send, writer: Writer): Pick<Client, 'patch'> {
  return {
    async patch<T extends ApiObject>(
      resource: string,
      ref: Ref,
      patch: unknown,
      options: PatchOptions,
      signal?: AbortSignal,
    ) {
      const query = {
        ...writer,
        ...(options.fieldManager ? { fieldManager: options.fieldManager } : {}),
        ...(options.isForced ? { force: 'true' } : {}),
      };
      const path = objectPath(resource, ref, options.subresource);
      const contentType = PATCH_TYPES[options.type];
      return decode<T>(
        await send({ method: 'PATCH', path, query, body: patch, contentType }, signal),
      );
    },
  };
}

function deleteOptions(options: RemoveOptions = {}): object {
  return { kind: 'DeleteOptions', apiVersion: 'v1', ...options };
}

function params({ namespace: _, ...query }: ListQuery): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) out[key] = String(value);
  }
  return out;
}

/** The server answers with objects of the resource that was asked; it has validated them. */
function decode<T>(answer: unknown): T {
  return answer as T;
}
