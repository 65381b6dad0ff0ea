/** Which fields of a pod may change. Source: kubernetes pkg/apis/core/validation ValidatePodUpdate. */

import { type Causes, forbiddenField, invalidValue, isSame } from '../field-errors.ts';
import type { Container, Pod, PodSpec } from '../generated/types.ts';

const MAY_CHANGE =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** What a write to the pod itself may not change. */
export function validatePodUpdate(pod: Pod, old: Pod): Causes {
  const counts = countCauses(pod.spec, old.spec);
  if (counts.length > 0) return counts;
  return [
    ...deadlineCauses(pod.spec, old.spec),
    ...tolerationCauses(pod.spec, old.spec),
    ...gateCauses(pod.spec, old.spec),
    ...(isSame(masked(pod.spec, old), old.spec) ? [] : [forbiddenField('spec', MAY_CHANGE)]),
  ];
}

function countCauses(spec: PodSpec, old: PodSpec): Causes {
  return (['containers', 'initContainers'] as const).flatMap((list) =>
    (spec[list]?.length ?? 0) === (old[list]?.length ?? 0)
      ? []
      : [forbiddenField(`spec.${list}`, 'pod updates may not add or remove containers')],
  );
}

function deadlineCauses(spec: PodSpec, old: PodSpec): Causes {
  const field = 'spec.activeDeadlineSeconds';
  const [now, was] = [spec.activeDeadlineSeconds, old.activeDeadlineSeconds];
  if (was === undefined || now === was) return [];
  if (now === undefined)
    return [
      invalidValue(field, now ?? null, 'must not update from a positive integer to nil value'),
    ];
  return now > was
    ? [invalidValue(field, now, `must be less than or equal to previous value`)]
    : [];
}

function tolerationCauses(spec: PodSpec, old: PodSpec): Causes {
  const now = spec.tolerations ?? [];
  const isKept = (old.tolerations ?? []).every((toleration) =>
    now.some((kept) =>
      isSame({ ...kept, tolerationSeconds: 0 }, { ...toleration, tolerationSeconds: 0 }),
    ),
  );
  return isKept
    ? []
    : [
        forbiddenField(
          'spec.tolerations',
          'existing toleration can not be modified except its tolerationSeconds',
        ),
      ];
}

function gateCauses(spec: PodSpec, old: PodSpec): Causes {
  const had = (old.schedulingGates ?? []).map(({ name }) => name);
  return (spec.schedulingGates ?? [])
    .filter(({ name }) => !had.includes(name))
    .map(({ name }) =>
      forbiddenField(
        'spec.schedulingGates',
        `only deletion is allowed, but found new scheduling gate '${name}'`,
      ),
    );
}

/** The new spec with what may change as it was. */
function masked(spec: PodSpec, { spec: old }: Pod): PodSpec {
  const images = (list: readonly Container[] | undefined, was: readonly Container[] | undefined) =>
    list?.map((container, index) => withField(container, 'image', was?.[index]?.image));
  const isGated = (old.schedulingGates?.length ?? 0) > 0;
  const isGraceRepair =
    (old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1;
  const kept = {
    containers: images(spec.containers, old.containers),
    initContainers: images(spec.initContainers, old.initContainers),
    activeDeadlineSeconds: old.activeDeadlineSeconds,
    tolerations: old.tolerations,
    schedulingGates: old.schedulingGates,
    ...(isGraceRepair ? { terminationGracePeriodSeconds: old.terminationGracePeriodSeconds } : {}),
    // A pod that waits for its gates may still be directed more narrowly.
    ...(isGated ? { nodeSelector: old.nodeSelector, affinity: old.affinity } : {}),
  };
  return Object.assign({}, spec, kept);
}

function withField<T extends object, K extends keyof T>(
  object: T,
  key: K,
  value: T[K] | undefined,
): T {
  return Object.assign({}, object, { [key]: value });
}
