/** PodDisruptionBudgets. */

import { fill } from '../defaulting.ts';
import { type Causes, invalidEach, invalidValue, oneOf } from '../field-errors.ts';
import type { PodDisruptionBudget } from '../generated/types.ts';
import { percentage } from '../names.ts';
import type { Resource } from '../resource.ts';
import { AGE, integer, NAME, text } from './columns.ts';
import { validateSelector } from './selector-validation.ts';

const PERCENT_MAX = 100;

/** A number of pods that is not negative, or a percentage. */
export function countOrPercent(field: string, value: string | number | undefined): Causes {
  if (value === undefined) return [];
  if (typeof value === 'string') return invalidEach(field, value, percentage(value));
  return value < 0 ? [invalidValue(field, value, 'must be greater than or equal to 0')] : [];
}

/** Not above 100%. */
export function atMostAll(field: string, value: string | number | undefined): Causes {
  const isAbove = typeof value === 'string' && Number.parseInt(value, 10) > PERCENT_MAX;
  return isAbove ? [invalidValue(field, value, 'must not be greater than 100%')] : [];
}

function budgetCauses({ spec }: PodDisruptionBudget): Causes {
  const { minAvailable, maxUnavailable } = spec;
  const isBoth = minAvailable !== undefined && maxUnavailable !== undefined;
  const why = 'minAvailable and maxUnavailable cannot be both set';
  return [
    ...(isBoth ? [invalidValue('spec', spec, why)] : []),
    ...countOrPercent('spec.minAvailable', minAvailable),
    ...atMostAll('spec.minAvailable', minAvailable),
    ...countOrPercent('spec.maxUnavailable', maxUnavailable),
    ...atMostAll('spec.maxUnavailable', maxUnavailable),
    ...validateSelector('spec.selector', spec.selector),
    ...oneOf('spec.unhealthyPodEvictionPolicy', spec.unhealthyPodEvictionPolicy, [
      'AlwaysAllow',
      'IfHealthyBudget',
    ]),
  ];
}

const NO_STATUS = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };

export const poddisruptionbudgets: Resource<PodDisruptionBudget> = {
  gvk: ['policy', 'v1', 'PodDisruptionBudget'],
  names: { plural: 'poddisruptionbudgets', singular: 'poddisruptionbudget', short: ['pdb'] },
  namespaced: true,
  type: 'io.k8s.api.policy.v1.PodDisruptionBudget',
  subresources: ['status'],
  hasGeneration: true,
  defaults: (budget) => fill(budget, { spec: {}, status: NO_STATUS }),
  prepareForCreate: (budget) => ({ ...budget, status: NO_STATUS }),
  validate: budgetCauses,
  columns: [
    NAME,
    text('Min Available', ({ spec }) => String(spec.minAvailable ?? 'N/A')),
    text('Max Unavailable', ({ spec }) => String(spec.maxUnavailable ?? 'N/A')),
    integer('Allowed Disruptions', ({ status }) => status?.disruptionsAllowed ?? 0),
    AGE,
  ],
};
