/**
 * One request from its route to its answer: authorization, the resource's row, the verb. The same for requests over
 * HTTP, through the tunnel and from actors in this process.
 */

import { methodNotAllowed } from '../api/errors.ts';
import { ALL_VERBS, type Resource } from '../api/resource.ts';
import { findResource } from '../api/resources.ts';
import type { Authorizer, ServerRequest, ServerResponse } from './contract.ts';
import { deleteVerb } from './delete.ts';
import { deleteCollection } from './delete-collection.ts';
import { forbiddenRoute } from './forbidden.ts';
import { list } from './list.ts';
import { metricsHandler } from './metrics-api.ts';
import { formOf } from './negotiate.ts';
import type { Call, Parts } from './parts.ts';
import { patch } from './patch.ts';
import { type Route, routeOf } from './route.ts';
import { nameOf } from './storage.ts';
import { answererFor, type Handler, subresourceHandler } from './subresources.ts';
import { unknownPath } from './unknown-path.ts';
import { create, get, update } from './verbs.ts';
import { watch } from './watch.ts';

const VERBS: Readonly<Record<string, Handler>> = {
  create,
  delete: deleteVerb,
  deletecollection: deleteCollection,
  get,
  list,
  patch,
  update,
  watch,
};

/** Answers paths that are no resources: health, discovery, version; undefined when it knows no such path. */
export type NonResource = (request: ServerRequest) => Promise<ServerResponse | undefined>;

export interface Dispatch {
  readonly parts: Parts;
  readonly authorizer: Authorizer;
  readonly nonResource: NonResource;
}

/** Serves one authenticated request. Throws StatusErrors. */
export async function dispatch(
  { parts, authorizer, nonResource }: Dispatch,
  request: ServerRequest,
): Promise<ServerResponse> {
  const route = routeOf(request);
  authorize(authorizer, route);
  if (!route.isResource) {
    const answer = await nonResource(request);
    if (answer) return answer;
    throw unknownPath();
  }
  const call = callOf(request, route);
  const handler = handlerFor(parts, call);
  return await handler(parts, call);
}

/** Throws Forbidden unless the route's user may. */
export function authorize(authorizer: Authorizer, route: Route): void {
  const decision = authorizer.authorize(route);
  if (!decision.isAllowed) throw forbiddenRoute(route, decision.reason);
}

/** The call of a route to a resource. Throws NotFound for resources that this server does not have. */
export function callOf(request: ServerRequest, route: Route): Call {
  const { group, version, resource: plural } = route;
  const resource = findResource(group, version, plural);
  if (!resource || !fits(resource, route)) throw unknownPath();
  // No name holds a slash; one that came escaped must not reach the store's keys.
  if (route.name.includes('/') || route.namespace.includes('/')) throw unknownPath();
  return { request, route, resource, form: formOf(request.headers['accept']) };
}

/** Objects in namespaces are reached through theirs; only lists go across all. */
function fits({ namespaced }: Resource, { namespace, name, verb, resource }: Route): boolean {
  if (!namespaced) return namespace === '' || resource === 'namespaces';
  return namespace !== '' || name === '' || verb === 'list' || verb === 'watch';
}

function handlerFor(parts: Parts, call: Call): Handler {
  const { resource, route } = call;
  const { verb, subresource } = route;
  const answerer = verb === 'create' ? answererFor(parts, call) : undefined;
  if (answerer) return answerer;
  if (subresource) return subresourceHandler(call);
  const handler = resource.isComputed ? metricsHandler(verb) : VERBS[verb];
  const served: readonly string[] = resource.verbs ?? ALL_VERBS;
  if (!handler || !served.includes(verb)) throw methodNotAllowed(nameOf(resource), verb);
  // Reviews and the like store nothing: without their answerer there is nothing to do.
  if (served.length === 1 && verb === 'create') throw methodNotAllowed(nameOf(resource), verb);
  const isMisplaced = route.name !== '' || (resource.namespaced && !route.namespace);
  if (verb === 'create' && isMisplaced) throw methodNotAllowed(nameOf(resource), verb);
  return handler;
}
