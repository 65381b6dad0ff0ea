/** A request to the node's API, and the errors it may be answered with. */

import type { IncomingHttpHeaders } from 'node:http';
import type { Pod } from '../../api/generated/types.ts';
import type { ContainerInfo, Engine } from '../../engine/engine.ts';
import { ATTEMPT, CONTAINER_NAME, sandboxId } from '../pod/labels.ts';
import type { Pods } from '../pod/pods.ts';
import { allContainers, mainContainers } from '../pod/records.ts';

export interface NodeRequest {
  readonly method: string;
  /** Decoded path segments, e.g. ['exec', 'default', 'web-1', 'c']. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

export class ApiError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** The pod that a request names by namespace and name. Throws an ApiError. */
export function podOf(pods: Pods, { segments }: NodeRequest): Pod {
  const [, namespace = '', name = ''] = segments;
  const pod = pods.get(namespace, name);
  if (!pod) throw new ApiError(404, `pod ${name} not found in namespace ${namespace} on this node`);
  return pod;
}

/** Name of the container that a request means: the one it names, else the pod's only one. Throws an ApiError. */
export function containerOf(pod: Pod, { segments, query }: NodeRequest): string {
  const asked = segments[3] || query.get('container') || '';
  const all = allContainers(pod);
  if (asked) {
    if (all.some(({ name }) => name === asked)) return asked;
    throw new ApiError(400, `container ${asked} is not valid for pod ${pod.metadata.name}`);
  }
  const [first, ...others] = mainContainers(pod);
  if (first && others.length === 0) return first.name;
  const names = all.map(({ name }) => name).join(' ');
  throw new ApiError(
    400,
    `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${names}]`,
  );
}

/** The container's newest run that the engine knows. */
export function runOf(engine: Engine, pod: Pod, name: string): ContainerInfo | undefined {
  const id = sandboxId(pod.metadata.uid);
  return engine
    .listContainers(id)
    .filter((info) => info.labels[CONTAINER_NAME] === name)
    .sort((a, b) => Number(b.labels[ATTEMPT]) - Number(a.labels[ATTEMPT]))[0];
}

/** Its running run. Throws an ApiError when it does not run. */
export function runningOf(engine: Engine, pod: Pod, name: string): ContainerInfo {
  const info = runOf(engine, pod, name);
  if (info?.status === 'running') return info;
  throw new ApiError(400, `container ${name} in pod ${pod.metadata.name} is not running`);
}
