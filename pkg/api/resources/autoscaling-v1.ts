/**
 * autoscaling/v1 to v2 and back. Version 1 has room for the CPU target alone: the rest travels in annotations, as
 * JSON in the form of version 2, so that a round trip loses nothing.
 */

import { without } from '../defaulting.ts';
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerV1,
  MetricSpec,
  MetricStatus,
} from '../generated/types.ts';
import type { ObjectMeta } from '../meta.ts';

const METRICS = 'autoscaling.alpha.kubernetes.io/metrics';
const CURRENT = 'autoscaling.alpha.kubernetes.io/current-metrics';
const CONDITIONS = 'autoscaling.alpha.kubernetes.io/conditions';
const BEHAVIOR = 'autoscaling.alpha.kubernetes.io/behavior';

function isCpuPercent({ resource }: MetricSpec): boolean {
  return resource?.name === 'cpu' && resource.target.averageUtilization !== undefined;
}

/** The object as it is stored; annotations that do not parse are kept as they are. */
export function toV2(object: HorizontalPodAutoscalerV1): HorizontalPodAutoscaler {
  const { targetCPUUtilizationPercentage: percent, ...spec } = object.spec;
  const { currentCPUUtilizationPercentage: now, ...status } = object.status ?? {
    desiredReplicas: 0,
  };
  const metrics = [...parsed<MetricSpec>(object.metadata, METRICS), ...cpuMetric(percent)];
  const current = [...parsed<MetricStatus>(object.metadata, CURRENT), ...cpuStatus(now)];
  const conditions = parsed<Condition>(object.metadata, CONDITIONS);
  const behavior = parsedObject<Behavior>(object.metadata, BEHAVIOR);
  return {
    ...object,
    apiVersion: 'autoscaling/v2',
    metadata: withAnnotations(object.metadata, {}),
    spec: {
      ...spec,
      ...(metrics.length > 0 ? { metrics } : {}),
      ...(behavior ? { behavior } : {}),
    },
    status: {
      ...status,
      currentMetrics: current,
      ...(conditions.length > 0 ? { conditions } : {}),
    },
  };
}

type Behavior = NonNullable<HorizontalPodAutoscaler['spec']['behavior']>;
type Condition = NonNullable<NonNullable<HorizontalPodAutoscaler['status']>['conditions']>[number];

function cpuMetric(percent: number | undefined): readonly MetricSpec[] {
  if (percent === undefined) return [];
  const target = { type: 'Utilization', averageUtilization: percent };
  return [{ type: 'Resource', resource: { name: 'cpu', target } }];
}

function cpuStatus(percent: number | undefined): readonly MetricStatus[] {
  if (percent === undefined) return [];
  return [
    { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: percent } } },
  ];
}

/** The stored object as version 1 shows it. */
export function fromV2(object: HorizontalPodAutoscaler): HorizontalPodAutoscalerV1 {
  const { metrics = [], behavior, ...spec } = object.spec;
  const {
    currentMetrics = [],
    conditions = [],
    ...status
  } = object.status ?? { desiredReplicas: 0 };
  const cpu = metrics.find(isCpuPercent);
  const isCpuNow = ({ resource }: MetricStatus): boolean =>
    resource?.name === 'cpu' && resource.current.averageUtilization !== undefined;
  const cpuNow = currentMetrics.find(isCpuNow)?.resource?.current.averageUtilization;
  const percent = cpu?.resource?.target.averageUtilization;
  const rest = metrics.filter((metric) => metric !== cpu);
  const restNow = currentMetrics.filter((metric) => !isCpuNow(metric));
  return {
    ...object,
    apiVersion: 'autoscaling/v1',
    metadata: withAnnotations(object.metadata, {
      ...(rest.length > 0 ? { [METRICS]: JSON.stringify(rest) } : {}),
      ...(restNow.length > 0 ? { [CURRENT]: JSON.stringify(restNow) } : {}),
      ...(conditions.length > 0 ? { [CONDITIONS]: JSON.stringify(conditions) } : {}),
      ...(behavior ? { [BEHAVIOR]: JSON.stringify(behavior) } : {}),
    }),
    spec: {
      ...spec,
      ...(percent === undefined ? {} : { targetCPUUtilizationPercentage: percent }),
    },
    status: {
      currentReplicas: 0,
      ...status,
      ...(cpuNow === undefined ? {} : { currentCPUUtilizationPercentage: cpuNow }),
    },
  };
}

/** The metadata with these in place of the conversion's own annotations. */
function withAnnotations(metadata: ObjectMeta, own: Readonly<Record<string, string>>): ObjectMeta {
  const others = without({ ...metadata.annotations }, METRICS, CURRENT, CONDITIONS, BEHAVIOR);
  const annotations = { ...others, ...own };
  const bare = without(metadata, 'annotations');
  return Object.keys(annotations).length > 0 ? { ...bare, annotations } : bare;
}

function parsed<T>(metadata: ObjectMeta, key: string): readonly T[] {
  const value = decoded(metadata, key);
  return Array.isArray(value) ? (value as readonly T[]) : [];
}

function parsedObject<T>(metadata: ObjectMeta, key: string): T | undefined {
  const value = decoded(metadata, key);
  return typeof value === 'object' && value !== null ? (value as T) : undefined;
}

function decoded({ annotations }: ObjectMeta, key: string): unknown {
  const text = annotations?.[key];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
