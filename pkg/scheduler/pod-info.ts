/** A pod as the scheduler works with it: amounts as numbers, selectors read, once per pod. */

import type { Pod, PodAffinityTerm, Toleration } from '../api/generated/types.ts';
import { matchesLabels, type Selector, selectorOf } from '../api/selectors.ts';
import { controllerOf } from '../client/object-index.ts';
import { type Amounts, type ResourceNames, requestsOf, scoringRequests } from './resources.ts';

/** A port of the host that a pod binds. */
export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

/** A term of pod affinity or anti-affinity. */
export interface Term {
  readonly selector: Selector;
  /** Namespaces it looks into, beside those that namespaceSelector matches. */
  readonly namespaces: ReadonlySet<string>;
  readonly namespaceSelector: Selector | undefined;
  readonly topologyKey: string;
  readonly weight: number;
}

export interface PodInfo {
  readonly pod: Pod;
  readonly uid: string;
  readonly namespace: string;
  readonly requests: Amounts;
  readonly scoring: readonly [cpu: number, memory: number];
  readonly hostPorts: readonly HostPort[];
  readonly tolerations: readonly Toleration[];
  /** Uid of the controlling owner; empty = none. */
  readonly ownerUid: string;
  readonly priority: number;
  readonly affinity: readonly Term[];
  readonly antiAffinity: readonly Term[];
  readonly preferred: readonly Term[];
}

/** Reads a pod. */
export function podInfo(pod: Pod, names: ResourceNames): PodInfo {
  const { spec, metadata } = pod;
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {};
  const requests = requestsOf(pod, names);
  const required = (terms: readonly PodAffinityTerm[] = []) =>
    terms.map((term) => termOf(pod, term, 0));
  return {
    pod,
    uid: metadata.uid,
    namespace: metadata.namespace ?? '',
    requests,
    scoring: scoringRequests(pod, requests),
    hostPorts: hostPortsOf(pod),
    tolerations: spec.tolerations ?? [],
    ownerUid: controllerOf(pod)?.uid ?? '',
    priority: spec.priority ?? 0,
    affinity: required(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    antiAffinity: required(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    preferred: [
      ...(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
        ({ podAffinityTerm, weight }) => termOf(pod, podAffinityTerm, weight),
      ),
      ...(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
        ({ podAffinityTerm, weight }) => termOf(pod, podAffinityTerm, -weight),
      ),
    ],
  };
}

function termOf({ metadata }: Pod, term: PodAffinityTerm, weight: number): Term {
  const { namespaces = [], namespaceSelector, topologyKey, labelSelector } = term;
  const isOwn = namespaces.length === 0 && !namespaceSelector;
  const labels = metadata.labels ?? {};
  const by = (keys: readonly string[] = [], operator: 'In' | 'NotIn') =>
    keys
      .filter((key) => labels[key] !== undefined)
      .map((key) => ({ key, operator, values: [labels[key] ?? ''] }));
  const selector = labelSelector && {
    ...labelSelector,
    matchExpressions: [
      ...(labelSelector.matchExpressions ?? []),
      ...by(term.matchLabelKeys, 'In'),
      ...by(term.mismatchLabelKeys, 'NotIn'),
    ],
  };
  return {
    selector: selectorOf(selector),
    namespaces: new Set(isOwn ? [metadata.namespace ?? ''] : namespaces),
    namespaceSelector: namespaceSelector && selectorOf(namespaceSelector),
    topologyKey,
    weight,
  };
}

/** Labels of a namespace by its name. */
export type NamespaceLabels = (namespace: string) => Readonly<Record<string, string>> | undefined;

/** Whether a term speaks of this pod. */
export function termMatches(term: Term, other: PodInfo, namespaceLabels: NamespaceLabels): boolean {
  const isInNamespace =
    term.namespaces.has(other.namespace) ||
    (term.namespaceSelector !== undefined &&
      matchesLabels(term.namespaceSelector, namespaceLabels(other.namespace)));
  return isInNamespace && matchesLabels(term.selector, other.pod.metadata.labels);
}

function hostPortsOf({ spec }: Pod): HostPort[] {
  const sidecars = (spec.initContainers ?? []).filter(
    ({ restartPolicy }) => restartPolicy === 'Always',
  );
  const out: HostPort[] = [];
  for (const { ports = [] } of [...spec.containers, ...sidecars]) {
    for (const { hostPort, hostIP, protocol = 'TCP', containerPort } of ports) {
      const port = hostPort ?? (spec.hostNetwork ? containerPort : 0);
      if (port) out.push({ ip: hostIP || '0.0.0.0', protocol, port });
    }
  }
  return out;
}

/** Whether two host ports cannot be bound side by side. */
export function collides(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.protocol !== b.protocol) return false;
  return a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0';
}
