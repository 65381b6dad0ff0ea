/** Where the agent keeps what belongs to pods. Layout as the kubelet's, below mini's own directories. */

import { join } from 'node:path';
import type { Pod } from '../api/generated/types.ts';

export interface Paths {
  /** Kept across a restart of the host. */
  readonly dataDir: string;
  /** On tmpfs where the host has /run so: secrets, tokens, memory-backed volumes. */
  readonly runDir: string;
  readonly podLogDir: string;
}

export function podDir({ dataDir }: Paths, uid: string): string {
  return join(dataDir, 'pods', uid);
}

export function podRunDir({ runDir }: Paths, uid: string): string {
  return join(runDir, 'pods', uid);
}

export function podLogs({ podLogDir }: Paths, pod: Pod): string {
  const { namespace, name, uid } = pod.metadata;
  return join(podLogDir, `${namespace}_${name}_${uid}`);
}

export function containerLogs(paths: Paths, pod: Pod, container: string): string {
  return join(podLogs(paths, pod), container);
}

export function logPath(
  paths: Paths,
  pod: Pod,
  run: { readonly container: string; readonly attempt: number },
): string {
  return join(containerLogs(paths, pod, run.container), `${run.attempt}.log`);
}

/** The file that is mounted as the container's terminationMessagePath. */
export function messagePath(
  paths: Paths,
  uid: string,
  run: { readonly container: string; readonly attempt: number },
): string {
  return join(podDir(paths, uid), 'containers', run.container, `message-${run.attempt}`);
}
