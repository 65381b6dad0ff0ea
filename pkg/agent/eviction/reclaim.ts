/** What is given up before a pod has to go: ended containers that nobody asks for. Images have their own collection. */

import type { Engine } from '../../engine/engine.ts';
import { CONTAINER_NAME } from '../pod/labels.ts';

/** The newest run of each container stays: the pod's status is made of it. */
export async function removeEndedContainers(
  { engine }: { readonly engine: Engine },
  signal: AbortSignal,
): Promise<void> {
  const newest = new Map<string, string>();
  const keyOf = (sandboxId: string, name = '') => `${sandboxId}/${name}`;
  for (const { sandboxId, labels, createdAt } of engine.listContainers()) {
    const key = keyOf(sandboxId, labels[CONTAINER_NAME]);
    if ((newest.get(key) ?? '') < createdAt) newest.set(key, createdAt);
  }
  for (const { id, sandboxId, labels, createdAt, status } of engine.listContainers()) {
    signal.throwIfAborted();
    const isOld = newest.get(keyOf(sandboxId, labels[CONTAINER_NAME])) !== createdAt;
    if (isOld && status === 'exited') await engine.removeContainer(id);
  }
}
