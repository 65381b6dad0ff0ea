/**
 * What is to be done for a pod that should run: a pure function of the API object and what the node has, so that
 * every case is tested without a runtime. The worker carries the plan out and asks again.
 */

import type { Container, Pod, Probe } from '../../api/generated/types.ts';
import { activeMaxMs } from './deadline.ts';
import { containerHash } from './labels.ts';
import {
  allContainers,
  type ContainerRecord,
  ephemeralContainers,
  initContainers,
  isSidecar,
  mainContainers,
  newest,
  type PodView,
} from './records.ts';
import { epochOf, restarts, viewOfEpoch } from './restart-policy.ts';

export interface Waiting {
  readonly reason: string;
  readonly message?: string;
}

export type Action =
  | {
      readonly kind: 'start';
      readonly container: Container;
      readonly attempt: number;
      /** See restart-policy.ts. */
      readonly epoch: number;
    }
  /** Starts one that an earlier agent created and did not come to start. */
  | { readonly kind: 'resume'; readonly container: Container; readonly id: string }
  | {
      readonly kind: 'kill';
      readonly container: Container;
      readonly id: string;
      readonly why: string;
      /** The probe that failed. */
      readonly probe?: Probe;
      /** Without its preStop hook. */
      readonly isHard?: boolean;
    };

/** A probe of a running container has failed too often. */
export interface Unhealthy {
  readonly why: string;
  readonly probe: Probe;
}

/** Why a container may not be started yet. */
export interface Hold {
  readonly waiting: Waiting;
  /** When the hold ends or changes, by the monotonic clock; absent = only an event ends it. */
  readonly untilMs?: number;
}

export interface Facts {
  readonly pod: Pod;
  readonly view: PodView;
  /** How long the pod has been active. */
  readonly activeMs: number;
  /** Why this node does not run such a pod; absent = it does. */
  readonly refusal?: string;
  /** Asked before a container is started; `last` is the run that ended. */
  hold(container: Container, last: ContainerRecord | undefined): Hold | undefined;
  /** Why a running container must be killed and restarted (liveness); absent = it is well. */
  unhealthy(id: string): Unhealthy | undefined;
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
  /** When to decide again even if nothing happens, by the monotonic clock. */
  readonly wakeAtMs?: number;
}

/** Facts whose view is of this epoch alone. */
interface Now extends Facts {
  /** What the node has, earlier epochs too. */
  readonly history: PodView;
  readonly epoch: number;
}

interface Draft {
  readonly actions: Action[];
  readonly waiting: Map<string, Waiting>;
  wakeAtMs: number;
}

export function decide(facts: Facts): Plan {
  const draft: Draft = { actions: [], waiting: new Map(), wakeAtMs: Number.POSITIVE_INFINITY };
  const { pod, view } = facts;
  if (facts.activeMs >= activeMaxMs(pod)) return FAILED_BY_DEADLINE;
  if (facts.refusal !== undefined) return refused(pod, facts.refusal);
  const epoch = epochOf(pod, view);
  const now: Now = { ...facts, view: viewOfEpoch(view, epoch), history: view, epoch };
  if (planEarlier(now, draft)) return planOf(facts, draft, false);
  planEphemeral(now, draft);
  const progress = planInit(now, draft);
  if (progress === 'done') {
    for (const container of mainContainers(pod)) planMain(now, container, draft);
  }
  const isFinished = progress === 'failed' || (progress === 'done' && hasFinished(pod, now.view));
  return planOf(facts, draft, isFinished);
}

function planOf({ view }: Facts, draft: Draft, isFinished: boolean): Plan {
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

/** What runs of it goes on; nothing is started. */
function refused(pod: Pod, message: string): Plan {
  const reason = 'CreateContainerConfigError';
  const waiting = new Map(allContainers(pod).map(({ name }) => [name, { reason, message }]));
  return { needsSandbox: false, actions: [], waiting, isFinished: false };
}

/** All containers are to be restarted: first those that still run end. Returns whether any does. */
function planEarlier({ pod, history, epoch }: Now, draft: Draft): boolean {
  for (const container of [...initContainers(pod), ...mainContainers(pod)]) {
    const last = newest(history, container.name);
    if (!last || last.epoch >= epoch || last.status === 'exited') continue;
    const why = `Stopping container ${container.name}`;
    draft.actions.push({ kind: 'kill', container, id: last.id, why, isHard: true });
  }
  return draft.actions.length > 0;
}

/** They run once, beside whatever the pod is doing. */
function planEphemeral(facts: Now, draft: Draft): void {
  const { history, pod } = facts;
  for (const container of ephemeralContainers(pod)) {
    const last = newest(history, container.name);
    const statuses = pod.status?.ephemeralContainerStatuses ?? [];
    const hasRun = statuses.some(({ name, containerID }) => name === container.name && containerID);
    if (last?.status === 'created' || (!last && !hasRun)) planRun(facts, container, draft);
  }
}

/** 'done' = the main containers may run, 'failed' = one failed for good, 'busy' = not yet. */
type Progress = 'done' | 'busy' | 'failed';

function planInit(facts: Now, draft: Draft): Progress {
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

function planInitRun(facts: Now, container: Container, draft: Draft): Progress {
  const last = newest(facts.view, container.name);
  if (last?.ended?.exitCode === 0) return 'done';
  if (last?.ended && !restarts(facts.pod, container, last)) return 'failed';
  planRun(facts, container, draft);
  return 'busy';
}

function planSidecar(facts: Now, container: Container, draft: Draft): Progress {
  planRun(facts, container, draft);
  const last = newest(facts.view, container.name);
  return last?.status === 'running' && facts.isStarted(last.id) ? 'done' : 'busy';
}

function planMain(facts: Now, container: Container, draft: Draft): void {
  const last = newest(facts.view, container.name);
  if (last?.ended && !restarts(facts.pod, container, last)) return;
  planRun(facts, container, draft);
}

/** Plans whatever brings this container to run. */
function planRun(facts: Now, container: Container, draft: Draft): void {
  const last = newest(facts.history, container.name);
  if (last?.status === 'running') {
    const reason = mustKill(facts, container, last);
    if (reason) draft.actions.push({ kind: 'kill', container, id: last.id, ...reason });
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
    epoch: facts.epoch,
  });
}

function mustKill(
  facts: Facts,
  container: Container,
  last: ContainerRecord,
): { readonly why: string; readonly probe?: Probe } | undefined {
  if (last.hash !== '' && last.hash !== containerHash(container)) {
    return { why: `Container ${container.name} definition changed, will be restarted` };
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

function hasFinished(pod: Pod, view: PodView): boolean {
  return mainContainers(pod).every((container) => {
    const last = newest(view, container.name);
    return last?.ended !== undefined && !restarts(pod, container, last);
  });
}
