/** PATCH of an object or a subresource: JSON, merge and strategic merge patches, and server-side apply. */

import { badRequest, unsupportedMediaType } from '../api/errors.ts';
import type { ApiObject } from '../api/meta.ts';
import { applyPatch, type PatchKind } from '../api/patch.ts';
import { admission } from './admit.ts';
import { apply, isApply } from './apply.ts';
import type { ServerRequest, ServerResponse } from './contract.ts';
import { contentTypeOf, decodeValue, fieldValidationOf, parseJson } from './decode.ts';
import { isDryRunQuery } from './dry-run.ts';
import { trackerOf } from './managers.ts';
import type { Call, Parts } from './parts.ts';
import { respondObject } from './respond.ts';
import { checkName } from './verbs.ts';
import { changeObject, refIn } from './write.ts';

const KINDS: Readonly<Record<string, PatchKind>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
};
const ACCEPTED = [...Object.keys(KINDS), 'application/apply-patch+yaml'].join(', ');

/** Serves PATCH. */
export async function patch(parts: Parts, call: Call): Promise<ServerResponse> {
  const { request, resource, route } = call;
  if (isApply(request)) return await apply(parts, call);
  const isDryRun = isDryRunQuery(request.query);
  const mode = fieldValidationOf(request.query);
  let warnings: readonly string[] = [];
  const object = await changeObject(parts, {
    resource,
    ref: refIn(route.namespace, route.name),
    subresource: route.subresource,
    isDryRun,
    isRetried: true,
    admit: admission(parts, call, isDryRun),
    track: trackerOf(parts, call),
    change: (current) => {
      const patched = patchedBy(request, resource.type, current);
      const decoded = decodeValue(patched, resource.type, mode);
      ({ warnings } = decoded);
      checkName(call, decoded.object);
      return decoded.object;
    },
  });
  return respondObject(parts, call, { object, warnings });
}

/** The object with the request's patch applied, not yet decoded. Throws UnsupportedMediaType, BadRequest, Invalid. */
export function patchedBy(request: ServerRequest, type: string, object: ApiObject): object {
  const kind = KINDS[contentTypeOf(request)];
  if (!kind) {
    throw unsupportedMediaType(
      `the body of the request was in an unknown format - accepted media types include: ${ACCEPTED}`,
    );
  }
  return applyPatch({ kind, type, object, patch: patchBody(request) });
}

function patchBody({ body }: ServerRequest): unknown {
  if (body === undefined) throw badRequest('the request has no body');
  return Buffer.isBuffer(body) ? parseJson(body) : body;
}
