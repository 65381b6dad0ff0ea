/**
 * The status of a pod as kubectl users know it: a pure function of the API object, what the node has, and why
 * things wait. Never goes back on what was written: last terminations, counts and addresses are kept.
 */

import type {
  Container,
  ContainerState,
  ContainerStatus,
  EphemeralContainer,
  Pod,
  PodStatus,
} from '../../api/generated/types.ts';
import { qosClass } from '../../api/resources/pod-qos.ts';
import { isRecursivelyReadOnly } from '../volumes/mounts.ts';
import { conditionsOf } from './conditions.ts';
import type { Waiting } from './decide.ts';
import { finalStatuses } from './final-status.ts';
import {
  type ContainerRecord,
  ephemeralContainers,
  initContainers,
  isSidecar,
  mainContainers,
  newest,
  type PodView,
} from './records.ts';
import { isRestartingAll, mayRestartAll } from './restart-policy.ts';
import { withShortMessages } from './termination-messages.ts';

export interface StatusFacts {
  readonly pod: Pod;
  readonly view: PodView;
  readonly waiting: ReadonlyMap<string, Waiting>;
  readonly hostIps: readonly string[];
  /** Whether its volumes are there. Until then its sandbox does not count: the kubelet makes it after them. */
  readonly hasVolumes: boolean;
  readonly nowMs: number;
  /** Whether a running container passes its readiness probe. */
  isReady(id: string): boolean;
  isStarted(id: string): boolean;
  /** The pod is ending or has ended: nothing is started any more. */
  readonly isTerminating: boolean;
  /** Nothing will run any more: phase Succeeded or Failed. */
  readonly isFinished: boolean;
  /** Why it has failed as a whole, whatever its containers' exit codes. */
  readonly failure?: Waiting | undefined;
}

const CONTAINER_ID_PREFIX = 'mini://';

export function statusOf(facts: StatusFacts): PodStatus {
  const { pod, view, nowMs } = facts;
  const old = pod.status ?? {};
  const now = {
    inits: initContainers(pod).map((c) => containerStatus(facts, c, old.initContainerStatuses)),
    mains: mainContainers(pod).map((c) => containerStatus(facts, c, old.containerStatuses)),
  };
  const { inits, mains } = facts.isFinished ? finalStatuses(pod, now) : now;
  const ephemerals = ephemeralContainers(pod).map((c) =>
    ephemeralStatus(facts, c, old.ephemeralContainerStatuses),
  );
  const phase = phaseOf(facts, inits, mains);
  const base: PodStatus = {
    ...old,
    phase,
    ...facts.failure,
    ...(pod.metadata.generation ? { observedGeneration: pod.metadata.generation } : {}),
    qosClass: old.qosClass ?? qosClass(pod.spec),
    startTime: old.startTime ?? new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z'),
    ...addresses(facts),
    containerStatuses: mains,
    ...(inits.length > 0 ? { initContainerStatuses: inits } : {}),
    ...(ephemerals.length > 0 ? { ephemeralContainerStatuses: ephemerals } : {}),
  };
  const hasNetwork = facts.hasVolumes && view.sandbox?.isReady === true;
  const isRestarting = mayRestartAll(pod) ? isRestartingAll(pod, view) : undefined;
  const conditions = conditionsOf({ pod, status: base, hasNetwork, isRestarting, nowMs });
  return withShortMessages({ ...base, conditions });
}

/** Neither ready nor started are anything that it could be. */
function ephemeralStatus(
  facts: StatusFacts,
  container: EphemeralContainer,
  olds: readonly ContainerStatus[] | undefined,
): ContainerStatus {
  const { started: _started, ...status } = containerStatus(facts, container, olds);
  return { ...status, ready: false };
}

function addresses({ pod, view, hostIps, hasVolumes }: StatusFacts): Partial<PodStatus> {
  const host = hostIps[0] ? { hostIP: hostIps[0], hostIPs: hostIps.map((ip) => ({ ip })) } : {};
  const ips =
    pod.spec.hostNetwork && view.sandbox ? hostIps : view.sandbox?.ip ? [view.sandbox.ip] : [];
  if (!ips[0] || !hasVolumes) return host;
  return { ...host, podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) };
}

function containerStatus(
  facts: StatusFacts,
  container: Container,
  olds: readonly ContainerStatus[] | undefined,
): ContainerStatus {
  const old = olds?.find(({ name }) => name === container.name);
  const { records, isRestarting } = shown(facts.view.containers.get(container.name) ?? []);
  const last = records[0];
  const waiting = facts.isFinished ? undefined : facts.waiting.get(container.name);
  if (!last) return statusWithoutRecord(facts, container, { old, waiting });
  const isRunning = last.status === 'running';
  const isInit = initContainers(facts.pod).includes(container) && !isSidecar(container);
  const isReady = isInit
    ? last.ended?.exitCode === 0
    : isRunning && facts.isStarted(last.id) && facts.isReady(last.id);
  const state = stateOf(last, waiting ?? (isRestarting ? old?.state?.waiting : undefined)) ?? {
    waiting: notYet(facts.pod),
  };
  const lastState = state.waiting && last.ended ? terminated(last) : previousOf(records, old);
  return {
    name: container.name,
    state,
    lastState,
    ready: isReady,
    restartCount: last.attempt,
    image: container.image ?? last.image,
    imageID: last.imageId,
    containerID: `${CONTAINER_ID_PREFIX}${last.id}`,
    started: isRunning && (isInit || facts.isStarted(last.id)),
    ...stopSignalOf(container),
    ...volumeMountsOf(container),
    ...userOf(last),
  };
}

/** While the next run of a container is made, kubectl users see how the one before ended and why the next waited. */
function shown(all: readonly ContainerRecord[]): {
  readonly records: readonly ContainerRecord[];
  readonly isRestarting: boolean;
} {
  const isRestarting = all[0]?.status === 'created' && all[1]?.ended !== undefined;
  return { records: isRestarting ? all.slice(1) : all, isRestarting };
}

/** Its own group first, as containerd tells it. */
function userOf({ user }: ContainerRecord): Pick<ContainerStatus, 'user'> {
  const { uid, gid, additionalGids } = user;
  const others = additionalGids.filter((id) => id !== gid);
  return { user: { linux: { uid, gid, supplementalGroups: [gid, ...others] } } };
}

/** What became of recursiveReadOnly. */
function volumeMountsOf({ volumeMounts = [] }: Container): Partial<ContainerStatus> {
  if (volumeMounts.length === 0) return {};
  return {
    volumeMounts: volumeMounts.map((mount) => {
      const { name, mountPath } = mount;
      if (!mount.readOnly) return { name, mountPath };
      const recursiveReadOnly = isRecursivelyReadOnly(mount) ? 'Enabled' : 'Disabled';
      return { name, mountPath, readOnly: true, recursiveReadOnly };
    }),
  };
}

/** The one that the pod names; that of the image is not told. */
function stopSignalOf({ lifecycle }: Container): Pick<ContainerStatus, 'stopSignal'> {
  return lifecycle?.stopSignal ? { stopSignal: lifecycle.stopSignal } : {};
}

interface WithoutRecord {
  readonly old: ContainerStatus | undefined;
  readonly waiting: Waiting | undefined;
}

/** Its containers are not there yet, or gone after the pod ended or the host was restarted. */
function statusWithoutRecord(
  facts: StatusFacts,
  container: Container,
  { old, waiting }: WithoutRecord,
): ContainerStatus {
  const { pod } = facts;
  const hasRun = old?.containerID !== undefined;
  if (hasRun && (facts.isFinished || facts.isTerminating)) return ended(old, facts.nowMs);
  const reason = waiting ?? notYet(pod);
  return {
    name: container.name,
    state: { waiting: reason },
    lastState: hasRun ? (ended(old, facts.nowMs).state ?? {}) : (old?.lastState ?? {}),
    ready: false,
    restartCount: old?.restartCount ?? 0,
    image: container.image ?? '',
    imageID: old?.imageID ?? '',
    ...(old?.containerID ? { containerID: old.containerID } : {}),
    started: false,
  };
}

/** What a container waits for that was never started: init containers wait in the same words as those after them. */
function notYet(pod: Pod): Waiting {
  return { reason: initContainers(pod).length > 0 ? 'PodInitializing' : 'ContainerCreating' };
}

/** The old status, its state terminated: unknown when nobody saw the end. */
function ended(old: ContainerStatus, nowMs: number): ContainerStatus {
  if (old.state?.terminated) return { ...old, ready: false, started: false };
  return {
    ...old,
    ready: false,
    started: false,
    state: {
      terminated: {
        exitCode: 137,
        reason: 'ContainerStatusUnknown',
        message: 'The container could not be located when the pod was terminated',
        ...(old.state?.running?.startedAt ? { startedAt: old.state.running.startedAt } : {}),
        finishedAt: new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z'),
        ...(old.containerID ? { containerID: old.containerID } : {}),
      },
    },
  };
}

/** Undefined for one that is made and has not started. */
function stateOf(
  last: ContainerRecord,
  waiting: ContainerState['waiting'],
): ContainerState | undefined {
  if (last.status === 'running') return { running: { startedAt: seconds(last.startedAt) } };
  if (waiting) return { waiting };
  return last.ended ? terminated(last) : undefined;
}

function terminated(record: ContainerRecord): ContainerState {
  const { ended: end } = record;
  if (!end) return {};
  return {
    terminated: {
      exitCode: end.exitCode,
      reason: end.reason,
      ...(end.message ? { message: end.message } : {}),
      startedAt: seconds(end.startedAt),
      finishedAt: seconds(end.finishedAt),
      containerID: `${CONTAINER_ID_PREFIX}${record.id}`,
    },
  };
}

function previousOf(
  records: readonly ContainerRecord[],
  old: ContainerStatus | undefined,
): ContainerState {
  const previous = records[1];
  if (previous?.ended) return terminated(previous);
  const last = records[0];
  const isSameRun = last !== undefined && old?.containerID === `${CONTAINER_ID_PREFIX}${last.id}`;
  if (isSameRun || !old) return old?.lastState ?? {};
  return old.state?.terminated ? old.state : (old.lastState ?? {});
}

/** API times have whole seconds. */
function seconds(time: string | undefined): string {
  return (time ?? '1970-01-01T00:00:00Z').replace(/\.\d+/, '');
}

function phaseOf(
  facts: StatusFacts,
  inits: readonly ContainerStatus[],
  mains: readonly ContainerStatus[],
): string {
  const { pod } = facts;
  const old = pod.status?.phase;
  if (old === 'Succeeded' || old === 'Failed') return old;
  if (facts.failure) return 'Failed';
  const areAllEnded = mains.every(({ state }) => state?.terminated);
  if (facts.isFinished || (facts.isTerminating && (areAllEnded || hasNothing(facts)))) {
    return areAllEnded && mains.every(({ state }) => state?.terminated?.exitCode === 0)
      ? 'Succeeded'
      : 'Failed';
  }
  if (!areInitsDone(facts, inits)) return 'Pending';
  const isWaitingFirst = mains.some((s) => s.state?.waiting && !s.lastState?.terminated);
  if (isWaitingFirst) return 'Pending';
  return 'Running';
}

function hasNothing({ view }: StatusFacts): boolean {
  return [...view.containers.values()].every((records) =>
    records.every(({ status }) => status !== 'running'),
  );
}

function areInitsDone(facts: StatusFacts, statuses: readonly ContainerStatus[]): boolean {
  const { pod, view } = facts;
  if (mainContainers(pod).some(({ name }) => newest(view, name))) return true;
  return initContainers(pod).every((container, index) => {
    const state = statuses[index]?.state;
    return isSidecar(container)
      ? statuses[index]?.started === true
      : state?.terminated?.exitCode === 0;
  });
}
