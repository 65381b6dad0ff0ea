/** A Registry over plain maps, for units that read and write objects but are not about storing them. */

import { randomUUID } from 'node:crypto';
import { alreadyExists } from '../../../pkg/api/errors.ts';
import { type ApiObject, type Draft, keyOf, type Ref } from '../../../pkg/api/meta.ts';
import type { Registry } from '../../../pkg/apiserver/contract.ts';

export function memoryRegistry(): Registry & { readonly writes: () => number } {
  const objects = new Map<string, Map<string, ApiObject>>();
  let revision = 0;
  const of = (resource: string) => {
    const known = objects.get(resource) ?? new Map<string, ApiObject>();
    objects.set(resource, known);
    return known;
  };
  return {
    writes: () => revision,
    get: <T extends ApiObject>(resource: string, ref: Ref) =>
      of(resource).get(keyOf(ref)) as T | undefined,
    list: <T extends ApiObject>(resource: string, namespace?: string) => ({
      apiVersion: 'v1',
      kind: 'List',
      metadata: { resourceVersion: String(revision) },
      items: [...of(resource).values()].filter(
        ({ metadata }) => !namespace || metadata.namespace === namespace,
      ) as T[],
    }),
    create: async <T extends ApiObject>(resource: string, draft: Draft<T>) => {
      revision += 1;
      const name = draft.metadata.name ?? `${draft.metadata.generateName}${revision}`;
      const metadata = {
        uid: randomUUID(),
        resourceVersion: String(revision),
        creationTimestamp: '2026-11-22T00:00:00Z',
        ...draft.metadata,
        name,
      };
      const object = { ...draft, metadata } as unknown as T;
      if (of(resource).has(keyOf(metadata)))
        throw alreadyExists({ plural: resource, group: '' }, name);
      of(resource).set(keyOf(metadata), object);
      return object;
    },
    modify: async <T extends ApiObject>(resource: string, ref: Ref, change: (current: T) => T) => {
      const current = of(resource).get(keyOf(ref)) as T | undefined;
      if (!current) return undefined;
      const next = change(current);
      if (next === current) return current;
      revision += 1;
      of(resource).set(keyOf(ref), next);
      return next;
    },
    delete: async (resource, ref) => {
      revision += 1;
      of(resource).delete(keyOf(ref));
    },
  };
}
