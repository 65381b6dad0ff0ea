/** Defaults and bounds that a namespace's LimitRanges set for containers, pods and claims. */

import { forbidden } from '../../api/errors.ts';
import type {
  Container,
  LimitRange,
  LimitRangeItem,
  PersistentVolumeClaim,
  Pod,
} from '../../api/generated/types.ts';
import { addQuantities, compareQuantities, parseQuantity } from '../../api/quantity.ts';
import type { Admission, AdmissionRequest } from '../contract.ts';
import { createdPod, isOn, objectAs, resizedPod, shownName } from './subject.ts';

type Amounts = Readonly<Record<string, string>>;

interface Resources {
  readonly requests: Amounts;
  readonly limits: Amounts;
}

export const limitRanger: Admission = {
  name: 'LimitRanger',
  admit(request) {
    const { registry, namespace, object } = request;
    const resized = resizedPod(request);
    const pod = createdPod(request) ?? resized;
    const isClaim =
      isOn(request, 'CREATE', 'persistentvolumeclaims') ||
      isOn(request, 'UPDATE', 'persistentvolumeclaims');
    if (!pod && !isClaim) return object;
    const items = registry
      .list<LimitRange>('limitranges', namespace)
      .items.flatMap(({ spec }) => spec.limits);
    if (items.length === 0) return object;
    if (resized) return checkPod(request, { pod: resized, items });
    if (pod) return limitPod(request, { pod, items });
    const claim = objectAs<PersistentVolumeClaim>(object, 'PersistentVolumeClaim');
    const { requests = {}, limits = {} } = claim?.spec?.resources ?? {};
    refuse(
      request,
      boundsBroken(items, { type: 'PersistentVolumeClaim', used: { requests, limits } }),
    );
    return object;
  },
};

interface Limited {
  readonly pod: Pod;
  readonly items: readonly LimitRangeItem[];
}

function limitPod(request: AdmissionRequest, { pod, items }: Limited): Pod {
  const defaults = items.filter(({ type }) => type === 'Container');
  const completed = (container: Container) => withDefaults(container, defaults);
  const containers = pod.spec.containers.map(completed);
  const initContainers = pod.spec.initContainers?.map(completed);
  const spec = { ...pod.spec, containers, ...(initContainers ? { initContainers } : {}) };
  return checkPod(request, { pod: { ...pod, spec }, items });
}

/** Throws Forbidden when the pod or one of its containers is out of bounds. */
function checkPod(request: AdmissionRequest, { pod, items }: Limited): Pod {
  const { containers, initContainers = [] } = pod.spec;
  const broken = [...containers, ...initContainers].flatMap((container) =>
    boundsBroken(items, { type: 'Container', used: resourcesOf(container) }),
  );
  const used = totalOf(containers, initContainers);
  refuse(request, [...broken, ...boundsBroken(items, { type: 'Pod', used })]);
  return pod;
}

function withDefaults(container: Container, items: readonly LimitRangeItem[]): Container {
  const { requests, limits } = resourcesOf(container);
  const limitDefaults = merge(items.map((item) => item.default ?? {}));
  const requestDefaults = merge(items.map((item) => item.defaultRequest ?? {}));
  const allLimits = { ...limitDefaults, ...limits };
  // What has an explicit limit requests as much, unless it says otherwise: that default was applied before.
  const allRequests = { ...requestDefaults, ...requests };
  const isEmpty = (amounts: Amounts) => Object.keys(amounts).length === 0;
  return {
    ...container,
    resources: {
      ...container.resources,
      ...(isEmpty(allLimits) ? {} : { limits: allLimits }),
      ...(isEmpty(allRequests) ? {} : { requests: allRequests }),
    },
  };
}

/** The first range that sets a default wins. */
function merge(all: readonly Amounts[]): Amounts {
  return Object.assign({}, ...[...all].reverse());
}

function resourcesOf({ resources }: Container): Resources {
  return { requests: resources?.requests ?? {}, limits: resources?.limits ?? {} };
}

/** What the pod takes: the sum of its containers, or more if one init container takes more. */
function totalOf(containers: readonly Container[], inits: readonly Container[]): Resources {
  const total = (kind: keyof Resources) => {
    const sum = containers.map((container) => resourcesOf(container)[kind]).reduce(add, {});
    return inits.map((container) => resourcesOf(container)[kind]).reduce(larger, sum);
  };
  return { requests: total('requests'), limits: total('limits') };
}

function add(a: Amounts, b: Amounts): Amounts {
  return combine([a, b], addQuantities);
}

function larger(a: Amounts, b: Amounts): Amounts {
  return combine([a, b], (one, other) => (compareQuantities(one, other) >= 0 ? one : other));
}

function combine(
  [a, b]: readonly [Amounts, Amounts],
  merged: (one: string, other: string) => string,
): Amounts {
  const result: Record<string, string> = { ...a };
  for (const [name, amount] of Object.entries(b)) {
    const present = result[name];
    result[name] = present === undefined ? amount : merged(present, amount);
  }
  return result;
}

function boundsBroken(
  items: readonly LimitRangeItem[],
  { type, used }: { readonly type: string; readonly used: Resources },
): string[] {
  return items
    .filter((item) => item.type === type)
    .flatMap((item) => [
      ...Object.entries(item.min ?? {}).flatMap(([name, min]) =>
        belowMin({ type, name, min, used }),
      ),
      ...Object.entries(item.max ?? {}).flatMap(([name, max]) =>
        aboveMax({ type, name, max, used }),
      ),
      ...Object.entries(item.maxLimitRequestRatio ?? {}).flatMap(([name, ratio]) =>
        overRatio({ type, name, ratio, used }),
      ),
    ]);
}

interface Bound {
  readonly type: string;
  readonly name: string;
  readonly used: Resources;
}

function belowMin({ type, name, min, used }: Bound & { readonly min: string }): string[] {
  const request = used.requests[name];
  const limit = used.limits[name];
  if (request === undefined)
    return [`minimum ${name} usage per ${type} is ${min}.  No request is specified`];
  if (compareQuantities(request, min) < 0)
    return [`minimum ${name} usage per ${type} is ${min}, but request is ${request}`];
  if (limit !== undefined && compareQuantities(limit, min) < 0)
    return [`minimum ${name} usage per ${type} is ${min}, but limit is ${limit}`];
  return [];
}

function aboveMax({ type, name, max, used }: Bound & { readonly max: string }): string[] {
  const request = used.requests[name];
  const limit = type === 'PersistentVolumeClaim' ? request : used.limits[name];
  if (limit === undefined)
    return [`maximum ${name} usage per ${type} is ${max}.  No limit is specified`];
  if (compareQuantities(limit, max) > 0)
    return [`maximum ${name} usage per ${type} is ${max}, but limit is ${limit}`];
  if (request !== undefined && compareQuantities(request, max) > 0)
    return [`maximum ${name} usage per ${type} is ${max}, but request is ${request}`];
  return [];
}

function overRatio({ type, name, ratio, used }: Bound & { readonly ratio: string }): string[] {
  const request = parseQuantity(used.requests[name] ?? '0').nanos;
  const limit = parseQuantity(used.limits[name] ?? '0').nanos;
  const isMissing = request === 0n || limit === 0n;
  if (isMissing)
    return [
      `${name} max limit to request ratio per ${type} is ${ratio}, but no request is specified or request is 0`,
    ];
  const actual = Number(limit) / Number(request);
  const allowed = Number(parseQuantity(ratio).nanos) / 1e9;
  return actual > allowed
    ? [
        `${name} max limit to request ratio per ${type} is ${ratio}, but provided ratio is ${actual.toFixed(6)}`,
      ]
    : [];
}

function refuse(request: AdmissionRequest, broken: readonly string[]): void {
  if (broken.length === 0) return;
  const list = broken.length === 1 ? (broken[0] ?? '') : `[${broken.join(', ')}]`;
  throw forbidden({ plural: request.resource, group: request.group }, shownName(request), list);
}
