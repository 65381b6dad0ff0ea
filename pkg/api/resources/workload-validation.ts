/** What the workload kinds must be. Source: kubernetes pkg/apis/apps/validation. */

import {
  type Causes,
  each,
  forbiddenField,
  immutable,
  invalidValue,
  isSame,
  notNegative,
  notSupported,
  oneOf,
  required,
  requiredOneOf,
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
import { atMostAll, countOrPercent } from './policy.ts';
import { validateSelector } from './selector-validation.ts';
import { validateTemplate } from './template-validation.ts';
import { claimSpecCauses } from './volumes.ts';

interface Templated {
  readonly selector?: LabelSelector;
  readonly template?: PodTemplateSpec;
  readonly minReadySeconds?: number;
}

function isEmpty(selector: LabelSelector): boolean {
  return selectorOf(selector).length === 0;
}

/** A selector that is there, selects something, and the template's own pods among it. */
function selectorCauses({ selector, template }: Templated, kind: string): Causes {
  if (!selector) return [required('spec.selector')];
  const syntax = validateSelector('spec.selector', selector);
  if (isEmpty(selector)) {
    return [
      ...syntax,
      invalidValue('spec.selector', selector, `empty selector is invalid for ${kind}`),
    ];
  }
  const labels = template?.metadata?.labels ?? {};
  if (syntax.length > 0 || matchesLabels(selectorOf(selector), labels)) return syntax;
  const why = '`selector` does not match template `labels`';
  return [invalidValue('spec.template.metadata.labels', labels, why)];
}

/** Pods that their owner replaces restart always and have no deadline. */
function templateCauses(template: PodTemplateSpec | undefined, kind: string): Causes {
  const { restartPolicy, activeDeadlineSeconds } = template?.spec ?? {};
  const field = 'spec.template.spec';
  return [
    ...validateTemplate(template, 'spec.template'),
    ...(restartPolicy === 'Never' || restartPolicy === 'OnFailure'
      ? [notSupported(`${field}.restartPolicy`, restartPolicy, ['Always'])]
      : []),
    ...(activeDeadlineSeconds === undefined
      ? []
      : [
          forbiddenField(
            `${field}.activeDeadlineSeconds`,
            `activeDeadlineSeconds in ${kind} is not Supported`,
          ),
        ]),
  ];
}

function frameCauses(spec: Templated, [lower, kind]: readonly [string, string]): Causes {
  return [
    ...notNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...selectorCauses(spec, lower),
    ...templateCauses(spec.template, kind),
  ];
}

export function validateDeployment({ spec }: Deployment): Causes {
  const { progressDeadlineSeconds: deadline, minReadySeconds = 0 } = spec;
  const isLate = deadline !== undefined && deadline <= minReadySeconds;
  return [
    ...notNegative('spec.replicas', spec.replicas),
    ...frameCauses(spec, ['deployment', 'Deployment']),
    ...strategyCauses(spec.strategy),
    ...notNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
    ...notNegative('spec.progressDeadlineSeconds', deadline),
    ...(isLate
      ? [
          invalidValue(
            'spec.progressDeadlineSeconds',
            deadline,
            'must be greater than minReadySeconds',
          ),
        ]
      : []),
  ];
}

function isZero(value: string | number | undefined): boolean {
  return value === 0 || value === '0%' || value === '0';
}

function strategyCauses(strategy: Deployment['spec']['strategy']): Causes {
  const { type, rollingUpdate } = strategy ?? {};
  const field = 'spec.strategy.rollingUpdate';
  const known = requiredOneOf('spec.strategy.type', type, ['Recreate', 'RollingUpdate']);
  if (type === 'Recreate') {
    const why = "may not be specified when strategy `type` is 'Recreate'";
    return rollingUpdate ? [forbiddenField(field, why)] : known;
  }
  if (!rollingUpdate) return known;
  const { maxUnavailable, maxSurge } = rollingUpdate;
  const isStuck = isZero(maxUnavailable) && isZero(maxSurge);
  return [
    ...known,
    ...countOrPercent(`${field}.maxUnavailable`, maxUnavailable),
    ...countOrPercent(`${field}.maxSurge`, maxSurge),
    ...(isStuck
      ? [
          invalidValue(
            `${field}.maxUnavailable`,
            maxUnavailable,
            'may not be 0 when `maxSurge` is 0',
          ),
        ]
      : []),
    ...atMostAll(`${field}.maxUnavailable`, maxUnavailable),
  ];
}

export function validateReplicaSet({ spec }: ReplicaSet): Causes {
  return [
    ...notNegative('spec.replicas', spec.replicas),
    ...frameCauses(spec, ['deployment', 'ReplicaSet']),
  ];
}

export function validateDaemonSet({ spec }: DaemonSet): Causes {
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  const field = 'spec.updateStrategy.rollingUpdate';
  const isStuck = isZero(rollingUpdate?.maxUnavailable) && isZero(rollingUpdate?.maxSurge);
  return [
    ...frameCauses(spec, ['daemonset', 'DaemonSet']),
    ...requiredOneOf('spec.updateStrategy.type', type, ['OnDelete', 'RollingUpdate']),
    ...countOrPercent(`${field}.maxUnavailable`, rollingUpdate?.maxUnavailable),
    ...countOrPercent(`${field}.maxSurge`, rollingUpdate?.maxSurge),
    ...(rollingUpdate && isStuck
      ? [required(`${field}.maxUnavailable`, 'cannot be 0 when maxSurge is 0')]
      : []),
    ...notNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
  ];
}

export function validateStatefulSet({ spec }: StatefulSet): Causes {
  const { updateStrategy, persistentVolumeClaimRetentionPolicy: retention } = spec;
  const kinds = ['Delete', 'Retain'];
  return [
    ...requiredOneOf('spec.podManagementPolicy', spec.podManagementPolicy, [
      'OrderedReady',
      'Parallel',
    ]),
    ...requiredOneOf('spec.updateStrategy.type', updateStrategy?.type, [
      'OnDelete',
      'RollingUpdate',
    ]),
    ...notNegative(
      'spec.updateStrategy.rollingUpdate.partition',
      updateStrategy?.rollingUpdate?.partition,
    ),
    ...oneOf(
      'spec.persistentVolumeClaimRetentionPolicy.whenDeleted',
      retention?.whenDeleted,
      kinds,
    ),
    ...oneOf('spec.persistentVolumeClaimRetentionPolicy.whenScaled', retention?.whenScaled, kinds),
    ...notNegative('spec.replicas', spec.replicas),
    ...notNegative('spec.ordinals.start', spec.ordinals?.start),
    ...notNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
    ...frameCauses(spec, ['statefulset', 'StatefulSet']),
    ...each('spec.volumeClaimTemplates', spec.volumeClaimTemplates, ({ spec: claim }, path) =>
      claimSpecCauses(claim, `${path}.spec`),
    ),
  ];
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
