/** Keeps as many pods of a ReplicaSet's template as it asks for (ReplicationControllers alike) and tells how they are. */

import { isDeepStrictEqual } from 'node:util';
import type {
  Pod,
  ReplicaSet,
  ReplicaSetCondition,
  ReplicaSetStatus,
  ReplicationController,
} from '../api/generated/types.ts';
import type { ApiObject, Draft, Ref } from '../api/meta.ts';
import { matchesLabels, selectorOf } from '../api/selectors.ts';
import type { Cache } from '../client/client.ts';
import { controllerOf } from '../client/object-index.ts';
import { describe } from '../log/log.ts';
import { claim, controllerReference, ORPHANS, orphanNamespaces } from './adoption.ts';
import { type Context, type Controller, DONE, type Result } from './controller.ts';
import { byDeletion } from './pod-ranking.ts';
import { availableInMs, isActive, isFinished, isReady, timestamp } from './pods.ts';
import { slowStart } from './slow-start.ts';

/** Pods created or deleted in one run; the rest follows in the next. As Kubernetes' burstReplicas. */
const BURST_MAX = 500;

/** What is between the pods that are and those that should be. */
export interface Difference {
  readonly missing: number;
  readonly surplus: readonly Pod[];
}

/** Compares active pods with the wanted count; the surplus is what may go with the least loss. */
export function difference(replicaset: ReplicaSet, active: readonly Pod[]): Difference {
  const wanted = replicaset.spec.replicas ?? 1;
  if (active.length <= wanted) {
    return { missing: Math.min(wanted - active.length, BURST_MAX), surplus: [] };
  }
  const count = Math.min(active.length - wanted, BURST_MAX);
  return { missing: 0, surplus: byDeletion(active).slice(0, count) };
}

/** A resource that keeps a number of pods, seen as a ReplicaSet. */
interface Flavour {
  readonly name: string;
  readonly primary: string;
  viewOf(object: ApiObject): ReplicaSet;
  statusFor(status: ReplicaSetStatus): ReplicaSetStatus;
}

export const replicaset = keeping({
  name: 'replicaset',
  primary: 'replicasets',
  viewOf: (object) => object as ReplicaSet,
  statusFor: (status) => status,
});

/** The older ReplicationController does the same; its selector is a plain map. */
export const replicationController = keeping({
  name: 'replication',
  primary: 'replicationcontrollers',
  viewOf(object) {
    const { spec, ...rest } = object as ReplicationController;
    const selector = { matchLabels: spec.selector ?? {} };
    return { ...rest, spec: { ...spec, selector } } as ReplicaSet;
  },
  statusFor: ({ terminatingReplicas: _, ...status }) => status,
});

function keeping(flavour: Flavour): Controller {
  const { name, primary, viewOf, statusFor } = flavour;
  return {
    name,
    concurrency: 8,
    watches: {
      primary,
      owns: ['pods'],
      maps: { pods: (pod, cache) => matching(pod, { flavour, cache }) },
      indexes: { pods: { [ORPHANS]: orphanNamespaces } },
    },
    async reconcile(ref, context, signal) {
      const found = context.cache.get(primary, ref);
      if (!found) return DONE; // Deleted; the garbage collector takes the pods it owned.
      const rs = viewOf(found);
      const selector = selectorOf(rs.spec.selector);
      const pods = await claim<Pod>(context, { resource: 'pods', owner: rs, selector }, signal);
      const active = pods.filter(isActive);
      const failure = rs.metadata.deletionTimestamp
        ? undefined
        : await manage(rs, { active, context }, signal);
      const status = statusFor(statusOf(rs, { pods, failure, now: context.now() }));
      if (!isDeepStrictEqual(status, rs.status)) {
        await context.client.updateStatus(primary, withStatus(found, status), signal);
      }
      if (failure) throw failure.error;
      return soonAvailable(rs, active, context.now());
    },
  };
}

function withStatus(
  object: ApiObject,
  status: ReplicaSetStatus,
): ApiObject & { status: ReplicaSetStatus } {
  return { ...object, status };
}

/** The owners that may want to adopt a pod without a controller. */
function matching(
  pod: ApiObject,
  { flavour, cache }: { readonly flavour: Flavour; readonly cache: Cache },
): readonly Ref[] {
  if (controllerOf(pod)) return [];
  return cache
    .list(flavour.primary, pod.metadata.namespace)
    .filter((found) => {
      const { spec } = flavour.viewOf(found);
      return matchesLabels(selectorOf(spec.selector), pod.metadata.labels);
    })
    .map(({ metadata }) => metadata);
}

interface Failure {
  readonly reason: 'FailedCreate' | 'FailedDelete';
  readonly error: unknown;
}

interface Managed {
  readonly active: readonly Pod[];
  readonly context: Context;
}

async function manage(
  rs: ReplicaSet,
  { active, context }: Managed,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const { client, events } = context;
  const { missing, surplus } = difference(rs, active);
  if (missing > 0) {
    const draft = podOf(rs);
    const { error } = await slowStart(missing, async () => {
      const pod = await client.create<Pod>('pods', draft, signal);
      events.normal(rs, 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
    });
    if (error === undefined) return undefined;
    events.warning(rs, 'FailedCreate', `Error creating: ${describe(error)}`);
    return { reason: 'FailedCreate', error };
  }
  const removals = surplus.map(async ({ metadata }) => {
    await client.remove('pods', metadata, { preconditions: { uid: metadata.uid } }, signal);
    events.normal(rs, 'SuccessfulDelete', `Deleted pod: ${metadata.name}`);
  });
  const failed = (await Promise.allSettled(removals)).find(({ status }) => status === 'rejected');
  if (failed?.status !== 'rejected') return undefined;
  const error: unknown = failed.reason;
  events.warning(rs, 'FailedDelete', `Error deleting: ${describe(error)}`);
  return { reason: 'FailedDelete', error };
}

/** The pod that a ReplicaSet's template describes; the server completes its name. */
export function podOf(rs: ReplicaSet): Draft<Pod> {
  const { labels, annotations, finalizers } = rs.spec.template?.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${rs.metadata.name}-`,
      ...(rs.metadata.namespace ? { namespace: rs.metadata.namespace } : {}),
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      ...(finalizers ? { finalizers } : {}),
      ownerReferences: [controllerReference(rs)],
    },
    spec: rs.spec.template?.spec ?? { containers: [] },
  };
}

interface Observed {
  readonly pods: readonly Pod[];
  readonly failure: Failure | undefined;
  readonly now: number;
}

/** The status of a ReplicaSet with these pods. */
export function statusOf(rs: ReplicaSet, { pods, failure, now }: Observed): ReplicaSetStatus {
  const active = pods.filter(isActive);
  const labels = selectorOf({ matchLabels: rs.spec.template?.metadata?.labels ?? {} });
  const minReadySeconds = rs.spec.minReadySeconds ?? 0;
  const count = (test: (pod: Pod) => boolean) => active.filter(test).length;
  const terminating = pods.filter((pod) => pod.metadata.deletionTimestamp && !isFinished(pod));
  const conditions = conditionsOf(rs, failure, now);
  const numbers = {
    fullyLabeledReplicas: count((pod) => matchesLabels(labels, pod.metadata.labels)),
    readyReplicas: count(isReady),
    availableReplicas: count((pod) => availableInMs(pod, minReadySeconds, now) === 0),
  };
  return {
    replicas: active.length,
    ...withoutZeros(numbers),
    terminatingReplicas: terminating.length,
    ...(rs.metadata.generation === undefined ? {} : { observedGeneration: rs.metadata.generation }),
    ...(conditions.length > 0 ? { conditions } : {}),
  };
}

function conditionsOf(
  rs: ReplicaSet,
  failure: Failure | undefined,
  now: number,
): ReplicaSetCondition[] {
  const known = rs.status?.conditions ?? [];
  const others = known.filter(({ type }) => type !== 'ReplicaFailure');
  if (!failure) return others;
  const before = known.find(({ type }) => type === 'ReplicaFailure');
  if (before?.reason === failure.reason) return [...known];
  const { reason, error } = failure;
  const lastTransitionTime = timestamp(now);
  const message = describe(error);
  return [
    ...others,
    { type: 'ReplicaFailure', status: 'True', reason, message, lastTransitionTime },
  ];
}

/** Counts of zero are left out, as Kubernetes leaves them out (omitempty). */
function withoutZeros<T extends Readonly<Record<string, number>>>(counts: T): Partial<T> {
  const present = Object.entries(counts).filter(([, count]) => count !== 0);
  return Object.fromEntries(present) as Partial<T>;
}

/** When the next pod that is ready will have been so for minReadySeconds. */
function soonAvailable(rs: ReplicaSet, active: readonly Pod[], now: number): Result {
  const waits = active
    .map((pod) => availableInMs(pod, rs.spec.minReadySeconds ?? 0, now) ?? 0)
    .filter((wait) => wait > 0);
  return waits.length === 0 ? DONE : { requeueAfterMs: Math.min(...waits) };
}
