/** Values of a pod's own fields and resources for the downward API (env and volumes). */

import type { Container, Pod, ResourceFieldSelector } from '../../api/generated/types.ts';
import { POD_RESOURCES } from '../../api/pod-resources.ts';
import { bytes, cpuMilli } from '../../api/quantity.ts';
import { allContainers } from './records.ts';

export interface NodeFacts {
  readonly hostIps: readonly string[];
  readonly allocatable: Readonly<Record<string, string>>;
}

export interface FieldFacts {
  readonly pod: Pod;
  readonly podIps: readonly string[];
  readonly node: NodeFacts;
}

const SUBSCRIPT = /^metadata\.(labels|annotations)\['(.+)'\]$/;

/** The field as text. Throws on a path that is not supported. */
export function fieldValue({ pod, podIps, node }: FieldFacts, path: string): string {
  const subscript = SUBSCRIPT.exec(path);
  if (subscript) {
    const map = subscript[1] === 'labels' ? pod.metadata.labels : pod.metadata.annotations;
    return map?.[subscript[2] ?? ''] ?? '';
  }
  const values: Readonly<Record<string, () => string>> = {
    'metadata.name': () => pod.metadata.name,
    'metadata.namespace': () => pod.metadata.namespace ?? '',
    'metadata.uid': () => pod.metadata.uid,
    'metadata.labels': () => formatMap(pod.metadata.labels),
    'metadata.annotations': () => formatMap(pod.metadata.annotations),
    'spec.nodeName': () => pod.spec.nodeName ?? '',
    'spec.serviceAccountName': () => pod.spec.serviceAccountName ?? '',
    'status.hostIP': () => node.hostIps[0] ?? '',
    'status.hostIPs': () => node.hostIps.join(','),
    'status.podIP': () => podIps[0] ?? '',
    'status.podIPs': () => podIps.join(','),
  };
  const value = Object.hasOwn(values, path) ? values[path] : undefined;
  if (!value) throw new Error(`unsupported fieldPath: ${path}`);
  return value();
}

/** `key="value"` lines, sorted, values quoted as Go does. */
function formatMap(map: Readonly<Record<string, string>> = {}): string {
  const lines = Object.keys(map)
    .sort()
    .map((key) => `${key}=${JSON.stringify(map[key])}`);
  return lines.join('\n');
}

/** A container's resource, divided by the selector's divisor and rounded up. Limits default to the pod's, then to the node's allocatable. */
export function resourceValue(
  { pod, node }: FieldFacts,
  selector: ResourceFieldSelector,
  own?: Container,
): string {
  const container = selector.containerName
    ? allContainers(pod).find(({ name }) => name === selector.containerName)
    : own;
  if (!container) throw new Error(`container ${selector.containerName} not found`);
  const [kind = '', ...rest] = selector.resource.split('.');
  const name = rest.join('.');
  const amounts = kind === 'limits' ? container.resources?.limits : container.resources?.requests;
  if (kind !== 'limits' && kind !== 'requests') {
    throw new Error(`unsupported container resource : ${selector.resource}`);
  }
  const ofPod = POD_RESOURCES.includes(name) ? pod.spec.resources?.limits?.[name] : undefined;
  const fallback = kind === 'limits' ? (ofPod ?? node.allocatable[name]) : '0';
  const value = amounts?.[name] ?? fallback ?? '0';
  const divisor = !selector.divisor || selector.divisor === '0' ? '1' : selector.divisor;
  const isCpu = name === 'cpu';
  const quotient = isCpu ? cpuMilli(value) / cpuMilli(divisor) : bytes(value) / bytes(divisor);
  return String(Math.ceil(quotient));
}
