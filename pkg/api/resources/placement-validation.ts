/** What says where a pod may go: tolerations, affinity, spreading. */

import {
  type Causes,
  each,
  forbiddenField,
  invalidEach,
  invalidValue,
  notSupported,
  oneOf,
  positive,
  required,
  requiredName,
} from '../field-errors.ts';
import type {
  Affinity,
  NodeSelectorTerm,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
  WeightedPodAffinityTerm,
} from '../generated/types.ts';
import { labelValue, qualifiedName } from '../names.ts';
import { validateSelector } from './selector-validation.ts';

const EFFECTS = ['NoExecute', 'NoSchedule', 'PreferNoSchedule'];
const WEIGHT_MAX = 100;

/** Everything that is wrong with a toleration. */
export function tolerationCauses(toleration: Toleration, path: string): Causes {
  const { key, operator = 'Equal', value, effect, tolerationSeconds } = toleration;
  const keyless =
    'operator must be Exists when `key` is empty, which means "match all values and all keys"';
  return [
    ...(key ? invalidEach(`${path}.key`, key, qualifiedName(key)) : []),
    ...(!key && operator !== 'Exists' ? [invalidValue(`${path}.operator`, operator, keyless)] : []),
    ...(tolerationSeconds !== undefined && effect !== 'NoExecute'
      ? [
          invalidValue(
            `${path}.effect`,
            effect ?? '',
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
          ),
        ]
      : []),
    ...(operator === 'Equal' && value
      ? invalidEach(`${path}.operator`, value, labelValue(value))
      : []),
    ...(operator === 'Exists' && value
      ? [
          invalidValue(
            `${path}.operator`,
            toleration,
            "value must be empty when `operator` is 'Exists'",
          ),
        ]
      : []),
    ...oneOf(`${path}.operator`, operator, ['Equal', 'Exists', 'Gt', 'Lt']),
    ...(effect ? oneOf(`${path}.effect`, effect, EFFECTS) : []),
  ];
}

/** Everything that is wrong with the affinity of a pod. */
export function affinityCauses(affinity: Affinity | undefined, field: string): Causes {
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity ?? {};
  const must = nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const path = `${field}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
  const wishes = nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
  return [
    ...(must && !must.nodeSelectorTerms?.length
      ? [required(path, 'must have at least one node selector term')]
      : []),
    ...each(path, must?.nodeSelectorTerms, nodeTermCauses),
    ...each(
      `${field}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution`,
      wishes,
      (wish, at) => [
        ...weightCauses(wish.weight, at),
        ...nodeTermCauses(wish.preference, `${at}.preference`),
      ],
    ),
    ...podTerms(podAffinity, `${field}.podAffinity`),
    ...podTerms(podAntiAffinity, `${field}.podAntiAffinity`),
  ];
}

function weightCauses(weight: number, path: string): Causes {
  return weight >= 1 && weight <= WEIGHT_MAX
    ? []
    : [invalidValue(`${path}.weight`, weight, 'must be in the range 1-100')];
}

type NodeExpression = NonNullable<NodeSelectorTerm['matchExpressions']>[number];

function nodeTermCauses(term: NodeSelectorTerm, path: string): Causes {
  return [
    ...each(`${path}.matchExpressions`, term.matchExpressions, nodeExpressionCauses),
    ...each(`${path}.matchFields`, term.matchFields, ({ key }, at) =>
      oneOf(`${at}.key`, key, ['metadata.name']),
    ),
  ];
}

function nodeExpressionCauses(
  { key, operator, values = [] }: NodeExpression,
  path: string,
): Causes {
  const at = `${path}.values`;
  const named = invalidEach(`${path}.key`, key, qualifiedName(key));
  switch (operator) {
    case 'In':
    case 'NotIn':
      return values.length > 0
        ? named
        : [...named, required(at, "must be specified when `operator` is 'In' or 'NotIn'")];
    case 'Exists':
    case 'DoesNotExist':
      return values.length === 0
        ? named
        : [
            ...named,
            forbiddenField(
              at,
              "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
          ];
    case 'Gt':
    case 'Lt':
      return values.length === 1
        ? named
        : [
            ...named,
            required(at, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
          ];
    default:
      return [
        ...named,
        invalidValue(`${path}.operator`, operator, 'not a valid selector operator'),
      ];
  }
}

interface PodTerms {
  readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly PodAffinityTerm[];
  readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly WeightedPodAffinityTerm[];
}

function podTerms(terms: PodTerms | undefined, field: string): Causes {
  return [
    ...each(
      `${field}.requiredDuringSchedulingIgnoredDuringExecution`,
      terms?.requiredDuringSchedulingIgnoredDuringExecution,
      podTermCauses,
    ),
    ...each(
      `${field}.preferredDuringSchedulingIgnoredDuringExecution`,
      terms?.preferredDuringSchedulingIgnoredDuringExecution,
      (wish, at) => [
        ...weightCauses(wish.weight, at),
        ...podTermCauses(wish.podAffinityTerm, `${at}.podAffinityTerm`),
      ],
    ),
  ];
}

function podTermCauses(term: PodAffinityTerm, path: string): Causes {
  const { topologyKey, labelSelector, namespaceSelector } = term;
  return [
    ...validateSelector(`${path}.labelSelector`, labelSelector),
    ...validateSelector(`${path}.namespaceSelector`, namespaceSelector),
    ...(topologyKey
      ? invalidEach(`${path}.topologyKey`, topologyKey, qualifiedName(topologyKey))
      : [required(`${path}.topologyKey`, 'can not be empty')]),
  ];
}

/** Everything that is wrong with a topology spread constraint. */
export function spreadCauses(constraint: TopologySpreadConstraint, path: string): Causes {
  const { maxSkew, topologyKey, whenUnsatisfiable, labelSelector, minDomains } = constraint;
  const reactions = ['DoNotSchedule', 'ScheduleAnyway'];
  const isSoft = minDomains !== undefined && whenUnsatisfiable !== 'DoNotSchedule';
  return [
    ...positive(`${path}.maxSkew`, maxSkew ?? 0),
    ...requiredName(`${path}.topologyKey`, topologyKey, qualifiedName),
    ...(reactions.includes(whenUnsatisfiable)
      ? []
      : [notSupported(`${path}.whenUnsatisfiable`, whenUnsatisfiable, reactions)]),
    ...positive(`${path}.minDomains`, minDomains),
    ...(isSoft
      ? [
          invalidValue(
            `${path}.minDomains`,
            minDomains,
            'can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway',
          ),
        ]
      : []),
    ...oneOf(`${path}.nodeAffinityPolicy`, constraint.nodeAffinityPolicy, ['Honor', 'Ignore']),
    ...oneOf(`${path}.nodeTaintsPolicy`, constraint.nodeTaintsPolicy, ['Honor', 'Ignore']),
    ...validateSelector(`${path}.labelSelector`, labelSelector),
  ];
}
