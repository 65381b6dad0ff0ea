/**
 * Empties a namespace that is being deleted, pods first, then lets it go. Until then its conditions tell what is left.
 */

import { isDeepStrictEqual } from 'node:util';
import { isReason } from '../api/errors.ts';
import type { Namespace, NamespaceCondition } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import { allResources, nameOf, resourceOf } from '../api/resources.ts';
import { describe } from '../log/log.ts';
import { type Context, type Controller, DONE } from './controller.ts';
import { timestamp } from './pods.ts';

const FINALIZER = 'kubernetes';
/** Deletions of one content are asked for again after this long, should an event have been lost. */
const RETRY_MS = 15_000;

export const namespace: Controller = {
  name: 'namespace',
  watches: {
    primary: 'namespaces',
    everything(_, { type, object }, cache) {
      const name = object.metadata.namespace;
      if (type !== 'deleted' || !name) return [];
      return cache.get('namespaces', { name })?.metadata.deletionTimestamp ? [{ name }] : [];
    },
  },
  async reconcile(ref, context, signal) {
    const found = context.cache.get<Namespace>('namespaces', ref);
    if (!found?.metadata.deletionTimestamp) return DONE;
    if (!found.spec?.finalizers?.includes(FINALIZER)) return DONE;
    const { left, failure } = await empty(ref.name, context, signal);
    if (left.length > 0 || failure !== undefined) {
      await report(found, { left, failure }, { context, signal });
      return { requeueAfterMs: RETRY_MS };
    }
    const finalizers = found.spec.finalizers.filter((finalizer) => finalizer !== FINALIZER);
    const next = { ...found, spec: { ...found.spec, finalizers } };
    try {
      await context.client.updateSub<Namespace>(['namespaces', 'finalize'], next, signal);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
    return DONE;
  },
};

interface Content {
  readonly resource: string;
  readonly objects: readonly ApiObject[];
}

interface Left {
  readonly left: readonly Content[];
  readonly failure: unknown;
}

/** Asks for the deletion of everything in a namespace; what is left is what has not gone yet. */
async function empty(name: string, context: Context, signal: AbortSignal): Promise<Left> {
  // Pods may still use everything else while they end.
  const pods = await emptyOne('pods', name, { context, signal });
  const resources = pods.objects.length > 0 ? ['pods'] : contents(context);
  const left: Content[] = [];
  let failure: unknown;
  for (const resource of resources) {
    try {
      const rest = await emptyOne(resource, name, { context, signal });
      if (rest.objects.length > 0) left.push(rest);
    } catch (error) {
      if (isReason(error, 'NotFound') || isReason(error, 'MethodNotAllowed')) continue;
      failure ??= error;
    }
  }
  return { left, failure };
}

async function emptyOne(resource: string, name: string, means: Means): Promise<Content> {
  const before = await contentOf(resource, name, means);
  if (before.objects.every(({ metadata }) => metadata.deletionTimestamp)) return before;
  const options = { propagationPolicy: 'Background' } as const;
  await means.context.client.removeAll(resource, { namespace: name }, options, means.signal);
  return contentOf(resource, name, means);
}

interface Means {
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** What is in the namespace now, by the server: the cache may lag behind. */
async function contentOf(
  resource: string,
  name: string,
  { context, signal }: Means,
): Promise<Content> {
  const { items } = await context.client.list(resource, { namespace: name }, signal);
  return { resource, objects: items };
}

/** Namespaced resources that can hold objects: built-in ones and those that informers found. */
function contents({ cache }: Context): string[] {
  const builtIn = allResources.flatMap((row) => {
    const { namespaced, verbs } = row;
    if (!namespaced || (verbs && !(verbs.includes('list') && verbs.includes('delete')))) return [];
    return [nameOf(row)];
  });
  const custom = cache.resources().filter((resource) => !resourceOf(resource));
  return [...builtIn, ...custom];
}

async function report(
  found: Namespace,
  { left, failure }: Left,
  { context, signal }: Means,
): Promise<void> {
  const now = context.now();
  const conditions = [
    condition('NamespaceDeletionDiscoveryFailure', undefined, {
      reason: 'ResourcesDiscovered',
      message: 'All resources successfully discovered',
    }),
    condition('NamespaceDeletionGroupVersionParsingFailure', undefined, {
      reason: 'ParsedGroupVersions',
      message: 'All legacy kube types successfully parsed',
    }),
    condition(
      'NamespaceDeletionContentFailure',
      failure === undefined
        ? undefined
        : { reason: 'ContentDeletionFailed', message: describe(failure) },
      {
        reason: 'ContentDeleted',
        message: 'All content successfully deleted, may be waiting on finalization',
      },
    ),
    condition('NamespaceContentRemaining', remaining(left), {
      reason: 'ContentRemoved',
      message: 'All content successfully removed',
    }),
    condition('NamespaceFinalizersRemaining', finalizing(left), {
      reason: 'ContentHasNoFinalizers',
      message: 'All content-preserving finalizers finished',
    }),
  ].map((fresh) => dated(fresh, found, now));
  const status = { ...found.status, phase: 'Terminating', conditions };
  if (isDeepStrictEqual(status, found.status)) return;
  await context.client.updateStatus<Namespace>('namespaces', { ...found, status }, signal);
}

interface Words {
  readonly reason: string;
  readonly message: string;
}

function condition(type: string, problem: Words | undefined, fine: Words): NamespaceCondition {
  if (!problem) return { type, status: 'False', ...fine };
  return { type, status: 'True', ...problem };
}

function dated(fresh: NamespaceCondition, { status }: Namespace, now: number): NamespaceCondition {
  const before = status?.conditions?.find(({ type }) => type === fresh.type);
  const isSame = before?.status === fresh.status;
  const lastTransitionTime = (isSame ? before?.lastTransitionTime : undefined) ?? timestamp(now);
  return { ...fresh, lastTransitionTime };
}

function remaining(left: readonly Content[]): Words | undefined {
  if (left.length === 0) return undefined;
  const list = left.map(
    ({ resource, objects }) => `${resource} has ${objects.length} resource instances`,
  );
  return {
    reason: 'SomeResourcesRemain',
    message: `Some resources are remaining: ${list.sort().join(', ')}`,
  };
}

function finalizing(left: readonly Content[]): Words | undefined {
  const counts = new Map<string, number>();
  for (const { metadata } of left.flatMap(({ objects }) => objects)) {
    for (const name of metadata.finalizers ?? []) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  if (counts.size === 0) return undefined;
  const list = [...counts].map(([name, count]) => `${name} in ${count} resource instances`);
  return {
    reason: 'SomeFinalizersRemain',
    message: `Some content in the namespace has finalizers remaining: ${list.sort().join(', ')}`,
  };
}
