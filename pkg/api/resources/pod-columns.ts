/** What `kubectl get pods` prints: readiness, the one-word status, restarts. Source: kubernetes pkg/printers. */

import { ageOf } from '../age.ts';
import type { Container, ContainerState, ContainerStatus, Pod } from '../generated/types.ts';
import type { Column } from '../resource.ts';
import { AGE, NAME, NONE, text, wide } from './columns.ts';

/** The cells that are worked out together from the statuses of the containers. */
interface PodSummary {
  readonly ready: string;
  readonly status: string;
  readonly restarts: string;
}

interface Tally {
  reason: string;
  readyCount: number;
  restarts: number;
  lastRestart: string;
}

/** READY, STATUS and RESTARTS of a pod. */
function summarizePod(pod: Pod, nowMs: number): PodSummary {
  const { spec, status } = pod;
  const sidecars = (spec.initContainers ?? []).filter(isSidecar);
  const total = spec.containers.length + sidecars.length;
  const tally = { reason: phaseReason(pod), readyCount: 0, restarts: 0, lastRestart: '' };
  const sidecarTally = { ...tally };
  const isInitializing = countInit(pod, tally, sidecarTally);
  if (!isInitializing || hasCondition(pod, 'Initialized')) {
    tally.restarts = sidecarTally.restarts;
    tally.lastRestart = sidecarTally.lastRestart;
    countContainers(pod, tally);
  }
  const isTerminal = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  if (pod.metadata.deletionTimestamp) {
    if (status?.reason === 'NodeLost') tally.reason = 'Unknown';
    else if (!isTerminal) tally.reason = 'Terminating';
  }
  return {
    ready: `${tally.readyCount}/${total}`,
    status: tally.reason,
    restarts: showRestarts(tally, nowMs),
  };
}

function isSidecar(container: Container | undefined): boolean {
  return container?.restartPolicy === 'Always';
}

function phaseReason({ status }: Pod): string {
  const isGated = status?.conditions?.some(
    ({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated',
  );
  return isGated ? 'SchedulingGated' : status?.reason || (status?.phase ?? '');
}

function hasCondition({ status }: Pod, wanted: string): boolean {
  return (
    status?.conditions?.some(({ type, status: is }) => type === wanted && is === 'True') ?? false
  );
}

function showRestarts({ restarts, lastRestart }: Tally, nowMs: number): string {
  if (restarts === 0 || lastRestart === '') return String(restarts);
  return `${restarts} (${ageOf(lastRestart, nowMs)} ago)`;
}

function addRestarts(tally: Tally, { restartCount, lastState }: ContainerStatus): void {
  tally.restarts += restartCount;
  const finishedAt = lastState?.terminated?.finishedAt;
  if (finishedAt && finishedAt > tally.lastRestart) tally.lastRestart = finishedAt;
}

/** Goes through the init containers up to the first that is not done; true when there is one. */
function countInit(pod: Pod, tally: Tally, sidecarTally: Tally): boolean {
  const inits = pod.spec.initContainers ?? [];
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const isRestartable = isSidecar(inits.find(({ name }) => name === status.name));
    addRestarts(tally, status);
    if (isRestartable) addRestarts(sidecarTally, status);
    if (status.state?.terminated?.exitCode === 0) continue;
    if (isRestartable && status.started) {
      if (status.ready) tally.readyCount += 1;
      continue;
    }
    tally.reason = `Init:${initReason(status.state) ?? `${index}/${inits.length}`}`;
    return true;
  }
  return false;
}

function initReason(state: ContainerState | undefined): string | undefined {
  if (state?.terminated) return terminatedReason(state.terminated);
  const waiting = state?.waiting?.reason;
  return waiting && waiting !== 'PodInitializing' ? waiting : undefined;
}

function terminatedReason(terminated: NonNullable<ContainerState['terminated']>): string {
  if (terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}

function countContainers(pod: Pod, tally: Tally): void {
  let hasRunning = false;
  for (const status of (pod.status?.containerStatuses ?? []).toReversed()) {
    const { state } = status;
    addRestarts(tally, status);
    if (state?.waiting?.reason) tally.reason = state.waiting.reason;
    else if (state?.terminated) tally.reason = terminatedReason(state.terminated);
    else if (status.ready && state?.running) {
      hasRunning = true;
      tally.readyCount += 1;
    }
  }
  if (tally.reason === 'Completed' && hasRunning) {
    tally.reason = hasCondition(pod, 'Ready') ? 'Running' : 'NotReady';
  }
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec.readinessGates ?? [];
  if (gates.length === 0) return NONE;
  const met = gates.filter(({ conditionType }) => hasCondition(pod, conditionType));
  return `${met.length}/${gates.length}`;
}

export const POD_COLUMNS: readonly Column<Pod>[] = [
  NAME,
  text('Ready', (pod, nowMs) => summarizePod(pod, nowMs).ready),
  text('Status', (pod, nowMs) => summarizePod(pod, nowMs).status),
  text('Restarts', (pod, nowMs) => summarizePod(pod, nowMs).restarts),
  AGE,
  wide(text('IP', ({ status }) => status?.podIPs?.[0]?.ip || status?.podIP || NONE)),
  wide(text('Node', ({ spec }) => spec.nodeName || NONE)),
  wide(text('Nominated Node', ({ status }) => status?.nominatedNodeName || NONE)),
  wide(text('Readiness Gates', readinessGates)),
];
