/** Keeps the status of PodDisruptionBudgets: how many of their pods may be evicted now. Evictions read and take from it. */

import { isDeepStrictEqual } from 'node:util';
import type {
  Condition,
  Deployment,
  Pod,
  PodDisruptionBudget,
  PodDisruptionBudgetStatus,
  ReplicaSet,
} from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import { matchesLabels, selectorOf } from '../api/selectors.ts';
import type { Cache } from '../client/client.ts';
import { controllerOf } from '../client/object-index.ts';
import { type Controller, DONE } from './controller.ts';
import { scaled } from './deployment-scale.ts';
import { isBeforeSetBack, isFinished, isReady, timestamp } from './pods.ts';

/** An eviction that has not been followed by a deletion after this long did not happen. */
const EVICTION_MAX_MS = 2 * 60_000;

export const disruption: Controller = {
  name: 'disruption',
  watches: {
    primary: 'poddisruptionbudgets',
    maps: { pods: budgetsOf },
    reads: ['replicasets', 'deployments', 'replicationcontrollers', 'statefulsets'],
  },
  async reconcile(ref, { cache, client, now }, signal) {
    const budget = cache.get<PodDisruptionBudget>('poddisruptionbudgets', ref);
    if (!budget) return DONE;
    const selector = selectorOf(budget.spec.selector);
    const pods = cache
      .list<Pod>('pods', ref.namespace)
      .filter((pod) => matchesLabels(selector, pod.metadata.labels) && !isFinished(pod));
    const expected = expectedOf(budget, pods, cache);
    const status = budgetStatus(budget, { pods, expected, now: now() });
    if (!isDeepStrictEqual(status, budget.status)) {
      await client.updateStatus('poddisruptionbudgets', { ...budget, status }, signal);
    }
    const hasEvictions = Object.keys(status.disruptedPods ?? {}).length > 0;
    return hasEvictions ? { requeueAfterMs: EVICTION_MAX_MS } : DONE;
  },
};

function budgetsOf({ metadata }: ApiObject, cache: Cache) {
  return cache
    .list<PodDisruptionBudget>('poddisruptionbudgets', metadata.namespace)
    .filter(({ spec }) => matchesLabels(selectorOf(spec.selector), metadata.labels))
    .map((budget) => budget.metadata);
}

/** How many pods there should be, by their controllers; undefined when one's size cannot be told. */
function expectedOf(
  { spec }: PodDisruptionBudget,
  pods: readonly Pod[],
  cache: Cache,
): number | undefined {
  const isCounted = spec.maxUnavailable === undefined && typeof spec.minAvailable !== 'string';
  if (isCounted) return pods.length;
  const sizes = new Map<string, number>();
  for (const pod of pods) {
    const size = sizeOf(pod, cache);
    if (!size) return undefined;
    sizes.set(size.uid, size.replicas);
  }
  return [...sizes.values()].reduce((sum, replicas) => sum + replicas, 0);
}

interface Size {
  readonly uid: string;
  readonly replicas: number;
}

interface Scaled extends ApiObject {
  readonly spec?: { readonly replicas?: number };
}

const RESOURCES: Readonly<Record<string, string>> = {
  ReplicaSet: 'replicasets',
  ReplicationController: 'replicationcontrollers',
  StatefulSet: 'statefulsets',
};

function sizeOf(pod: Pod, cache: Cache): Size | undefined {
  const { namespace = '' } = pod.metadata;
  const owner = controllerOf(pod);
  const resource = RESOURCES[owner?.kind ?? ''];
  if (!owner || !resource) return undefined;
  const found = cache.get<Scaled>(resource, { namespace, name: owner.name });
  if (!found) return undefined;
  const above = resource === 'replicasets' ? controllerOf(found as ReplicaSet) : undefined;
  const deployment = above && cache.get<Deployment>('deployments', { namespace, name: above.name });
  const { metadata, spec } = deployment ?? found;
  return { uid: metadata.uid, replicas: spec?.replicas ?? 1 };
}

interface Observed {
  readonly pods: readonly Pod[];
  readonly expected: number | undefined;
  readonly now: number;
}

/** The status of a budget with these pods. Without an expected count nothing may be disrupted. */
export function budgetStatus(
  budget: PodDisruptionBudget,
  { pods, expected, now }: Observed,
): PodDisruptionBudgetStatus {
  const disruptedPods = stillDisrupted(budget, pods, now);
  const healthy = pods.filter(
    (pod) =>
      isReady(pod) && !pod.metadata.deletionTimestamp && !(pod.metadata.name in disruptedPods),
  );
  const desiredHealthy = desiredOf(budget, expected ?? 0);
  const disruptionsAllowed =
    expected === undefined || expected <= 0 ? 0 : Math.max(0, healthy.length - desiredHealthy);
  const { generation } = budget.metadata;
  const fresh = conditionOf(disruptionsAllowed, expected, generation);
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(Object.keys(disruptedPods).length > 0 ? { disruptedPods } : {}),
    disruptionsAllowed,
    currentHealthy: healthy.length,
    desiredHealthy,
    expectedPods: expected ?? 0,
    conditions: [dated(fresh, budget, now)],
  };
}

function desiredOf({ spec }: PodDisruptionBudget, expected: number): number {
  if (spec.maxUnavailable !== undefined) {
    return Math.max(0, expected - scaled(spec.maxUnavailable, expected, 'up'));
  }
  return scaled(spec.minAvailable ?? 1, expected, 'up');
}

/** Evictions that were granted and whose pods are not being deleted yet. */
function stillDisrupted(
  { status }: PodDisruptionBudget,
  pods: readonly Pod[],
  now: number,
): Readonly<Record<string, string>> {
  const entries = Object.entries(status?.disruptedPods ?? {}).filter(([name, at]) => {
    const pod = pods.find(({ metadata }) => metadata.name === name);
    const isRecent =
      Date.parse(at) + EVICTION_MAX_MS > now && !isBeforeSetBack(Date.parse(at), now);
    return pod && !pod.metadata.deletionTimestamp && isRecent;
  });
  return Object.fromEntries(entries);
}

function conditionOf(
  allowed: number,
  expected: number | undefined,
  generation: number | undefined,
): Omit<Condition, 'lastTransitionTime'> {
  const observed = generation === undefined ? {} : { observedGeneration: generation };
  const type = 'DisruptionAllowed';
  if (expected === undefined) {
    const message = 'a pod has no controller whose size is known';
    return { type, status: 'False', reason: 'SyncFailed', message, ...observed };
  }
  return allowed > 0
    ? { type, status: 'True', reason: 'SufficientPods', message: '', ...observed }
    : { type, status: 'False', reason: 'InsufficientPods', message: '', ...observed };
}

function dated(
  fresh: Omit<Condition, 'lastTransitionTime'>,
  { status }: PodDisruptionBudget,
  now: number,
): Condition {
  const before = status?.conditions?.find(({ type }) => type === fresh.type);
  const isSame = before?.status === fresh.status;
  const lastTransitionTime = isSame ? before.lastTransitionTime : timestamp(now);
  return { ...fresh, lastTransitionTime };
}
