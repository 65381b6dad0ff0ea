/**
 * Container statuses of a pod that has ended: each says that its container has ended. One that nobody saw end counts
 * as failed, so that a pod never looks as if it might go on. Source: kubelet status manager, TerminatePod.
 */

import type { ContainerStatus, Pod } from '../../api/generated/types.ts';
import { initContainers, isSidecar } from './records.ts';

interface Statuses {
  readonly inits: readonly ContainerStatus[];
  readonly mains: readonly ContainerStatus[];
}

/** Containers that the pod never came to stay as they were. */
export function finalStatuses(pod: Pod, { inits, mains }: Statuses): Statuses {
  const lastStarted = inits.findLastIndex(hasStarted);
  return {
    inits: inits.map((status, index) => (index <= lastStarted ? ended(status) : status)),
    mains: isInitialized(pod, { inits, mains }) ? mains.map(ended) : mains,
  };
}

function hasStarted({ state, lastState }: ContainerStatus): boolean {
  return !state?.waiting || lastState?.terminated !== undefined;
}

function isInitialized(pod: Pod, { inits, mains }: Statuses): boolean {
  if (mains.some(hasStarted)) return true;
  // One that the node refused never had any.
  if (!pod.status?.containerStatuses && !inits.some(hasStarted)) return false;
  const last = initContainers(pod).at(-1);
  if (!last) return true;
  const status = inits.at(-1);
  if (isSidecar(last)) return status?.started === true;
  return [status?.state, status?.lastState].some((one) => one?.terminated?.exitCode === 0);
}

function ended(status: ContainerStatus): ContainerStatus {
  if (status.state?.terminated) return status;
  const reason = 'ContainerStatusUnknown';
  const message = 'The container could not be located when the pod was terminated';
  const state = { terminated: { exitCode: 137, reason, message } };
  return { ...status, ready: false, started: false, state };
}
