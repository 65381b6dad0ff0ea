/**
 * Removes a pod's own cgroup, the parent of its containers' cgroups, in every hierarchy once it is empty. The engine
 * makes it on the way to a container's and cannot know when no further container will come.
 */

import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

const MOUNT = '/sys/fs/cgroup';

export async function removePodCgroup(parent: string): Promise<void> {
  const controllers = await readdir(MOUNT, { withFileTypes: true }).catch(() => []);
  const roots = controllers
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(MOUNT, name));
  for (const root of [MOUNT, ...roots]) {
    // Not there in this hierarchy, or not empty: somebody else's.
    await rmdir(join(root, parent)).catch(() => undefined);
  }
}
