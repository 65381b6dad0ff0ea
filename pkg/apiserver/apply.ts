/** Server-side apply: PATCH with a configuration, which creates the object or merges into it. */

import { serverSideApply } from '../api/apply.ts';
import { badRequest, isReason } from '../api/errors.ts';
import type { ApiObject } from '../api/meta.ts';
import { admission } from './admit.ts';
import type { ServerRequest, ServerResponse } from './contract.ts';
import { contentTypeOf, decodeValue, fieldValidationOf, parseYamlBody } from './decode.ts';
import { isDryRunQuery } from './dry-run.ts';
import { managerOf } from './managers.ts';
import { timestamp } from './metadata.ts';
import type { Call, Parts } from './parts.ts';
import { refuseUnserved } from './refusals.ts';
import { respondObject } from './respond.ts';
import { isTrue } from './route.ts';
import { checkName, checkNamespace } from './verbs.ts';
import { changeObject, createObject, refIn } from './write.ts';

/** An object that comes and goes while it is applied is tried this often. */
const ATTEMPTS_MAX = 3;

/** Whether a patch is an apply. */
export function isApply(request: ServerRequest): boolean {
  return contentTypeOf(request).startsWith('application/apply-patch+');
}

/** Serves an apply. Throws Conflict for fields that other managers own, unless forced. */
export async function apply(parts: Parts, call: Call): Promise<ServerResponse> {
  const { request, route } = call;
  if (!request.query.get('fieldManager')) {
    throw badRequest(
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
  }
  const applied = appliedBy(request);
  for (let attempt = 1; ; attempt += 1) {
    const ref = refIn(route.namespace, route.name);
    const isThere = parts.storage.get({ resource: call.resource, ref }) !== undefined;
    try {
      if (isThere || route.subresource) return await update(parts, { call, applied });
      return await create(parts, { call, applied });
    } catch (error) {
      const isRace = isReason(error, isThere ? 'NotFound' : 'AlreadyExists');
      if (!isRace || route.subresource || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

interface Application {
  readonly call: Call;
  readonly applied: unknown;
}

async function create(parts: Parts, { call, applied }: Application): Promise<ServerResponse> {
  refuseUnserved(call);
  const { resource, route, request } = call;
  const isDryRun = isDryRunQuery(request.query);
  const { object: draft, warnings } = merged(parts, { call, applied });
  const object = await createObject(parts, {
    resource,
    namespace: route.namespace,
    draft,
    isDryRun,
    admit: admission(parts, call, isDryRun),
  });
  return respondObject(parts, call, { object, status: 201, warnings });
}

async function update(parts: Parts, { call, applied }: Application): Promise<ServerResponse> {
  const { resource, route, request } = call;
  const isDryRun = isDryRunQuery(request.query);
  let warnings: readonly string[] = [];
  const object = await changeObject(parts, {
    resource,
    ref: refIn(route.namespace, route.name),
    subresource: route.subresource,
    isDryRun,
    isRetried: true,
    admit: admission(parts, call, isDryRun),
    change: (live) => {
      const body = merged(parts, { call, applied, live });
      ({ warnings } = body);
      return body.object;
    },
  });
  return respondObject(parts, call, { object, warnings });
}

function merged(
  parts: Parts,
  { call, applied, live }: Application & { readonly live?: ApiObject },
) {
  const { request, resource, route } = call;
  const value = serverSideApply({
    type: resource.type,
    live,
    applied,
    manager: managerOf(call),
    isForced: isTrue(request.query.get('force')),
    subresource: route.subresource,
    nowIso: timestamp(parts.clock.now()),
  });
  const body = decodeValue(value, resource.type, fieldValidationOf(request.query));
  checkName(call, body.object);
  checkNamespace(call, body.object);
  return body;
}

function appliedBy({ body }: ServerRequest): unknown {
  if (body === undefined) throw badRequest('the request has no body');
  return Buffer.isBuffer(body) ? parseYamlBody(body) : body;
}
