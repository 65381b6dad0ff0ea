/** What a pod's status says of its resources and of a resize under way. Pure. */

import type {
  ContainerStatus,
  Pod,
  PodCondition,
  PodStatus,
  ResourceRequirements,
} from '../../api/generated/types.ts';
import type { Allocation, Refusal } from './allocation.ts';

const PENDING = 'PodResizePending';
const IN_PROGRESS = 'PodResizeInProgress';

export interface ResizeState {
  readonly allocation: Allocation;
  /** What the container of this id has in fact; undefined when it does not run. */
  actual(containerId: string): ResourceRequirements | undefined;
  readonly actualPod?: ResourceRequirements;
  readonly pending?: Refusal;
  readonly progress?: Progress;
  readonly nowMs: number;
}

/** A resize that was granted and is not done. */
export interface Progress {
  /** Of the pod when it was granted. */
  readonly generation: number;
  /** Why it cannot go on. */
  readonly error?: string;
}

/** Adds the resources of each container, and the conditions of a resize. */
export function withResize(status: PodStatus, pod: Pod, state: ResizeState): PodStatus {
  const { allocation, actualPod } = state;
  const statuses = (list: readonly ContainerStatus[] | undefined) =>
    list?.map((one) => withResources(one, state));
  const containerStatuses = statuses(status.containerStatuses);
  const initContainerStatuses = statuses(status.initContainerStatuses);
  const { allocatedResources: _allocated, resources: _resources, ...rest } = status;
  return {
    ...rest,
    ...(containerStatuses ? { containerStatuses } : {}),
    ...(initContainerStatuses ? { initContainerStatuses } : {}),
    ...(allocation.pod?.requests ? { allocatedResources: allocation.pod.requests } : {}),
    ...(allocation.pod ? { resources: actualPod ?? allocation.pod } : {}),
    conditions: conditions(status.conditions ?? [], pod, state),
  };
}

function withResources(
  status: ContainerStatus,
  { allocation, actual }: ResizeState,
): ContainerStatus {
  const given = allocation.containers[status.name];
  if (!given) return status;
  const id = status.containerID?.replace(/^\w+:\/\//, '') ?? '';
  const { requests = {} } = given;
  const isRunning = status.state?.running !== undefined;
  return {
    ...status,
    ...(Object.keys(requests).length > 0 ? { allocatedResources: requests } : {}),
    resources: (isRunning ? actual(id) : undefined) ?? given,
  };
}

function conditions(
  olds: readonly PodCondition[],
  pod: Pod,
  { pending, progress, nowMs }: ResizeState,
): readonly PodCondition[] {
  const kept = olds.filter(({ type }) => type !== PENDING && type !== IN_PROGRESS);
  const time = new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const condition = (type: string, fields: Partial<PodCondition>): PodCondition => {
    const old = pod.status?.conditions?.find((one) => one.type === type);
    const isSame = old !== undefined && old.reason === fields.reason;
    return {
      type,
      status: 'True',
      lastTransitionTime: isSame ? (old.lastTransitionTime ?? time) : time,
      ...fields,
    };
  };
  const { generation = 0 } = pod.metadata;
  return [
    ...kept,
    ...(pending ? [condition(PENDING, { ...pending, observedGeneration: generation })] : []),
    ...(progress
      ? [
          condition(IN_PROGRESS, {
            observedGeneration: progress.generation,
            ...(progress.error ? { reason: 'Error', message: progress.error } : {}),
          }),
        ]
      : []),
  ];
}
