/** GET of a collection: which revision, which objects, in chunks. */

import { badRequest, expired, invalid, StatusError } from '../api/errors.ts';
import type { ApiList, ApiObject } from '../api/meta.ts';
import type { Resource } from '../api/resource.ts';
import type { KeyValue } from '../store/backend.ts';
import { type Kept, readToken, writeToken } from './chunks.ts';
import type { ServerResponse } from './contract.ts';
import type { Call, Parts } from './parts.ts';
import { respondList } from './respond.ts';
import { type Selection, selectionOf } from './selection.ts';
import { keyFor, prefixFor } from './storage.ts';

/** Serves a list. Throws BadRequest, Invalid, Expired, Timeout. */
export async function list(parts: Parts, call: Call): Promise<ServerResponse> {
  return respondList(parts, call, await collect(parts, call));
}

/** The list that a call's query asks for. */
export async function collect(parts: Parts, { request, resource, route }: Call): Promise<ApiList> {
  const { query } = request;
  const selection = selectionOf(resource, query);
  const limit = wholeNumber(query, 'limit');
  const token = query.get('continue');
  checkMatch(resource, query);
  const namespace = route.namespace;
  checkContinuation(query);
  if (token) return nextChunk(parts, { resource, selection, limit, namespace, token });
  const revision = exactRevision(resource, query, parts.storage.store.revision);
  const found =
    revision === undefined
      ? parts.storage.list(resource, namespace)
      : await parts.storage.listAt(resource, namespace, revision);
  return chunk(parts, { resource, selection, limit, ...found });
}

interface Ask {
  readonly resource: Resource;
  readonly selection: Selection;
  /** 0 = all. */
  readonly limit: number;
}

function nextChunk(
  parts: Parts,
  ask: Ask & { readonly namespace: string; readonly token: string },
): ApiList {
  const token = readToken(ask.token);
  const kept = parts.chunks.find(token);
  const prefix = prefixFor(ask.resource, ask.namespace);
  const { items, revision } = kept ?? parts.storage.list(ask.resource, ask.namespace);
  // A list that was kept for another path may hold what this user may not see.
  const isOfPath = [items[0], items.at(-1)].every((item) => item?.key.startsWith(prefix) ?? true);
  if (!isOfPath || !token.after.startsWith(prefix)) {
    throw badRequest('continue key is not valid: it was given for another list');
  }
  const start = items.findIndex(({ key }) => key > token.after);
  const rest = start < 0 ? [] : items.slice(start);
  return chunk(parts, { ...ask, items: rest, revision, ...(token.id ? { id: token.id } : {}) });
}

/** At most `limit` matching objects; what is left is kept for the next chunk. */
function chunk(parts: Parts, ask: Ask & Kept & { readonly id?: string }): ApiList {
  const { resource, selection, limit, items, revision } = ask;
  const taken: ApiObject[] = [];
  let next = 0;
  for (; next < items.length && (limit === 0 || taken.length < limit); next += 1) {
    const object = parts.storage.objectOf(resource, items[next] as KeyValue);
    if (selection.isEverything || selection.matches(object)) taken.push(object);
  }
  const isMore = next < items.length && hasMatch(parts, ask, items.slice(next));
  const last = taken.at(-1);
  const more =
    isMore && last
      ? {
          continue: writeToken({
            id: ask.id ?? parts.chunks.keep({ items, revision }),
            revision,
            after: keyFor(resource, last.metadata),
          }),
          ...(selection.isEverything ? { remainingItemCount: items.length - next } : {}),
        }
      : {};
  return listOf(resource, {
    metadata: { resourceVersion: String(revision), ...more },
    items: taken,
  });
}

function hasMatch(parts: Parts, { resource, selection }: Ask, items: readonly KeyValue[]): boolean {
  if (selection.isEverything) return true;
  return items.some((item) => selection.matches(parts.storage.objectOf(resource, item)));
}

/** A list object of a resource. */
export function listOf(resource: Resource, list: Pick<ApiList, 'metadata' | 'items'>): ApiList {
  const [group, version, kind] = resource.gvk;
  return { kind: `${kind}List`, apiVersion: group ? `${group}/${version}` : version, ...list };
}

/** Refuses parameters that make no sense for the further chunks of a list, or for any list. */
function checkContinuation(query: URLSearchParams): void {
  const revision = query.get('resourceVersion') ?? '';
  if (query.get('continue') && revision !== '' && revision !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  if (query.get('sendInitialEvents') === null) return;
  throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [
    {
      field: 'sendInitialEvents',
      message: 'Forbidden: sendInitialEvents is forbidden for list',
    },
  ]);
}

/** Refuses combinations of parameters that Kubernetes refuses. */
function checkMatch(resource: Resource, query: URLSearchParams): void {
  const match = query.get('resourceVersionMatch');
  if (!match) return;
  const causes: string[] = [];
  if (!query.get('resourceVersion')) {
    causes.push('Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided');
  }
  if (query.get('continue')) {
    causes.push('Forbidden: resourceVersionMatch is forbidden when continue is provided');
  }
  if (match !== 'Exact' && match !== 'NotOlderThan') {
    causes.push(`Unsupported value: "${match}": supported values: "Exact", "NotOlderThan"`);
  }
  if (match === 'Exact' && query.get('resourceVersion') === '0') {
    causes.push('Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"');
  }
  if (causes.length === 0) return;
  const gk = { group: 'meta.k8s.io', kind: 'ListOptions' };
  throw invalid(
    gk,
    resource.names.plural,
    causes.map((message) => ({ field: 'resourceVersionMatch', message })),
  );
}

/** The past revision that is asked for; undefined for the state as it is. Throws Timeout, Expired. */
function exactRevision(
  { isVolatile }: Resource,
  query: URLSearchParams,
  current: number,
): number | undefined {
  const text = query.get('resourceVersion') ?? '';
  if (text === '') return undefined;
  const asked = revisionIn(text);
  if (asked > current) throw futureRevision(asked, current);
  const isExact = query.get('resourceVersionMatch') === 'Exact';
  const isLegacyExact =
    !query.get('resourceVersionMatch') && Number(query.get('limit')) > 0 && asked > 0;
  if (asked === current || !(isExact || isLegacyExact)) return undefined;
  // Not every state that such an object has been in is written down.
  if (isVolatile) throw expired('The resourceVersion for the provided list is too old.');
  return asked;
}

/** What is said to clients that know more than this server, e.g. after a restore. Source: apiserver storage errors.go. */
export function futureRevision(asked: number, current: number): StatusError {
  return new StatusError('Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

/** Digits that surely fit into Go's uint64; and so does every revision that a server can have reached. */
const REVISION_DIGITS_MAX = 19;

/** A resourceVersion parameter as a number. Throws BadRequest. */
export function revisionIn(text: string): number {
  if (/^\d+$/.test(text) && text.length <= REVISION_DIGITS_MAX) return Number(text);
  throw badRequest(`Invalid value: "${text}": resourceVersion: invalid resource version`);
}

/** A parameter that is a number from 0; 0 when absent. Throws BadRequest. */
export function wholeNumber(query: URLSearchParams, name: string): number {
  const text = query.get(name);
  if (!text) return 0;
  if (/^\d+$/.test(text)) return Number(text);
  throw badRequest(
    `invalid value "${text}" for parameter ${name}: must be a number that is not negative`,
  );
}
