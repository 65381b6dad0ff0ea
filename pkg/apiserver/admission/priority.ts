/** Turns a pod's priorityClassName into its priority. Source: Kubernetes' Priority admission. */

import { forbidden } from '../../api/errors.ts';
import type { Pod, PriorityClass } from '../../api/generated/types.ts';
import type { Draft } from '../../api/meta.ts';
import type { Admission, AdmissionRequest, Registry } from '../contract.ts';
import { createdPod, isOn, objectAs, shownName } from './subject.ts';

/** Created at start; known here even before that. */
export const SYSTEM_PRIORITY_CLASSES: readonly (Draft<PriorityClass> & {
  readonly value: number;
})[] = [
  systemClass(
    'system-cluster-critical',
    2_000_000_000,
    'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  ),
  systemClass(
    'system-node-critical',
    2_000_001_000,
    'Used for system critical pods that must not be moved from their current node.',
  ),
];

interface Resolved {
  readonly name: string;
  readonly value: number;
  readonly preemptionPolicy: string;
}

export const priority: Admission = {
  name: 'Priority',
  admit(request) {
    if (
      isOn(request, 'CREATE', 'priorityclasses.scheduling.k8s.io') ||
      isOn(request, 'UPDATE', 'priorityclasses.scheduling.k8s.io')
    ) {
      checkDefault(request);
    }
    const pod = createdPod(request);
    return pod ? withPriority(request, pod) : request.object;
  },
};

function withPriority(request: AdmissionRequest, pod: Pod): Pod {
  const { spec } = pod;
  const { name, value, preemptionPolicy } = resolve(request, spec.priorityClassName ?? '');
  const refuse = (why: string) => forbidden({ plural: 'pods', group: '' }, shownName(request), why);
  if (spec.priority !== undefined && spec.priority !== value) {
    throw refuse(
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  }
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== preemptionPolicy) {
    throw refuse(
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${preemptionPolicy} from the given PriorityClass name`,
    );
  }
  return {
    ...pod,
    spec: {
      ...spec,
      priority: value,
      preemptionPolicy,
      ...(name ? { priorityClassName: name } : {}),
    },
  };
}

function resolve(request: AdmissionRequest, name: string): Resolved {
  const { registry } = request;
  if (name === '') {
    const found = defaultClass(registry);
    return found
      ? resolved(found)
      : { name: '', value: 0, preemptionPolicy: 'PreemptLowerPriority' };
  }
  const found = registry.get<PriorityClass>('priorityclasses', { name });
  if (found) return resolved(found);
  const builtIn = SYSTEM_PRIORITY_CLASSES.find(({ metadata }) => metadata.name === name);
  if (builtIn) return { name, value: builtIn.value, preemptionPolicy: 'PreemptLowerPriority' };
  const why = `no PriorityClass with name ${name} was found`;
  throw forbidden({ plural: 'pods', group: '' }, shownName(request), why);
}

function resolved({ metadata, value, preemptionPolicy }: PriorityClass): Resolved {
  return {
    name: metadata.name,
    value: value ?? 0,
    preemptionPolicy: preemptionPolicy ?? 'PreemptLowerPriority',
  };
}

/** Of several defaults the lowest counts, as in Kubernetes. */
function defaultClass(registry: Registry): PriorityClass | undefined {
  return registry
    .list<PriorityClass>('priorityclasses')
    .items.filter(({ globalDefault }) => globalDefault)
    .reduce<PriorityClass | undefined>(
      (lowest, each) => (!lowest || (each.value ?? 0) < (lowest.value ?? 0) ? each : lowest),
      undefined,
    );
}

function checkDefault(request: AdmissionRequest): void {
  const written = objectAs<PriorityClass>(request.object, 'PriorityClass');
  if (!written?.globalDefault) return;
  const other = defaultClass(request.registry);
  if (!other || other.metadata.name === written.metadata.name) return;
  const why = `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`;
  throw forbidden(
    { plural: 'priorityclasses', group: 'scheduling.k8s.io' },
    written.metadata.name,
    why,
  );
}

function systemClass(name: string, value: number, description: string) {
  return {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name },
    value,
    description,
  };
}
