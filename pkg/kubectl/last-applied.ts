/**
 * Objects that client-side apply has made: before server-side apply goes on with them, the fields that it owned
 * become those of the applier, so that what leaves the file is removed. Source: client-go util/csaupgrade.
 */

import { isObject, type JsonObject } from '../api/json.ts';
import type { ManagedFieldsEntry } from '../api/meta.ts';
import type { Api, Live, Place } from './api.ts';

const CLIENT_SIDE = 'kubectl-client-side-apply';

/** Hands the fields of client-side apply to `manager` in the stored object, if there are any. */
export async function adopted(
  api: Api,
  {
    place,
    live,
    manager,
  }: { readonly place: Place; readonly live: Live; readonly manager: string },
): Promise<void> {
  const { managedFields = [], resourceVersion } = live.metadata;
  const old = managedFields.filter((entry) => isClientSide(entry));
  if (old.length === 0) return;
  const isOwn = (entry: ManagedFieldsEntry) =>
    entry.manager === manager && entry.operation === 'Apply' && !entry.subresource;
  const own = managedFields.filter(isOwn);
  const fieldsV1 = [...own, ...old].reduce<JsonObject>(
    (all, entry) => union(all, entry.fieldsV1 ?? {}),
    {},
  );
  const [latest] = old;
  const merged = { ...latest, manager, operation: 'Apply', fieldsV1 };
  const others = managedFields.filter((entry) => !isOwn(entry) && !isClientSide(entry));
  await api.send('PATCH', place, {
    contentType: 'application/json-patch+json',
    body: [
      { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
      { op: 'replace', path: '/metadata/managedFields', value: [merged, ...others] },
    ],
  });
}

function isClientSide({ manager, operation, subresource }: ManagedFieldsEntry): boolean {
  return manager === CLIENT_SIDE && operation === 'Update' && !subresource;
}

function union(a: JsonObject, b: JsonObject): JsonObject {
  const out: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const old = out[key];
    out[key] = isObject(old) && isObject(value) ? union(old, value) : value;
  }
  return out;
}
