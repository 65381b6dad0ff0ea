/** What a pod as a whole may ask for, beside what its containers ask. Source: kubernetes pkg/apis/core/validation. */

import { type Causes, forbiddenField, invalidValue, notSupported } from '../field-errors.ts';
import type { PodSpec, ResourceRequirements } from '../generated/types.ts';
import { amountOf, containersQuantity, POD_RESOURCES } from '../pod-resources.ts';
import { compareQuantities } from '../quantity.ts';
import { hugePageCauses, resourceCauses } from './quantity-validation.ts';

/** Everything that is wrong with the resources of the pod itself. */
export function podResourceCauses(spec: PodSpec, field: string): Causes {
  const { resources } = spec;
  if (!resources) return [];
  const path = `${field}.resources`;
  const own = [
    ...(resources.claims?.length
      ? [forbiddenField(`${path}.claims`, 'claims cannot be set for Resources at pod-level')]
      : []),
    ...nameCauses(resources, path),
    ...resourceCauses(path, resources),
    ...hugePageCauses(path, resources),
  ];
  const ofContainers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].flatMap(
    (container) => resourceCauses(path, container.resources),
  );
  // What is no quantity cannot be added up; it is told where it stands.
  if (own.length > 0 || ofContainers.length > 0) return own;
  return [...requestCauses(spec, path), ...limitCauses(spec, path)];
}

function nameCauses({ limits, requests }: ResourceRequirements, path: string): Causes {
  return Object.entries({ limits, requests }).flatMap(([kind, list]) =>
    Object.keys(list ?? {})
      .filter((name) => !isForPods(name))
      .map((name) => notSupported(`${path}.${kind}[${name}]`, name, POD_RESOURCES)),
  );
}

function isForPods(name: string): boolean {
  return POD_RESOURCES.includes(name) || name.startsWith('hugepages-');
}

/** The pod asks for at least as much as its containers together. */
function requestCauses(spec: PodSpec, path: string): Causes {
  return Object.entries(spec.resources?.requests ?? {}).flatMap(([name, request]) => {
    const sum = containersQuantity(spec, 'requests', name) ?? '0';
    if (compareQuantities(sum, request) <= 0) return [];
    const why = `must be greater than or equal to aggregate container requests of ${sum}`;
    return [invalidValue(`${path}.requests[${name}]`, request, why)];
  });
}

/** No container may take more than the pod. */
function limitCauses(spec: PodSpec, path: string): Causes {
  return spec.containers.flatMap(({ resources }, index) =>
    Object.entries(resources?.limits ?? {}).flatMap(([name, limit]) => {
      const whole = spec.resources?.limits?.[name];
      if (whole === undefined || amountOf(name, limit) <= amountOf(name, whole)) return [];
      const why = `must be less than or equal to pod limits of ${whole}`;
      return [invalidValue(`${path}.containers[${index}][${name}].limits`, limit, why)];
    }),
  );
}
