/** What nodes and pods use, as metrics.k8s.io tells it: computed when it is asked for, never stored. */

import type { NodeMetrics, PodMetrics } from '../generated/types.ts';
import { bytes, canonicalQuantity, cpuNanos } from '../quantity.ts';
import type { Column, Resource } from '../resource.ts';
import { NAME } from './columns.ts';

const GROUP = 'metrics.k8s.io';
const TYPES = 'io.k8s.metrics.pkg.apis.metrics.v1beta1';
const READ_ONLY = ['get', 'list'];

type Usage = NodeMetrics['usage'];

/** Of several containers together. */
function cpuOf(usages: readonly Usage[]): string {
  return canonicalQuantity(`${usages.reduce((sum, { cpu }) => sum + cpuNanos(cpu), 0)}n`);
}

function memoryOf(usages: readonly Usage[]): string {
  const total = usages.reduce((sum, { memory }) => sum + bytes(memory), 0);
  return canonicalQuantity(`${total / 1024}Ki`);
}

function columns<T extends NodeMetrics | PodMetrics>(
  usagesOf: (metrics: T) => readonly Usage[],
): readonly Column<T>[] {
  return [
    NAME,
    { name: 'cpu', format: 'quantity', cell: (metrics) => cpuOf(usagesOf(metrics)) },
    { name: 'memory', format: 'quantity', cell: (metrics) => memoryOf(usagesOf(metrics)) },
    { name: 'Window', format: 'duration', cell: ({ window }) => window },
  ];
}

export const nodeMetrics: Resource<NodeMetrics> = {
  gvk: [GROUP, 'v1beta1', 'NodeMetrics'],
  names: { plural: 'nodes', singular: '' },
  namespaced: false,
  type: `${TYPES}.NodeMetrics`,
  verbs: READ_ONLY,
  isComputed: true,
  validate: () => [],
  columns: columns(({ usage }) => [usage]),
};

export const podMetrics: Resource<PodMetrics> = {
  gvk: [GROUP, 'v1beta1', 'PodMetrics'],
  names: { plural: 'pods', singular: '' },
  namespaced: true,
  type: `${TYPES}.PodMetrics`,
  verbs: READ_ONLY,
  isComputed: true,
  validate: () => [],
  columns: columns(({ containers }) => containers.map(({ usage }) => usage)),
};
