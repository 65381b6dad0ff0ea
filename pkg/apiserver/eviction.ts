/** pods/eviction: deletes a pod if its disruption budgets allow it. */

import { badRequest, StatusError } from '../api/errors.ts';
import type { Eviction, Pod, PodDisruptionBudget } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import { matchesLabels, selectorOf } from '../api/selectors.ts';
import { admission } from './admit.ts';
import type { ServerResponse } from './contract.ts';
import { decodeAs } from './decode.ts';
import { deleteObject } from './delete.ts';
import { type DeleteOptions, deleteOptionsOf } from './delete-options.ts';
import { timestamp } from './metadata.ts';
import type { Call, Parts } from './parts.ts';
import { asPod } from './pod-node.ts';
import { rowOf } from './storage.ts';
import { read } from './verbs.ts';
import { changeObject, refIn } from './write.ts';

const EVICTION_TYPE = 'io.k8s.api.policy.v1.Eviction';
const BUDGETS = 'poddisruptionbudgets';
/** Budgets' controllers catch up with evictions within this time. Source: Kubernetes' MaxDisruptedPodSize. */
const DISRUPTED_PODS_MAX = 2000;

/** Serves POST to pods/eviction. Throws TooManyRequests when a budget does not allow it now. */
export async function evict(parts: Parts, call: Call): Promise<ServerResponse> {
  const { request, resource, route } = call;
  const { object } = decodeAs(request, EVICTION_TYPE);
  const eviction = asEviction(object);
  if (eviction.metadata.name && eviction.metadata.name !== route.name) {
    throw badRequest('name in URL does not match name in Eviction object');
  }
  const options = deleteOptionsOf(request.query, eviction.deleteOptions);
  await admission(parts, call, options.isDryRun)('CREATE', { object, old: undefined });
  const pod = asPod(read(parts, call));
  if (!isFree(pod)) await take(parts, pod, options);
  const ref = refIn(route.namespace, route.name);
  await deleteObject(parts, { resource, ref, options });
  const body = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
  return { kind: 'object', status: 201, body };
}

/** Pods that serve nobody (any more) need no budget. */
function isFree({ metadata, status }: Pod): boolean {
  const phase = status?.phase;
  return (
    phase === 'Succeeded' ||
    phase === 'Failed' ||
    phase === 'Pending' ||
    metadata.deletionTimestamp !== undefined
  );
}

/** Takes one disruption from the pod's budget, or throws. */
async function take(parts: Parts, pod: Pod, options: DeleteOptions): Promise<void> {
  const budgets = budgetsOf(parts, pod);
  const [budget, second] = budgets;
  if (!budget) return;
  if (second) {
    throw new StatusError(
      'InternalError',
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  if (mayGoUnhealthy(pod, budget)) return;
  const row = rowOf(BUDGETS);
  const { namespace = '', name } = budget.metadata;
  await changeObject(parts, {
    resource: row,
    ref: refIn(namespace, name),
    subresource: 'status',
    isDryRun: options.isDryRun,
    isRetried: true,
    change: (current) => ({
      ...taken(asBudget(current), pod, parts.clock.now()),
      metadata: current.metadata,
    }),
  });
}

function taken(budget: PodDisruptionBudget, pod: Pod, nowMs: number): PodDisruptionBudget {
  const { status, metadata } = budget;
  const isStale = (status?.observedGeneration ?? 0) < (metadata.generation ?? 0);
  if (!status || isStale) {
    throw tooMany(
      `The disruption budget ${metadata.name} is still being processed by the server.`,
      10,
    );
  }
  if ((status.disruptionsAllowed ?? 0) <= 0) throw exceeded(budget);
  const disrupted = status.disruptedPods ?? {};
  if (Object.keys(disrupted).length >= DISRUPTED_PODS_MAX) {
    throw tooMany(
      `DisruptedPods map too big - too many evictions not confirmed by PDB controller`,
      10,
    );
  }
  return {
    ...budget,
    status: {
      ...status,
      disruptionsAllowed: (status.disruptionsAllowed ?? 0) - 1,
      disruptedPods: { ...disrupted, [pod.metadata.name]: timestamp(nowMs) },
    },
  };
}

function exceeded({ metadata, status }: PodDisruptionBudget): StatusError {
  const needs = `The disruption budget ${metadata.name} needs ${status?.desiredHealthy ?? 0} healthy pods and has ${status?.currentHealthy ?? 0} currently`;
  return tooMany("Cannot evict pod as it would violate the pod's disruption budget.", 0, needs);
}

function tooMany(message: string, retryAfterSeconds: number, cause = ''): StatusError {
  return new StatusError('TooManyRequests', message, {
    ...(cause ? { causes: [{ reason: 'DisruptionBudget', message: cause }] } : {}),
    ...(retryAfterSeconds > 0 ? { retryAfterSeconds } : {}),
  });
}

/** A pod that is not ready adds nothing that a budget protects, if there is enough or the policy says so. */
function mayGoUnhealthy({ status }: Pod, { spec, status: budget }: PodDisruptionBudget): boolean {
  const isReady = status?.conditions?.some(
    (each) => each.type === 'Ready' && each.status === 'True',
  );
  if (isReady) return false;
  if (spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = budget ?? {};
  return desiredHealthy > 0 && currentHealthy >= desiredHealthy;
}

function budgetsOf({ registry }: Parts, pod: Pod): readonly PodDisruptionBudget[] {
  const { items } = registry.list<PodDisruptionBudget>(BUDGETS, pod.metadata.namespace);
  return items.filter(({ spec }) => matchesLabels(selectorOf(spec.selector), pod.metadata.labels));
}

function asEviction(object: ApiObject): Eviction {
  return object as Eviction;
}

function asBudget(object: ApiObject): PodDisruptionBudget {
  return object as PodDisruptionBudget;
}
