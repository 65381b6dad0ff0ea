/** FlowSchemas and PriorityLevelConfigurations. */

import { change, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  forbiddenField,
  invalidValue,
  required,
  requiredOneOf,
} from '../field-errors.ts';
import type {
  FlowSchema,
  LimitedPriorityLevelConfiguration,
  PriorityLevelConfiguration,
} from '../generated/types.ts';
import type { Resource } from '../resource.ts';
import { AGE, integer, NAME, NONE, text, UNKNOWN } from './columns.ts';

const GROUP = 'flowcontrol.apiserver.k8s.io';
const PRECEDENCE = 1000;
const PRECEDENCE_MAX = 10_000;
const SHARES = 30;
const QUEUES = 64;
const HAND_SIZE = 8;
const QUEUE_LENGTH = 50;

function dangling({ status }: FlowSchema): string {
  const found = status?.conditions?.find(({ type }) => type === 'Dangling');
  return found?.status ?? '?';
}

export const flowschemas: Resource<FlowSchema> = {
  gvk: [GROUP, 'v1', 'FlowSchema'],
  names: { plural: 'flowschemas', singular: 'flowschema' },
  namespaced: false,
  type: 'io.k8s.api.flowcontrol.v1.FlowSchema',
  subresources: ['status'],
  hasGeneration: true,
  defaults: (schema) =>
    change(fill(schema, { status: {} }), {
      spec: (spec) => fill(spec, { matchingPrecedence: PRECEDENCE }),
    }),
  prepareForCreate: (schema) => ({ ...schema, status: {} }),
  validate: ({ spec }) => {
    const { matchingPrecedence: precedence = 0, priorityLevelConfiguration: level } = spec;
    const isInRange = precedence > 0 && precedence <= PRECEDENCE_MAX;
    const why = `must be a value between 1 and ${PRECEDENCE_MAX}, inclusive`;
    return [
      ...(isInRange ? [] : [invalidValue('spec.matchingPrecedence', precedence, why)]),
      ...(level?.name ? [] : [required('spec.priorityLevelConfiguration.name')]),
      ...each('spec.rules', spec.rules, ({ subjects }, path) =>
        subjects?.length
          ? []
          : [required(`${path}.subjects`, 'subjects must contain at least one value')],
      ),
    ];
  },
  columns: [
    NAME,
    text('PriorityLevel', ({ spec }) => spec.priorityLevelConfiguration.name),
    integer('MatchingPrecedence', ({ spec }) => spec.matchingPrecedence ?? 0),
    text('DistinguisherMethod', ({ spec }) => spec.distinguisherMethod?.type ?? NONE),
    AGE,
    text('MissingPL', dangling),
  ],
};

function limitedDefaults(
  limited: LimitedPriorityLevelConfiguration,
): LimitedPriorityLevelConfiguration {
  const filled = fill(limited, {
    nominalConcurrencyShares: SHARES,
    lendablePercent: 0,
    limitResponse: { type: 'Reject' },
  });
  return change(filled, {
    limitResponse: (response) =>
      change(response, {
        queuing: (queuing) =>
          fill(queuing, { queues: QUEUES, handSize: HAND_SIZE, queueLengthLimit: QUEUE_LENGTH }),
      }),
  });
}

function levelCauses({ spec, metadata }: PriorityLevelConfiguration): Causes {
  const isExempt = spec.type === 'Exempt';
  const must = 'must be nil if the type is not Limited';
  return [
    ...requiredOneOf('spec.type', spec.type, ['Exempt', 'Limited']),
    ...(isExempt && metadata.name !== 'exempt'
      ? [invalidValue('spec.type', spec.type, "must be 'Limited'")]
      : []),
    ...(isExempt && spec.limited ? [forbiddenField('spec.limited', must)] : []),
    ...(spec.type === 'Limited' && !spec.limited
      ? [required('spec.limited', 'must not be empty when type is Limited')]
      : []),
    ...(spec.limited?.limitResponse?.type === 'Queue' && !spec.limited.limitResponse.queuing
      ? [
          required(
            'spec.limited.limitResponse.queuing',
            'must not be empty if limited queuing is enabled',
          ),
        ]
      : []),
  ];
}

type Queuing = NonNullable<
  NonNullable<LimitedPriorityLevelConfiguration['limitResponse']>['queuing']
>;

function queuing(field: keyof Queuing): (level: PriorityLevelConfiguration) => string {
  return ({ spec }) => String(spec.limited?.limitResponse?.queuing?.[field] ?? NONE);
}

export const prioritylevelconfigurations: Resource<PriorityLevelConfiguration> = {
  gvk: [GROUP, 'v1', 'PriorityLevelConfiguration'],
  names: { plural: 'prioritylevelconfigurations', singular: 'prioritylevelconfiguration' },
  namespaced: false,
  type: 'io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration',
  subresources: ['status'],
  hasGeneration: true,
  defaults: (level) =>
    change(fill(level, { status: {} }), {
      spec: (spec) =>
        change(spec.type === 'Exempt' ? fill(spec, { exempt: {} }) : spec, {
          limited: limitedDefaults,
          exempt: (exempt) => fill(exempt, { nominalConcurrencyShares: 0, lendablePercent: 0 }),
        }),
    }),
  prepareForCreate: (level) => ({ ...level, status: {} }),
  validate: levelCauses,
  columns: [
    NAME,
    text('Type', ({ spec }) => spec.type),
    text('NominalConcurrencyShares', ({ spec }) =>
      String(
        spec.limited?.nominalConcurrencyShares ?? spec.exempt?.nominalConcurrencyShares ?? UNKNOWN,
      ),
    ),
    text('Queues', queuing('queues')),
    text('HandSize', queuing('handSize')),
    text('QueueLengthLimit', queuing('queueLengthLimit')),
    AGE,
  ],
};
