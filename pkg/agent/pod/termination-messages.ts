/** Keeps the termination messages of one pod below their common limit, so that its status stays small. */

import type { ContainerState, ContainerStatus, PodStatus } from '../../api/generated/types.ts';

/** All messages of a pod together; each container has an equal share. Source: kubelet status manager. */
const MAX_POD_MESSAGE_BYTES = 12 * 1024;

/** The status with every message cut to its container's share. */
export function withShortMessages(status: PodStatus): PodStatus {
  const { initContainerStatuses: inits, containerStatuses: mains } = status;
  const { ephemeralContainerStatuses: ephemerals } = status;
  const count = (inits?.length ?? 0) + (mains?.length ?? 0) + (ephemerals?.length ?? 0);
  const limit = Math.floor(MAX_POD_MESSAGE_BYTES / Math.max(count, 1));
  const cut = (list: readonly ContainerStatus[]) => list.map((one) => shortened(one, limit));
  return {
    ...status,
    ...(mains ? { containerStatuses: cut(mains) } : {}),
    ...(inits ? { initContainerStatuses: cut(inits) } : {}),
    ...(ephemerals ? { ephemeralContainerStatuses: cut(ephemerals) } : {}),
  };
}

function shortened(status: ContainerStatus, limit: number): ContainerStatus {
  const { state, lastState } = status;
  if (fits(state, limit) && fits(lastState, limit)) return status;
  return {
    ...status,
    ...(state ? { state: cutState(state, limit) } : {}),
    ...(lastState ? { lastState: cutState(lastState, limit) } : {}),
  };
}

function fits(state: ContainerState | undefined, limit: number): boolean {
  return Buffer.byteLength(state?.terminated?.message ?? '') <= limit;
}

function cutState(state: ContainerState, limit: number): ContainerState {
  const { terminated } = state;
  if (!terminated?.message) return state;
  return { ...state, terminated: { ...terminated, message: startOf(terminated.message, limit) } };
}

/** As many whole characters as fit. */
function startOf(text: string, limit: number): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return decoder.decode(Buffer.from(text).subarray(0, limit), { stream: true });
}
