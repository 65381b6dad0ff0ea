/** namespaces/finalize: lets the namespace controller take its finalizer off a namespace, which then goes. */

import type { Namespace } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import type { ServerResponse } from './contract.ts';
import { decodeBody } from './decode.ts';
import { isDryRunQuery } from './dry-run.ts';
import type { Call, Parts } from './parts.ts';
import { respondObject } from './respond.ts';
import { checkName } from './verbs.ts';
import { changeObject, isPinned, refIn } from './write.ts';

/** Serves PUT to namespaces/finalize. */
export async function finalize(parts: Parts, call: Call): Promise<ServerResponse> {
  const { request, resource, route } = call;
  const { object: next } = decodeBody(call);
  checkName(call, next);
  const object = await changeObject(parts, {
    resource,
    ref: refIn('', route.name),
    subresource: 'finalize',
    isDryRun: isDryRunQuery(request.query),
    isRetried: !isPinned(next),
    change: (current) => finalized(asNamespace(current), asNamespace(next)),
  });
  return respondObject(parts, call, { object });
}

function finalized(current: Namespace, next: Namespace): ApiObject {
  const finalizers = next.spec?.finalizers ?? [];
  const { resourceVersion, uid } = next.metadata;
  const { finalizers: _old, ...spec } = current.spec ?? {};
  const object: Namespace = {
    ...current,
    metadata: { ...current.metadata, resourceVersion, uid },
    spec: finalizers.length > 0 ? { ...spec, finalizers } : spec,
  };
  return object;
}

function asNamespace(object: ApiObject): Namespace {
  return object as Namespace;
}
