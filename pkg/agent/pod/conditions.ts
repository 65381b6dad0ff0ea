/** The pod conditions that the node owns; those of others (scheduler, readiness gates) are kept as they are. */

import type { ContainerStatus, Pod, PodCondition, PodStatus } from '../../api/generated/types.ts';
import { initContainers, isSidecar } from './records.ts';

interface ConditionFacts {
  readonly pod: Pod;
  /** Without conditions yet. */
  readonly status: PodStatus;
  readonly hasNetwork: boolean;
  /** Whether all containers are about to be restarted; absent = no rule of the pod could. */
  readonly isRestarting?: boolean | undefined;
  readonly nowMs: number;
}

interface Verdict {
  readonly type: string;
  readonly isTrue: boolean;
  readonly reason?: string;
  readonly message?: string;
}

/** All conditions of the pod, with lastTransitionTime kept where the status did not change. */
export function conditionsOf(facts: ConditionFacts): readonly PodCondition[] {
  const { pod } = facts;
  const olds = pod.status?.conditions ?? [];
  const own = verdicts(facts).map((verdict) => toCondition(facts, verdict));
  const names = new Set(own.map(({ type }) => type));
  return [...own, ...olds.filter(({ type }) => !names.has(type))];
}

const OWN = [
  'AllContainersRestarting',
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
  'PodResizePending',
  'PodResizeInProgress',
];

/** Whether this node alone sets the condition: one that it does not give is gone. */
export function isOwn({ type }: PodCondition): boolean {
  return OWN.includes(type);
}

/** This node's status, with the conditions that others have set on the pod since. */
export function withOthersConditions(own: PodStatus, stored: PodStatus | undefined): PodStatus {
  const others = (stored?.conditions ?? []).filter((condition) => !isOwn(condition));
  const kept = (own.conditions ?? []).filter(
    (condition) => isOwn(condition) || !others.some(({ type }) => type === condition.type),
  );
  return {
    ...own,
    conditions: [...kept.filter(isOwn), ...others, ...kept.filter((c) => !isOwn(c))],
  };
}

function verdicts({ pod, status, hasNetwork, isRestarting }: ConditionFacts): readonly Verdict[] {
  const isDone = status.phase === 'Succeeded' || status.phase === 'Failed';
  const inits = status.initContainerStatuses ?? [];
  const containers = containersReady(pod, status, isDone);
  return [
    { type: 'PodReadyToStartContainers', isTrue: hasNetwork && !isDone },
    initialized(pod, status, inits),
    podReady(pod, containers),
    containers,
    { type: 'PodScheduled', isTrue: true },
    ...(isRestarting === undefined ? [] : [restarting(status, isRestarting)]),
  ];
}

function restarting({ phase }: PodStatus, isTrue: boolean): Verdict {
  const type = 'AllContainersRestarting';
  if (phase === 'Succeeded') return { type, isTrue: false, reason: 'PodCompleted' };
  if (phase === 'Failed') return { type, isTrue: false, reason: 'PodFailed' };
  return { type, isTrue };
}

function initialized(pod: Pod, status: PodStatus, inits: readonly ContainerStatus[]): Verdict {
  const type = 'Initialized';
  if (status.phase === 'Succeeded') return { type, isTrue: true, reason: 'PodCompleted' };
  const hasMain = (status.containerStatuses ?? []).some(
    ({ containerID }) => containerID !== undefined,
  );
  const pending = initContainers(pod).filter((container) => {
    const found = inits.find(({ name }) => name === container.name);
    return isSidecar(container) ? !found?.started : !found?.ready;
  });
  if (hasMain || pending.length === 0) return { type, isTrue: true };
  const names = pending.map(({ name }) => name).join(' ');
  const message = `containers with incomplete status: [${names}]`;
  return { type, isTrue: false, reason: 'ContainersNotInitialized', message };
}

function containersReady(pod: Pod, status: PodStatus, isDone: boolean): Verdict {
  const type = 'ContainersReady';
  if (status.phase === 'Succeeded') return { type, isTrue: false, reason: 'PodCompleted' };
  if (status.phase === 'Failed') return { type, isTrue: false, reason: 'PodFailed' };
  const sidecars = new Set(
    initContainers(pod)
      .filter(isSidecar)
      .map(({ name }) => name),
  );
  const all = [
    ...(status.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name)),
    ...(status.containerStatuses ?? []),
  ];
  const unready = all.filter(({ ready }) => !ready).map(({ name }) => name);
  if (unready.length === 0 && !isDone) return { type, isTrue: true };
  const message = `containers with unready status: [${unready.join(' ')}]`;
  return { type, isTrue: false, reason: 'ContainersNotReady', message };
}

function podReady(pod: Pod, containers: Verdict): Verdict {
  if (!containers.isTrue) return { ...containers, type: 'Ready' };
  const gates = pod.spec.readinessGates ?? [];
  const isTrueGate = (type: string) =>
    pod.status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;
  const closed = gates.filter(({ conditionType }) => !isTrueGate(conditionType));
  if (closed.length === 0) return { type: 'Ready', isTrue: true };
  const words = closed.map(({ conditionType: type }) => {
    const found = pod.status?.conditions?.find((condition) => condition.type === type);
    return found
      ? `the status of pod readiness gate "${type}" is not "True", but ${found.status}`
      : `corresponding condition of pod readiness gate "${type}" does not exist.`;
  });
  const message = words.join(', ');
  return { type: 'Ready', isTrue: false, reason: 'ReadinessGatesNotReady', message };
}

function toCondition({ pod, nowMs }: ConditionFacts, verdict: Verdict): PodCondition {
  const old = pod.status?.conditions?.find(({ type }) => type === verdict.type);
  const status = verdict.isTrue ? 'True' : 'False';
  const isSame = old?.status === status && old.lastTransitionTime !== undefined;
  return {
    type: verdict.type,
    status,
    lastTransitionTime: isSame ? (old.lastTransitionTime ?? now(nowMs)) : now(nowMs),
    ...generation(pod),
    ...(verdict.reason ? { reason: verdict.reason } : {}),
    ...(verdict.message ? { message: verdict.message } : {}),
  };
}

function generation({ metadata }: Pod): { readonly observedGeneration?: number } {
  return metadata.generation ? { observedGeneration: metadata.generation } : {};
}

function now(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
