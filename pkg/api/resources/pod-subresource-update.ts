/** What a resize and the addition of debug containers may change. Source: kubernetes pkg/apis/core/validation. */

import { type Causes, forbiddenField, invalidValue, isSame } from '../field-errors.ts';
import type { Container, Pod, PodSpec, ResourceRequirements } from '../generated/types.ts';
import { qosClass } from './pod-qos.ts';

const RESIZABLE = ['cpu', 'memory'];

/** A resize changes the CPU and memory of containers, and not the quality of service. */
export function validateResize({ spec }: Pod, { spec: old }: Pod): Causes {
  const [now, was] = [qosClass(spec), qosClass(old)];
  const why = 'Pod QOS Class may not change as a result of resizing';
  return [
    ...(isSame(withoutSizes(spec), withoutSizes(old))
      ? []
      : [forbiddenField('spec', 'only cpu and memory resources are mutable')]),
    ...(now === was ? [] : [invalidValue('spec', now, why)]),
  ];
}

function withoutSizes(spec: PodSpec): unknown {
  const fixed = (list: readonly Container[] | undefined) =>
    list?.map((container) => ({ ...container, resources: fixedPart(container.resources) }));
  return {
    ...spec,
    containers: fixed(spec.containers),
    initContainers: fixed(spec.initContainers),
    resources: fixedPart(spec.resources),
  };
}

function fixedPart(resources: ResourceRequirements = {}): unknown {
  const rest = (list: Readonly<Record<string, string>> = {}) =>
    Object.fromEntries(Object.entries(list).filter(([name]) => !RESIZABLE.includes(name)));
  return { ...resources, limits: rest(resources.limits), requests: rest(resources.requests) };
}

/** Debug containers are only ever added. */
export function validateEphemeralUpdate({ spec }: Pod, { spec: old }: Pod): Causes {
  const field = 'spec.ephemeralContainers';
  const now = new Map((spec.ephemeralContainers ?? []).map((each) => [each.name, each]));
  return (old.ephemeralContainers ?? []).flatMap((was) => {
    const kept = now.get(was.name);
    if (!kept) {
      return [
        forbiddenField(field, `existing ephemeral containers "${was.name}" may not be removed`),
      ];
    }
    return isSame(kept, was)
      ? []
      : [forbiddenField(field, `existing ephemeral containers "${was.name}" may not be changed`)];
  });
}
