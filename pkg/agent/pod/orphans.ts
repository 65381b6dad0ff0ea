/** Removes what is left on the node of a pod that the API does not know any more. */

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeContext } from '../node-context.ts';
import { POD_UID, sandboxId } from './labels.ts';

const GRACE_MS = 1000;

export async function removeOrphan(context: NodeContext, uid: string): Promise<void> {
  const { engine, volumes, paths, cgroupRoot } = context;
  const id = sandboxId(uid);
  const running = engine.listContainers(id).filter((one) => one.status !== 'exited');
  await Promise.all(running.map((one) => engine.stopContainer(one.id, GRACE_MS)));
  if (engine.listSandboxes().some(({ labels }) => labels[POD_UID] === uid))
    await engine.removeSandbox(id);
  for (const folder of ['', '/burstable', '/besteffort']) {
    await engine.removeCgroup(`${cgroupRoot}${folder}/pod${uid}`);
  }
  await volumes.remove(uid);
  for (const name of await readdir(paths.podLogDir).catch(() => [])) {
    if (name.endsWith(`_${uid}`))
      await rm(join(paths.podLogDir, name), { recursive: true, force: true });
  }
}
