/** The host's cgroup file systems, as far as the engine itself touches them: the helper makes and limits cgroups. */

import { existsSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

const MOUNT = '/sys/fs/cgroup';

/** Whether the host has one hierarchy with all controllers (cgroup v2). */
export function isCgroupV2(): boolean {
  return existsSync(join(MOUNT, 'cgroup.controllers'));
}

/** Removes a cgroup in every hierarchy where it is empty. */
export async function removeCgroup(path: string): Promise<void> {
  const controllers = await readdir(MOUNT, { withFileTypes: true }).catch(() => []);
  const roots = controllers
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(MOUNT, name));
  for (const root of isCgroupV2() ? [MOUNT] : [MOUNT, ...roots]) {
    // Not there in this hierarchy, or not empty: somebody else's.
    await rmdir(join(root, path)).catch(() => undefined);
  }
}
