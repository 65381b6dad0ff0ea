/** What the workload kinds must be. Source: kubernetes pkg/apis/apps/validation. */

import {
  type Causes,
  forbiddenField,
  immutable,
  invalidValue,
  isSame,
  required,
} from '../field-errors.ts';
import type {
  DaemonSet,
  Deployment,
  LabelSelector,
  PodTemplateSpec,
  ReplicaSet,
  StatefulSet,
} from '../generated/types.ts';
import { matchesLabels, selectorOf } from '../selectors.ts';
import { validatePodSpec } from './pod-validation.ts';

interface Templated {
  readonly selector?: LabelSelector;
  readonly template?: PodTemplateSpec;
}

function selectorCauses({ selector, template }: Templated): Causes {
  if (!selector) return [required('spec.selector')];
  const labels = template?.metadata?.labels ?? {};
  return matchesLabels(selectorOf(selector), labels)
    ? []
    : [
        invalidValue(
          'spec.template.metadata.labels',
          labels,
          '`selector` does not match template `labels`',
        ),
      ];
}

function templateCauses(spec: Templated): Causes {
  return [
    ...selectorCauses(spec),
    ...validatePodSpec(spec.template?.spec, { field: 'spec.template.spec' }),
  ];
}

export function validateDeployment({ spec }: Deployment): Causes {
  return templateCauses(spec);
}

export function validateReplicaSet({ spec }: ReplicaSet): Causes {
  return templateCauses(spec);
}

export function validateDaemonSet({ spec }: DaemonSet): Causes {
  return templateCauses(spec);
}

export function validateStatefulSet({ spec }: StatefulSet): Causes {
  return templateCauses(spec);
}

/** The selector of a workload never changes. */
export function validateSelectorUpdate(
  object: { readonly spec: Templated },
  old: { readonly spec: Templated },
): Causes {
  return immutable('spec.selector', object.spec.selector, old.spec.selector);
}

/** Fields of a StatefulSet's spec that may change. */
const SET_MAY_CHANGE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

export function validateStatefulSetUpdate({ spec }: StatefulSet, old: StatefulSet): Causes {
  const restored: Record<string, unknown> = { ...spec };
  for (const field of SET_MAY_CHANGE) restored[field] = old.spec[field];
  if (isSame(restored, old.spec)) return [];
  const list = SET_MAY_CHANGE.map((field) => `'${field}'`);
  const why = `updates to statefulset spec for fields other than ${list.slice(0, -1).join(', ')} and ${list.at(-1)} are forbidden`;
  return [forbiddenField('spec', why)];
}
