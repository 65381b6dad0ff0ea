/** The resources by a direct call: how parts of the server itself read and write, without authorization or admission. */

import { isReason } from '../api/errors.ts';
import type { ApiList, ApiObject, Draft, Ref } from '../api/meta.ts';
import type { Backend } from '../store/backend.ts';
import type { Clock } from '../wait/clock.ts';
import type { Registry } from './contract.ts';
import { deleteObject } from './delete.ts';
import { listOf } from './list.ts';
import { rowOf, Storage } from './storage.ts';
import { createObject, modifyObject, type Writer } from './write.ts';

export interface RegistryOptions {
  readonly store: Backend;
  readonly clock: Clock;
}

/** The registry and what the server behind it works with. */
export interface StoredRegistry extends Registry {
  readonly storage: Storage;
}

/** Makes the registry over a store. */
export function createRegistry({ store, clock }: RegistryOptions): StoredRegistry {
  const storage = new Storage(store);
  const writer: Writer = { storage, clock };
  return {
    storage,
    get: <T extends ApiObject>(name: string, ref: Ref) =>
      storage.get({ resource: rowOf(name), ref }) as T | undefined,
    list: <T extends ApiObject>(name: string, namespace?: string) => {
      const resource = rowOf(name);
      const { items, revision } = storage.list(resource, namespace);
      return listOf(resource, {
        metadata: { resourceVersion: String(revision) },
        items: items.map((item) => storage.objectOf(resource, item)),
      }) as ApiList<T>;
    },
    create: async <T extends ApiObject>(name: string, draft: Draft<T>) => {
      const resource = rowOf(name);
      const namespace = draft.metadata.namespace ?? '';
      return (await createObject(writer, {
        resource,
        namespace,
        draft: draft as Draft<ApiObject>,
      })) as T;
    },
    modify: async <T extends ApiObject>(name: string, ref: Ref, change: (current: T) => T) =>
      await modify(writer, { name, ref, change: (current) => change(current as T) }),
    delete: async (name, ref) => {
      const options = { preconditions: {}, isDryRun: false };
      await deleteObject(writer, { resource: rowOf(name), ref, options }).catch(ignoreGone);
    },
  };
}

async function modify<T extends ApiObject>(
  writer: Writer,
  { name, ref, change }: { name: string; ref: Ref; change: (current: ApiObject) => ApiObject },
): Promise<T | undefined> {
  try {
    return (await modifyObject(writer, {
      resource: rowOf(name),
      ref,
      change,
      subresource: OWN,
    })) as T;
  } catch (error) {
    return ignoreGone(error);
  }
}

/** The server itself may change any part of an object, status included. */
const OWN = 'own';

function ignoreGone(error: unknown): undefined {
  if (!isReason(error, 'NotFound')) throw error;
}
