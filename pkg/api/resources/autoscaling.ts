/** HorizontalPodAutoscalers: stored as autoscaling/v2, also served as v1. */

import { change, each as eachItem, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  invalidValue,
  positive,
  required,
  requiredOneOf,
} from '../field-errors.ts';
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerV1,
  MetricSpec,
  MetricTarget,
} from '../generated/types.ts';
import { canonicalQuantity, QuantityError } from '../quantity.ts';
import type { Column, Resource } from '../resource.ts';
import { scalingDefaults } from './autoscaling-behavior.ts';
import { fromV2, toV2 } from './autoscaling-v1.ts';
import { AGE, integer, NAME, text } from './columns.ts';

const CPU_PERCENT = 80;
const SHOWN_TARGETS = 2;
const TYPES = ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'];

/** The part of a metric that its type names. */
function sourceOf(metric: MetricSpec): { readonly target: MetricTarget } | undefined {
  return (
    metric.resource ?? metric.containerResource ?? metric.pods ?? metric.object ?? metric.external
  );
}

function canonicalTarget(target: MetricTarget): MetricTarget {
  return change(target, { value: quantity, averageValue: quantity });
}

function quantity(value: string): string {
  try {
    return canonicalQuantity(value);
  } catch (error) {
    if (error instanceof QuantityError) return value;
    throw error;
  }
}

function metricDefaults(metric: MetricSpec): MetricSpec {
  return change(metric, {
    resource: (source) => change(source, { target: canonicalTarget }),
    containerResource: (source) => change(source, { target: canonicalTarget }),
    pods: (source) => change(source, { target: canonicalTarget }),
    object: (source) => change(source, { target: canonicalTarget }),
    external: (source) => change(source, { target: canonicalTarget }),
  });
}

const CPU_METRIC: MetricSpec = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: CPU_PERCENT } },
};

function autoscalerDefaults(object: HorizontalPodAutoscaler): HorizontalPodAutoscaler {
  const status = { currentMetrics: [], desiredReplicas: 0 };
  return change(fill(object, { status }), {
    spec: (spec) =>
      change(fill(spec, { minReplicas: 1, metrics: [CPU_METRIC] }), {
        metrics: (metrics) => eachItem(metricDefaults)(metrics.length > 0 ? metrics : [CPU_METRIC]),
        behavior: scalingDefaults,
      }),
  });
}

function autoscalerCauses({ spec }: HorizontalPodAutoscaler): Causes {
  const { minReplicas = 1, maxReplicas = 0, scaleTargetRef } = spec;
  const isBelow = maxReplicas > 0 && maxReplicas < minReplicas;
  return [
    ...positive('spec.minReplicas', minReplicas),
    ...positive('spec.maxReplicas', maxReplicas),
    ...(isBelow
      ? [
          invalidValue(
            'spec.maxReplicas',
            maxReplicas,
            'must be greater than or equal to `minReplicas`',
          ),
        ]
      : []),
    ...(scaleTargetRef?.kind ? [] : [required('spec.scaleTargetRef.kind')]),
    ...(scaleTargetRef?.name ? [] : [required('spec.scaleTargetRef.name')]),
    ...each('spec.metrics', spec.metrics, metricCauses),
  ];
}

function metricCauses(metric: MetricSpec, path: string): Causes {
  const known = requiredOneOf(`${path}.type`, metric.type, TYPES);
  if (known.length > 0) return known;
  const source = sourceOf(metric);
  const field = `${path}.${metric.type[0]?.toLowerCase()}${metric.type.slice(1)}`;
  if (!source) return [required(field, 'must populate information for the given metric source')];
  const { type, averageUtilization, averageValue, value } = source.target ?? { type: '' };
  const isEmpty =
    averageUtilization === undefined && averageValue === undefined && value === undefined;
  return [
    ...requiredOneOf(`${field}.target.type`, type, ['Utilization', 'Value', 'AverageValue']),
    ...positive(`${field}.target.averageUtilization`, averageUtilization),
    ...(isEmpty
      ? [
          required(
            `${field}.target.averageUtilization`,
            'must set either a target raw value or a target utilization',
          ),
        ]
      : []),
  ];
}

type Shown = {
  readonly averageUtilization?: number;
  readonly averageValue?: string;
  readonly value?: string;
};

function shown(value: Shown | undefined): string {
  if (value?.averageUtilization !== undefined) return `${value.averageUtilization}%`;
  return value?.averageValue ?? value?.value ?? '<unknown>';
}

/** "cpu: 12%/80%" for each of the first metrics, and how many more there are. */
function targets({ spec, status }: HorizontalPodAutoscaler): string {
  const metrics = spec.metrics ?? [];
  if (metrics.length === 0) return '<none>';
  const all = metrics.map((metric, index) => {
    const now = status?.currentMetrics?.[index];
    const current =
      now?.resource ?? now?.containerResource ?? now?.pods ?? now?.object ?? now?.external;
    return `${label(metric)}${shown(current?.current)}/${goal(metric)}`;
  });
  const rest = all.length > SHOWN_TARGETS ? ` + ${all.length - SHOWN_TARGETS} more...` : '';
  return `${all.slice(0, SHOWN_TARGETS).join(', ')}${rest}`;
}

function label({ resource, containerResource }: MetricSpec): string {
  const name = resource?.name ?? containerResource?.name;
  return name ? `${name}: ` : '';
}

function goal(metric: MetricSpec): string {
  const target = sourceOf(metric)?.target;
  const isAverage = Boolean(metric.external ?? metric.object) && target?.averageValue !== undefined;
  return `${shown(target).replace('<unknown>', '<auto>')}${isAverage ? ' (avg)' : ''}`;
}

const COLUMNS: readonly Column<HorizontalPodAutoscaler>[] = [
  NAME,
  text(
    'Reference',
    ({ spec: { scaleTargetRef } }) => `${scaleTargetRef.kind}/${scaleTargetRef.name}`,
  ),
  text('Targets', targets),
  text('MinPods', ({ spec }) => String(spec.minReplicas ?? '<unset>')),
  integer('MaxPods', ({ spec }) => spec.maxReplicas),
  integer('Replicas', ({ status }) => status?.currentReplicas ?? 0),
  AGE,
];

export const horizontalpodautoscalers: Resource<HorizontalPodAutoscaler> = {
  gvk: ['autoscaling', 'v2', 'HorizontalPodAutoscaler'],
  names: {
    plural: 'horizontalpodautoscalers',
    singular: 'horizontalpodautoscaler',
    short: ['hpa'],
    categories: ['all'],
  },
  namespaced: true,
  type: 'io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler',
  subresources: ['status'],
  hasGeneration: true,
  defaults: autoscalerDefaults,
  prepareForCreate: (object) => ({ ...object, status: { currentMetrics: [], desiredReplicas: 0 } }),
  validate: autoscalerCauses,
  columns: COLUMNS,
};

export const horizontalpodautoscalersV1: Resource<HorizontalPodAutoscalerV1> = {
  gvk: ['autoscaling', 'v1', 'HorizontalPodAutoscaler'],
  names: horizontalpodautoscalers.names,
  namespaced: true,
  type: 'io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler',
  subresources: ['status'],
  hasGeneration: true,
  storage: {
    resource: 'horizontalpodautoscalers',
    toStorage: (object) => autoscalerDefaults(toV2(object)),
    // What is stored under this resource is of version 2.
    fromStorage: (stored) => fromV2(stored as HorizontalPodAutoscaler),
  },
  defaults: (object) =>
    change(fill(object, { status: { currentReplicas: 0, desiredReplicas: 0 } }), {
      spec: (spec) => fill(spec, { minReplicas: 1 }),
    }),
  prepareForCreate: (object) => ({ ...object, status: { currentReplicas: 0, desiredReplicas: 0 } }),
  validate: (object) => autoscalerCauses(autoscalerDefaults(toV2(object))),
  columns: COLUMNS.map((column) => ({
    ...column,
    cell: (object, nowMs) => column.cell(autoscalerDefaults(toV2(object)), nowMs),
  })),
};
