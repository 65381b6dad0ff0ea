/** What a resize and the addition of debug containers may change. Source: kubernetes pkg/apis/core/validation. */

import { type Causes, forbiddenField, invalidValue, isSame } from '../field-errors.ts';
import type { Container, Pod, PodSpec, ResourceRequirements } from '../generated/types.ts';
import { qosClass } from './pod-qos.ts';

const RESIZABLE = ['cpu', 'memory'];
type ContainerList = 'containers' | 'initContainers';
const MIRROR = 'kubernetes.io/config.mirror';

/** A resize changes the CPU and memory of containers that run on, and not the quality of service. */
export function validateResize({ spec }: Pod, old: Pod): Causes {
  if (old.metadata.annotations?.[MIRROR] !== undefined)
    return [forbiddenField('', 'static pods cannot be resized')];
  const named = [
    ...nameCauses('containers', spec, old.spec),
    ...nameCauses('initContainers', spec, old.spec),
  ];
  if (named.length > 0) return named;
  const causes = [
    ...qosCauses(spec, old.spec),
    ...containerCauses('containers', spec, old.spec),
    ...containerCauses('initContainers', spec, old.spec),
    ...removalCauses('spec.resources', spec.resources, old.spec.resources),
  ];
  if (causes.length > 0 || isSame(withoutSizes(spec), withoutSizes(old.spec))) return causes;
  return [forbiddenField('spec', 'only cpu and memory resources are mutable')];
}

function nameCauses(list: ContainerList, spec: PodSpec, old: PodSpec): Causes {
  const [now, was] = [spec[list] ?? [], old[list] ?? []];
  if (now.length !== was.length)
    return [forbiddenField(`spec.${list}`, `${list} may not be added or removed on resize`)];
  const why = `${list} may not be renamed or reordered on resize`;
  return now.flatMap(({ name }, index) =>
    name === was[index]?.name ? [] : [forbiddenField(`spec.${list}[${index}].name`, why)],
  );
}

function qosCauses(spec: PodSpec, old: PodSpec): Causes {
  const [now, was] = [qosClass(spec), qosClass(old)];
  const why = 'Pod QOS Class may not change as a result of resizing';
  return now === was ? [] : [invalidValue('spec', now, why)];
}

function containerCauses(list: ContainerList, spec: PodSpec, old: PodSpec): Causes {
  return (old[list] ?? []).flatMap((was, index) => {
    const now = spec[list]?.[index];
    if (!now) return [];
    const isSidecar = list === 'initContainers' && was.restartPolicy === 'Always';
    if (list === 'initContainers' && !isSidecar) {
      const why = 'resources for non-sidecar init containers are immutable';
      return isSame(now, was) ? [] : [forbiddenField('spec', why)];
    }
    const of = isSidecar ? ' for sidecar containers' : '';
    const why = `only cpu and memory resources${of} are mutable`;
    return [
      ...removalCauses(`spec.${list}[${index}].resources`, now.resources, was.resources),
      ...(isSame(sizeless(now), sizeless(was)) ? [] : [forbiddenField('spec', why)]),
    ];
  });
}

function removalCauses(
  field: string,
  now: ResourceRequirements = {},
  was: ResourceRequirements = {},
): Causes {
  return (['requests', 'limits'] as const).flatMap((kind) => {
    const left = now[kind] ?? {};
    const isRemoved = Object.keys(was[kind] ?? {}).some((name) => left[name] === undefined);
    return isRemoved
      ? [forbiddenField(`${field}.${kind}`, `resource ${kind} cannot be removed`)]
      : [];
  });
}

function withoutSizes(spec: PodSpec): unknown {
  return {
    ...spec,
    containers: spec.containers.map(sizeless),
    initContainers: spec.initContainers?.map(sizeless),
    resources: fixedPart(spec.resources),
  };
}

function sizeless(container: Container): unknown {
  return { ...container, resources: fixedPart(container.resources) };
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
