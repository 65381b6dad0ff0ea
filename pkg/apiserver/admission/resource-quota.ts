/**
 * Refuses what would exceed a namespace's ResourceQuotas. Usage is counted from the objects themselves and from
 * creates in flight, so that many at once cannot slip through; the status that people read follows.
 */

import { isDeepStrictEqual } from 'node:util';
import { forbidden } from '../../api/errors.ts';
import type { Pod, ResourceQuota } from '../../api/generated/types.ts';
import type { ApiObject } from '../../api/meta.ts';
import { compareQuantities, subtractQuantities } from '../../api/quantity.ts';
import type { Admission, AdmissionRequest, Registry } from '../contract.ts';
import { type Amounts, isInScope, sourceOf, sum, unstated, usageOf } from './quota-usage.ts';
import { shownName } from './subject.ts';

/** A create that was admitted is stored within this, or it failed. */
const IN_FLIGHT_MS = 10_000;

interface InFlight {
  readonly resource: string;
  readonly object: ApiObject;
  readonly untilMs: number;
}

export function resourceQuota(options: { readonly now: () => number }): Admission {
  const inFlight = new Map<string, InFlight[]>();
  return {
    name: 'ResourceQuota',
    admit(request) {
      const { operation, subresource, namespace, object, old, registry, isDryRun } = request;
      const isWrite = operation === 'CREATE' || operation === 'UPDATE';
      // A resize changes what a pod takes; no other subresource does.
      const isCounted = subresource === '' || subresource === 'resize';
      if (!isWrite || !isCounted || !namespace || !object) return object;
      const resource = request.group ? `${request.resource}.${request.group}` : request.resource;
      const quotas = registry.list<ResourceQuota>('resourcequotas', namespace).items;
      if (quotas.length === 0 || resource === 'resourcequotas') return object;
      const pending = waiting(inFlight, { request, now: options.now() });
      for (const quota of quotas) check({ quota, request, resource, object, old, pending });
      if (operation === 'CREATE' && !isDryRun) {
        pending.push({ resource, object, untilMs: options.now() + IN_FLIGHT_MS });
        inFlight.set(namespace, pending);
      }
      return object;
    },
  };
}

/** Counts what a quota's names are used for now. For the status, which a controller writes. */
function quotaUsage(registry: Registry, quota: ResourceQuota): Amounts {
  const { namespace = '' } = quota.metadata;
  const hard = Object.keys(quota.spec.hard ?? {});
  const sources = new Set(hard.flatMap((name) => sourceOf(name) ?? []));
  const total = sum(
    [...sources].flatMap((resource) =>
      registry
        .list(resource, namespace)
        .items.filter((object) => isInScope(quota, { resource, object }))
        .map((object) => usageOf(resource, object)),
    ),
  );
  return Object.fromEntries(hard.map((name) => [name, total[name] ?? '0']));
}

/** Writes a quota's status if it is not what is used now. */
export async function refreshQuota(registry: Registry, quota: ResourceQuota): Promise<void> {
  const used = quotaUsage(registry, quota);
  const hard = quota.spec.hard ?? {};
  if (isDeepStrictEqual(quota.status, { hard, used })) return;
  await registry.modify<ResourceQuota>('resourcequotas', quota.metadata, (current) => ({
    ...current,
    status: { hard: current.spec.hard ?? {}, used },
  }));
}

/** What was admitted in this namespace and is not stored yet. */
function waiting(
  inFlight: Map<string, InFlight[]>,
  { request, now }: { readonly request: AdmissionRequest; readonly now: number },
): InFlight[] {
  const { namespace, registry } = request;
  return (inFlight.get(namespace) ?? []).filter(({ resource, object, untilMs }) => {
    const { name } = object.metadata;
    return untilMs > now && !(name && registry.get(resource, { namespace, name }));
  });
}

interface Check {
  readonly quota: ResourceQuota;
  readonly request: AdmissionRequest;
  readonly resource: string;
  readonly object: ApiObject;
  readonly old: ApiObject | undefined;
  readonly pending: readonly InFlight[];
}

function check({ quota, request, resource, object, old, pending }: Check): void {
  const hard = quota.spec.hard ?? {};
  const names = Object.keys(hard).filter((name) => sourceOf(name) === resource);
  if (names.length === 0 || !isInScope(quota, { resource, object })) return;
  if (resource === 'pods' && request.operation === 'CREATE')
    checkStated(quota, { request, pod: object as Pod });
  const wanted = usageOf(resource, object);
  const before = old && isInScope(quota, { resource, object: old }) ? usageOf(resource, old) : {};
  const grows = names.filter(
    (name) => compareQuantities(wanted[name] ?? '0', before[name] ?? '0') > 0,
  );
  if (grows.length === 0) return;
  const stored = quotaUsage(request.registry, quota);
  const flying = sum(
    pending
      .filter((each) => each.resource === resource && isInScope(quota, each))
      .map((each) => usageOf(resource, each.object)),
  );
  const requested = (name: string) => subtractQuantities(wanted[name] ?? '0', before[name] ?? '0');
  const used = (name: string) =>
    sum([{ x: stored[name] ?? '0' }, { x: flying[name] ?? '0' }])['x'] ?? '0';
  const exceeded = grows.filter(
    (name) =>
      compareQuantities(
        sum([{ x: used(name) }, { x: requested(name) }])['x'] ?? '0',
        hard[name] ?? '0',
      ) > 0,
  );
  if (exceeded.length === 0) return;
  const show = (amount: (name: string) => string) =>
    exceeded.map((name) => `${name}=${amount(name)}`).join(',');
  throw forbidden(
    { plural: request.resource, group: request.group },
    shownName(request),
    `exceeded quota: ${quota.metadata.name}, requested: ${show(requested)}, used: ${show(used)}, limited: ${show((name) => hard[name] ?? '0')}`,
  );
}

function checkStated(
  quota: ResourceQuota,
  { request, pod }: { readonly request: AdmissionRequest; readonly pod: Pod },
): void {
  const missing = unstated(quota, pod);
  if (missing.length === 0) return;
  throw forbidden(
    { plural: 'pods', group: '' },
    shownName(request),
    `failed quota: ${quota.metadata.name}: must specify ${missing.join('; ')}`,
  );
}
