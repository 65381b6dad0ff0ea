/**
 * What is to be done for a pod that should run: a pure function of the API object and what the node has, so that
 * every case is tested without a runtime. The worker carries the plan out and asks again.
 */

import type { Container, Pod } from '../../api/generated/types.ts';
import { containerHash } from './labels.ts';
import {
  allContainers,
  type ContainerRecord,
  initContainers,
  isSidecar,
  mainContainers,
  newest,
  type PodView,
} from './records.ts';

export interface Waiting {
  readonly reason: string;
  readonly message?: string;
}

export type Action =
  | { readonly kind: 'start'; readonly container: Container; readonly attempt: number }
  /** Starts one that an earlier agent created and did not come to start. */
  | { readonly kind: 'resume'; readonly container: Container; readonly id: string }
  | {
      readonly kind: 'kill';
      readonly container: Container;
      readonly id: string;
      readonly why: string;
    };

/** Why a container may not be started yet. */
export interface Hold {
  readonly waiting: Waiting;
  /** When the hold ends or changes; absent = only an event ends it. */
  readonly untilMs?: number;
}

export interface Facts {
  readonly pod: Pod;
  readonly view: PodView;
  readonly nowMs: number;
  /** Why this node does not run such a pod; absent = it does. */
  readonly refusal?: string;
  /** Asked before a container is started; `last` is the run that ended. */
  hold(container: Container, last: ContainerRecord | undefined): Hold | undefined;
  /** Why a running container must be killed and restarted (liveness); absent = it is well. */
  unhealthy(id: string): string | undefined;
  /** Whether a running container has passed its startup probe, if it has one. */
  isStarted(id: string): boolean;
}

export interface Plan {
  /** The sandbox is gone or broken: remove what is left of it and make a new one. */
  readonly needsSandbox: boolean;
  readonly actions: readonly Action[];
  readonly waiting: ReadonlyMap<string, Waiting>;
  /** Nothing will run any more: the pod has succeeded or failed. */
  readonly isFinished: boolean;
  /** Why it has failed as a whole, whatever its containers' exit codes. */
  readonly failure?: Waiting;
  /** When to decide again even if nothing happens. */
  readonly wakeAtMs?: number;
}

interface Draft {
  readonly actions: Action[];
  readonly waiting: Map<string, Waiting>;
  wakeAtMs: number;
}

export function decide(facts: Facts): Plan {
  const draft: Draft = { actions: [], waiting: new Map(), wakeAtMs: Number.POSITIVE_INFINITY };
  const { pod, view } = facts;
  if (isPastDeadline(pod, facts.nowMs)) return FAILED_BY_DEADLINE;
  if (facts.refusal !== undefined) return refused(pod, facts.refusal);
  const progress = planInit(facts, draft);
  if (progress === 'done') {
    for (const container of mainContainers(pod)) planMain(facts, container, draft);
  }
  const isFinished = progress === 'failed' || (progress === 'done' && hasFinished(pod, view));
  return {
    needsSandbox: !isFinished && !view.sandbox?.isReady,
    actions: isFinished ? [] : draft.actions,
    waiting: draft.waiting,
    isFinished,
    ...(Number.isFinite(draft.wakeAtMs) ? { wakeAtMs: draft.wakeAtMs } : {}),
  };
}

const FAILED_BY_DEADLINE: Plan = {
  needsSandbox: false,
  actions: [],
  waiting: new Map(),
  isFinished: true,
  failure: {
    reason: 'DeadlineExceeded',
    message: 'Pod was active on the node longer than the specified deadline',
  },
};

/** When the pod's activeDeadlineSeconds end it. */
export function deadlineMs({ spec, status }: Pod): number {
  if (spec.activeDeadlineSeconds === undefined || !status?.startTime)
    return Number.POSITIVE_INFINITY;
  return Date.parse(status.startTime) + spec.activeDeadlineSeconds * 1000;
}

function isPastDeadline(pod: Pod, nowMs: number): boolean {
  return nowMs >= deadlineMs(pod);
}

/** What runs of it goes on; nothing is started. */
function refused(pod: Pod, message: string): Plan {
  const reason = 'CreateContainerConfigError';
  const waiting = new Map(allContainers(pod).map(({ name }) => [name, { reason, message }]));
  return { needsSandbox: false, actions: [], waiting, isFinished: false };
}

/** 'done' = the main containers may run, 'failed' = one failed for good, 'busy' = not yet. */
type Progress = 'done' | 'busy' | 'failed';

function planInit(facts: Facts, draft: Draft): Progress {
  const inits = initContainers(facts.pod);
  const hasMain = mainContainers(facts.pod).some(({ name }) => newest(facts.view, name));
  const lastRun = inits.findLastIndex(({ name }) => newest(facts.view, name));
  for (const [index, container] of inits.entries()) {
    const isPast = hasMain || index < lastRun;
    const progress = isSidecar(container)
      ? planSidecar(facts, container, draft)
      : isPast
        ? 'done'
        : planInitRun(facts, container, draft);
    if (progress === 'done' || (progress === 'busy' && isPast)) continue;
    return progress;
  }
  return 'done';
}

function planInitRun(facts: Facts, container: Container, draft: Draft): Progress {
  const last = newest(facts.view, container.name);
  if (last?.ended?.exitCode === 0) return 'done';
  if (last?.ended && !restarts(facts.pod, container, last)) return 'failed';
  planRun(facts, container, draft);
  return 'busy';
}

function planSidecar(facts: Facts, container: Container, draft: Draft): Progress {
  planRun(facts, container, draft);
  const last = newest(facts.view, container.name);
  return last?.status === 'running' && facts.isStarted(last.id) ? 'done' : 'busy';
}

function planMain(facts: Facts, container: Container, draft: Draft): void {
  const last = newest(facts.view, container.name);
  if (last?.ended && !restarts(facts.pod, container, last)) return;
  planRun(facts, container, draft);
}

/** Plans whatever brings this container to run. */
function planRun(facts: Facts, container: Container, draft: Draft): void {
  const last = newest(facts.view, container.name);
  if (last?.status === 'running') {
    const why = mustKill(facts, container, last);
    if (why) draft.actions.push({ kind: 'kill', container, id: last.id, why });
    return;
  }
  if (last?.status === 'created') {
    draft.actions.push({ kind: 'resume', container, id: last.id });
    return;
  }
  const hold = facts.hold(container, last);
  if (hold) {
    draft.waiting.set(container.name, hold.waiting);
    draft.wakeAtMs = Math.min(draft.wakeAtMs, hold.untilMs ?? Number.POSITIVE_INFINITY);
    return;
  }
  draft.actions.push({
    kind: 'start',
    container,
    attempt: nextAttempt(facts.pod, container, last),
  });
}

function mustKill(facts: Facts, container: Container, last: ContainerRecord): string | undefined {
  if (last.hash !== '' && last.hash !== containerHash(container)) {
    return `Container ${container.name} definition changed, will be restarted`;
  }
  return facts.unhealthy(last.id);
}

/** A container that ran before the host was restarted has no record but a status; its count goes on. */
function nextAttempt(pod: Pod, container: Container, last: ContainerRecord | undefined): number {
  if (last) return last.attempt + 1;
  const statuses = [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
  ];
  const status = statuses.find(({ name }) => name === container.name);
  return status?.containerID ? status.restartCount + 1 : 0;
}

/** Whether a container that ended is to run again. */
function restarts(pod: Pod, container: Container, last: ContainerRecord): boolean {
  const isInit = initContainers(pod).includes(container);
  const policy = container.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always';
  if (policy === 'Always') return !(isInit && !isSidecar(container) && last.ended?.exitCode === 0);
  return policy === 'OnFailure' && last.ended?.exitCode !== 0;
}

function hasFinished(pod: Pod, view: PodView): boolean {
  return mainContainers(pod).every((container) => {
    const last = newest(view, container.name);
    return last?.ended !== undefined && !restarts(pod, container, last);
  });
}
