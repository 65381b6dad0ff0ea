/**
 * What the node knows of one pod at one moment: its sandbox and every container it still has, read from the engine.
 * The decisions (decide.ts) and the status (status.ts) are functions of this and the API object.
 */

import type { Container, EphemeralContainer, Pod } from '../../api/generated/types.ts';
import type { ContainerInfo, SandboxInfo } from '../../engine/engine.ts';
import { ATTEMPT, CONTAINER_NAME, EPOCH, HASH, IMAGE_REF } from './labels.ts';

interface Ended {
  readonly exitCode: number;
  /** Completed, Error, OOMKilled, StartError or ContainerStatusUnknown. */
  readonly reason: string;
  readonly message?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
}

export interface ContainerRecord {
  readonly id: string;
  readonly name: string;
  /** 0 for the first run; equals restartCount while it is the newest. */
  readonly attempt: number;
  /** See restart-policy.ts. */
  readonly epoch: number;
  readonly hash: string;
  readonly status: 'created' | 'running' | 'exited';
  readonly image: string;
  /** By digest of a repository, or of its configuration when it came from none. */
  readonly imageId: string;
  readonly user: ContainerInfo['user'];
  readonly startedAt?: string;
  readonly ended?: Ended;
}

export interface PodView {
  readonly sandbox: SandboxInfo | undefined;
  /** By container name, newest attempt first. */
  readonly containers: ReadonlyMap<string, readonly ContainerRecord[]>;
}

/** What the engine cannot tell about a container. */
export interface Hints {
  /** The message of a start that failed, by container id. */
  startError(id: string): string | undefined;
  /** What the container wrote to its termination message file, by container id. */
  message(id: string): string | undefined;
}

/** Builds the view from what the engine lists for one sandbox. */
export function viewOf(
  sandbox: SandboxInfo | undefined,
  containers: readonly ContainerInfo[],
  hints: Hints,
): PodView {
  const byName = new Map<string, ContainerRecord[]>();
  for (const info of containers) {
    const record = recordOf(info, hints);
    const records = byName.get(record.name) ?? [];
    records.push(record);
    byName.set(record.name, records);
  }
  for (const records of byName.values()) records.sort((a, b) => b.attempt - a.attempt);
  return { sandbox, containers: byName };
}

function recordOf(info: ContainerInfo, hints: Hints): ContainerRecord {
  const startError = hints.startError(info.id);
  const hasEnded = info.status === 'exited' || startError !== undefined;
  return {
    id: info.id,
    name: info.labels[CONTAINER_NAME] ?? '',
    attempt: Number(info.labels[ATTEMPT] ?? 0),
    epoch: Number(info.labels[EPOCH] ?? 0),
    hash: info.labels[HASH] ?? '',
    status: hasEnded ? 'exited' : info.status === 'paused' ? 'running' : info.status,
    image: info.image,
    imageId: info.labels[IMAGE_REF] ?? info.imageId,
    user: info.user,
    ...(info.startedAt ? { startedAt: info.startedAt } : {}),
    ...(hasEnded ? { ended: endedOf(info, startError, hints) } : {}),
  };
}

/** Exit code of a container whose program could not be executed, as containerd reports it. */
const START_FAILED_CODE = 128;
/** Exit code that the kubelet gives a container whose end nobody saw. */
const UNKNOWN_CODE = 137;

function endedOf(info: ContainerInfo, startError: string | undefined, hints: Hints): Ended {
  if (startError !== undefined) {
    return {
      exitCode: START_FAILED_CODE,
      reason: 'StartError',
      message: startError,
      finishedAt: info.createdAt,
    };
  }
  const { exit } = info;
  if (!exit) {
    return {
      exitCode: UNKNOWN_CODE,
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the pod was terminated',
    };
  }
  const message = hints.message(info.id);
  return {
    exitCode: exit.exitCode,
    reason: exit.isOomKilled ? 'OOMKilled' : exit.exitCode === 0 ? 'Completed' : 'Error',
    ...(message ? { message } : {}),
    startedAt: exit.startedAt,
    finishedAt: exit.finishedAt,
  };
}

/** The newest record of a container. */
export function newest(view: PodView, name: string): ContainerRecord | undefined {
  return view.containers.get(name)?.[0];
}

/** Whether this init container keeps running beside the main ones. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

export function initContainers(pod: Pod): readonly Container[] {
  return pod.spec?.initContainers ?? [];
}

export function mainContainers(pod: Pod): readonly Container[] {
  return pod.spec?.containers ?? [];
}

/** Those that were added to the pod while it ran, for debugging. */
export function ephemeralContainers(pod: Pod): readonly EphemeralContainer[] {
  return pod.spec?.ephemeralContainers ?? [];
}

/** Init, main, ephemeral: every container that the agent runs for the pod. */
export function allContainers(pod: Pod): readonly Container[] {
  return [...initContainers(pod), ...mainContainers(pod), ...ephemeralContainers(pod)];
}

/** The field of the pod's spec that has the container of this name. */
export function fieldOf(pod: Pod, name: string) {
  const isIn = (list: readonly Container[]) => list.some((one) => one.name === name);
  if (isIn(initContainers(pod))) return 'initContainers';
  return isIn(ephemeralContainers(pod)) ? 'ephemeralContainers' : 'containers';
}

/** Whether the pod's phase is final. */
export function isOver({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}
