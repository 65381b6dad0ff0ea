/**
 * Watches: the state or a revision to start at, events that a selection turns into ADDED, MODIFIED and DELETED,
 * bookmarks, and an end. Events are handed over as they are; the bytes of a line are made once for all watchers.
 */

import { expired, invalid, type StatusError } from '../api/errors.ts';
import type { ApiObject, WatchEvent } from '../api/meta.ts';
import type { Resource } from '../api/resource.ts';
import { Compacted, type StoreEvent, type Watch, WatchTooSlow } from '../store/backend.ts';
import type { ServerResponse } from './contract.ts';
import { futureRevision, revisionIn, wholeNumber } from './list.ts';
import type { Call, Parts } from './parts.ts';
import { isTrue } from './route.ts';
import { type Selection, selectionOf } from './selection.ts';
import { prefixFor } from './storage.ts';
import { metadataOf, tableOf } from './table.ts';
import { Ticker } from './ticker.ts';

/** A watch without timeoutSeconds ends after this and up to as much again, so that clients do not all come back at once. */
const TIMEOUT_MIN_MS = 30 * 60 * 1000;
const BOOKMARK_EVERY_MS = 60 * 1000;
/** The last bookmark comes this long before a watch ends, so that its client can resume. */
const BOOKMARK_BEFORE_END_MS = 2 * 1000;

type Events = readonly WatchEvent[];

/** Serves a watch. Throws BadRequest and Invalid; what goes wrong later comes as an ERROR event. */
export function watch(parts: Parts, call: Call): ServerResponse {
  const plan = planOf(parts, call);
  const shape = shaper(parts, call);
  return {
    kind: 'watch',
    events: events(parts, plan, call.request.signal),
    encode: (event) => shape(event),
  };
}

interface Plan {
  readonly resource: Resource;
  readonly namespace: string;
  readonly selection: Selection;
  /** Start with the objects that exist; otherwise after `revision`. */
  readonly isFromState: boolean;
  readonly revision: number;
  readonly sendsEndOfState: boolean;
  readonly hasBookmarks: boolean;
  readonly timeoutMs: number;
}

function planOf(parts: Parts, { request, resource, route }: Call): Plan {
  const { query } = request;
  const text = query.get('resourceVersion') ?? '';
  const revision = text === '' ? 0 : revisionIn(text);
  const sendInitial = query.get('sendInitialEvents');
  checkInitial(resource, query);
  const hasBookmarks = isTrue(query.get('allowWatchBookmarks'));
  const isFromState = sendInitial === null ? revision === 0 : isTrue(sendInitial);
  const seconds = wholeNumber(query, 'timeoutSeconds');
  return {
    resource,
    namespace: resource.namespaced ? route.namespace : '',
    selection: selectionOf(resource, query),
    isFromState,
    revision: revision === 0 ? parts.storage.store.revision : revision,
    sendsEndOfState: isTrue(sendInitial) && hasBookmarks,
    hasBookmarks,
    timeoutMs: seconds > 0 ? seconds * 1000 : TIMEOUT_MIN_MS * (1 + Math.random()),
  };
}

function checkInitial(resource: Resource, query: URLSearchParams): void {
  const sendInitial = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch');
  const causes: { readonly field: string; readonly message: string }[] = [];
  if (sendInitial !== null && match !== 'NotOlderThan') {
    causes.push({
      field: 'resourceVersionMatch',
      message:
        match === null
          ? 'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'
          : `Unsupported value: "${match}": supported values: "NotOlderThan"`,
    });
  }
  if (sendInitial === null && match !== null) {
    causes.push({
      field: 'resourceVersionMatch',
      message:
        'Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    });
  }
  if (causes.length === 0) return;
  throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, resource.names.plural, causes);
}

async function* events(parts: Parts, plan: Plan, signal: AbortSignal): AsyncGenerator<Events> {
  const current = parts.storage.store.revision;
  if (plan.revision > current) {
    yield [errorEvent(futureRevision(plan.revision, current))];
    return;
  }
  let source: Watch;
  let revision = plan.revision;
  let initial: Events = [];
  if (plan.isFromState) ({ initial, revision } = state(parts, plan));
  try {
    source = parts.storage.store.watch(prefixFor(plan.resource, plan.namespace), revision);
  } catch (error) {
    yield [failure(error, plan)];
    return;
  }
  try {
    if (initial.length > 0) yield initial;
    yield* live(parts, { plan, source, signal });
  } catch (error) {
    if (error instanceof WatchTooSlow) return; // The client resumes from its last revision.
    yield [failure(error, plan)];
  } finally {
    source.close();
  }
}

function failure(error: unknown, plan: Plan): WatchEvent {
  if (error instanceof Compacted) {
    return errorEvent(
      expired(`too old resource version: ${plan.revision} (${error.compactedRevision})`),
    );
  }
  throw error;
}

/** An ERROR event as the wire has it: its object is a Status. */
function errorEvent(error: StatusError): WatchEvent {
  return { type: 'ERROR', object: error.toStatus() as unknown as ApiObject };
}

function state(parts: Parts, plan: Plan): { readonly initial: Events; readonly revision: number } {
  const { items, revision } = parts.storage.list(plan.resource, plan.namespace);
  const initial: WatchEvent[] = [];
  for (const item of items) {
    const object = parts.storage.objectOf(plan.resource, item);
    if (plan.selection.matches(object)) initial.push({ type: 'ADDED', object });
  }
  if (plan.sendsEndOfState) initial.push(bookmark(plan.resource, revision, true));
  return { initial, revision };
}

function bookmark(resource: Resource, revision: number, isEndOfState = false): WatchEvent {
  const [group, version, kind] = resource.gvk;
  const annotations = isEndOfState ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
  const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...annotations };
  const object = { kind, apiVersion: group ? `${group}/${version}` : version, metadata };
  return { type: 'BOOKMARK', object: object as unknown as ApiObject };
}

interface Live {
  readonly plan: Plan;
  readonly source: Watch;
  readonly signal: AbortSignal;
}

async function* live(parts: Parts, { plan, source, signal }: Live): AsyncGenerator<Events> {
  const ticker = new Ticker({
    source: source[Symbol.asyncIterator](),
    clock: parts.clock,
    signals: [signal, parts.closing],
    endMs: plan.timeoutMs,
    onEnd: () => source.close(),
    ...(plan.hasBookmarks
      ? { everyMs: BOOKMARK_EVERY_MS, beforeEndMs: BOOKMARK_BEFORE_END_MS }
      : {}),
  });
  try {
    for (;;) {
      // Taken before the wait: whatever the source then yields is newer than a bookmark of it.
      const seen = parts.storage.store.revision;
      const turn = await ticker.next();
      if (turn.kind === 'end') return;
      if (turn.kind === 'tick') {
        yield [bookmark(plan.resource, seen)];
        continue;
      }
      const batch = select(parts, plan, turn.value);
      if (batch.length > 0) yield batch;
    }
  } finally {
    ticker.close();
  }
}

function select(parts: Parts, plan: Plan, batch: readonly StoreEvent[]): Events {
  return batch.flatMap((event) => selected(parts, plan, event) ?? []);
}

/** The event as a watcher with this selection sees it: objects come and go as they start and stop matching. */
function selected({ storage }: Parts, plan: Plan, event: StoreEvent): WatchEvent | undefined {
  const { resource, selection } = plan;
  const previous = event.previous && storage.objectOf(resource, event.previous);
  const didMatch = previous !== undefined && selection.matches(previous);
  if (event.type === 'delete') {
    return didMatch
      ? { type: 'DELETED', object: storage.deletedObjectOf(resource, event) }
      : undefined;
  }
  const object = storage.objectOf(resource, event.current);
  const doesMatch = selection.matches(object);
  if (doesMatch) return { type: didMatch ? 'MODIFIED' : 'ADDED', object };
  if (!didMatch) return undefined;
  const resourceVersion = object.metadata.resourceVersion;
  return {
    type: 'DELETED',
    object: { ...previous, metadata: { ...previous.metadata, resourceVersion } },
  };
}

/** Makes the lines of a watch in the asked form. */
function shaper(parts: Parts, { form, resource, request }: Call): (event: WatchEvent) => Buffer {
  const { encodings } = parts.storage;
  if (form.shape === 'object') return (event) => encodings.line(event);
  let isHeadless = false;
  const include = request.query.get('includeObject');
  return ({ type, object }) => {
    if (type === 'ERROR') return encodings.line({ type, object });
    if (form.shape === 'metadata') return line(type, metadataOf(object, form.version));
    const table = tableOf({
      resource,
      items: type === 'BOOKMARK' ? [] : [object],
      metadata: object.metadata,
      include,
      version: form.version,
      nowMs: parts.clock.now(),
      isHeadless,
    });
    isHeadless = true;
    return line(type, table);
  };
}

function line(type: WatchEvent['type'], object: object): Buffer {
  return Buffer.from(`${JSON.stringify({ type, object })}\n`);
}
