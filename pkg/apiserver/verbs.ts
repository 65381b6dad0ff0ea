/** The verbs of one object: get, create, update. The bigger ones have files of their own. */

import { badRequest, notFound } from '../api/errors.ts';
import type { ApiObject } from '../api/meta.ts';
import { admission } from './admit.ts';
import type { ServerResponse } from './contract.ts';
import { decodeBody } from './decode.ts';
import { isDryRunQuery } from './dry-run.ts';
import { futureRevision, revisionIn } from './list.ts';
import { trackerOf } from './managers.ts';
import type { Call, Parts } from './parts.ts';
import { refuseUnserved } from './refusals.ts';
import { respondObject } from './respond.ts';
import { nameOf } from './storage.ts';
import { changeObject, createObject, isPinned, refIn } from './write.ts';

/** Serves GET of one object. Throws NotFound. */
export function get(parts: Parts, call: Call): ServerResponse {
  notOlderThan(call, parts.storage.store.revision);
  return respondObject(parts, call, { object: read(parts, call) });
}

/** A client that has seen a later revision, e.g. before a restore, must not be given an older object. */
function notOlderThan({ request }: Call, current: number): void {
  const text = request.query.get('resourceVersion') ?? '';
  const asked = text === '' ? 0 : revisionIn(text);
  if (asked > current) throw futureRevision(asked, current);
}

/** The object that a call names. Throws NotFound. */
export function read(parts: Parts, { resource, route }: Call): ApiObject {
  const object = parts.storage.get({ resource, ref: refIn(route.namespace, route.name) });
  if (!object) throw notFound(nameOf(resource), route.name);
  return object;
}

/** Serves POST to a collection. */
export async function create(parts: Parts, call: Call): Promise<ServerResponse> {
  const { request, resource, route } = call;
  refuseUnserved(call);
  const { object: draft, warnings } = decodeBody(call);
  const isDryRun = isDryRunQuery(request.query);
  checkNamespace(call, draft);
  if (draft.metadata.resourceVersion) {
    throw badRequest('resourceVersion should not be set on objects to be created');
  }
  const object = await createObject(parts, {
    resource,
    namespace: route.namespace,
    draft,
    isDryRun,
    admit: admission(parts, call, isDryRun),
    track: trackerOf(parts, call),
  });
  return respondObject(parts, call, { object, status: 201, warnings });
}

/** Serves PUT of an object or of its status. */
export async function update(parts: Parts, call: Call): Promise<ServerResponse> {
  const { request, resource, route } = call;
  const { object: next, warnings } = decodeBody(call);
  checkNamespace(call, next);
  checkName(call, next);
  const isDryRun = isDryRunQuery(request.query);
  const object = await changeObject(parts, {
    resource,
    ref: refIn(route.namespace, route.name),
    change: () => next,
    subresource: route.subresource,
    isDryRun,
    isRetried: !isPinned(next),
    admit: admission(parts, call, isDryRun),
    track: trackerOf(parts, call),
  });
  return respondObject(parts, call, { object, warnings });
}

/** Refuses a body that names another namespace than the path. */
export function checkNamespace({ route, resource }: Call, { metadata }: ApiObject): void {
  if (!resource.namespaced || !metadata.namespace || metadata.namespace === route.namespace) return;
  throw badRequest(
    `the namespace of the provided object does not match the namespace sent on the request`,
  );
}

/** Refuses a body that names another object than the path. */
export function checkName({ route }: Call, { metadata }: ApiObject): void {
  if (metadata.name === route.name) return;
  throw badRequest(
    metadata.name
      ? `the name of the object (${metadata.name}) does not match the name on the URL (${route.name})`
      : 'name must be provided',
  );
}
