/** Field managers: who wrote which fields, kept in managedFields. */

import { trackManager } from '../api/managed-fields.ts';
import type { ApiObject } from '../api/meta.ts';
import { apiVersionOf } from '../api/resources.ts';
import { timestamp } from './metadata.ts';
import type { Call, Parts } from './parts.ts';
import type { Track } from './write.ts';

/** Longest name of a manager. Source: apimachinery FieldManagerMaxLength. */
const MANAGER_MAX_LENGTH = 128;

/** The tracker of a write: records the call's field manager as owner of what it changed. */
export function trackerOf(parts: Parts, call: Call): Track {
  const { resource, route } = call;
  const manager = managerOf(call);
  const apiVersion = apiVersionOf(resource);
  return (next, old) => {
    const entries = trackManager({
      type: resource.type,
      before: old,
      after: next,
      manager,
      apiVersion,
      subresource: route.subresource,
      nowIso: timestamp(parts.clock.now()),
    });
    return withEntries(next, entries);
  };
}

function withEntries(
  object: ApiObject,
  entries: ApiObject['metadata']['managedFields'] = [],
): ApiObject {
  const { managedFields: _old, ...metadata } = object.metadata;
  const managed = entries.length > 0 ? { managedFields: entries } : {};
  return { ...object, metadata: { ...metadata, ...managed } };
}

/** The field manager of a call: named by the client, or its program's name. */
export function managerOf({ request }: Call): string {
  const named = request.query.get('fieldManager');
  if (named) return named.slice(0, MANAGER_MAX_LENGTH);
  const agent = request.headers['user-agent'] ?? '';
  return (agent.split('/')[0] ?? '').slice(0, MANAGER_MAX_LENGTH) || 'unknown';
}
