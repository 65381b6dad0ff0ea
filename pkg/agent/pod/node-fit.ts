/**
 * Whether a pod that was bound to this node fits it: the scheduler may have decided on old news, or somebody bound the
 * pod by hand. Reasons and messages as the kubelet's admission. Pure.
 */

import type { Node, Pod } from '../../api/generated/types.ts';
import { matchesNode } from '../../api/node-affinity.ts';
import { amountOf, podAmount } from '../../api/pod-resources.ts';
import { tolerates } from '../../api/tolerations.ts';
import { isStatic } from '../static/annotations.ts';

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

export interface FitFacts {
  /** Undefined as long as the API has not told of it. */
  readonly node: Node | undefined;
  readonly allocatable: Readonly<Record<string, string>>;
  /** What pods here have asked for, by resource: CPU in thousandths, all else in whole units. */
  readonly used: ReadonlyMap<string, number>;
  /** Ports of the host that they have. */
  readonly ports: readonly HostPort[];
}

/** Why the pod cannot run here; undefined when it can. */
export function misfitOf(pod: Pod, facts: FitFacts): Refusal | undefined {
  return shortage(pod, facts) ?? placement(pod, facts) ?? portConflict(pod, facts);
}

/** The resource that counts pods. */
export const COUNT = 'pods';

function shortage(pod: Pod, { allocatable, used: sums }: FitFacts): Refusal | undefined {
  for (const [name, quantity] of Object.entries(allocatable)) {
    const requested = name === COUNT ? 1 : podAmount(pod, 'requests', name);
    if (requested === 0) continue;
    const used = sums.get(name) ?? 0;
    const capacity = amountOf(name, quantity);
    if (used + requested <= capacity) continue;
    const numbers = `requested: ${requested}, used: ${used}, capacity: ${capacity}`;
    const message = `Node didn't have enough resource: ${name}, ${numbers}`;
    return { reason: `OutOf${name}`, message };
  }
  return undefined;
}

function placement(pod: Pod, { node }: FitFacts): Refusal | undefined {
  if (!node || isStatic(pod)) return undefined;
  if (!matchesNode(pod, node))
    return predicate('NodeAffinity', "node(s) didn't match Pod's node affinity/selector");
  const taints = (node.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
  const isTolerated = taints.every((taint) => tolerates(pod.spec.tolerations ?? [], taint));
  return isTolerated
    ? undefined
    : predicate('TaintToleration', "node(s) had taints that the pod didn't tolerate");
}

function portConflict(pod: Pod, { ports }: FitFacts): Refusal | undefined {
  const isFree = hostPorts(pod).every((own) => !ports.some((other) => collide(own, other)));
  return isFree
    ? undefined
    : predicate('NodePorts', "node(s) didn't have free ports for the requested pod ports");
}

export interface HostPort {
  readonly port: number;
  readonly protocol: string;
  /** Empty = all addresses. */
  readonly ip: string;
}

/** The ports of the host that a pod's containers ask for. */
export function hostPorts({ spec }: Pod): readonly HostPort[] {
  return spec.containers.flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, protocol = 'TCP', hostIP = '' }) =>
      hostPort ? [{ port: hostPort, protocol, ip: hostIP === '0.0.0.0' ? '' : hostIP }] : [],
    ),
  );
}

function collide(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.protocol !== b.protocol) return false;
  return a.ip === '' || b.ip === '' || a.ip === b.ip;
}

function predicate(name: string, why: string): Refusal {
  return { reason: name, message: `Predicate ${name} failed: ${why}` };
}
