/** Which cgroups the host has: version 1, version 2 or both, and the controllers that limits need. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from './finding.ts';

const ROOT = '/sys/fs/cgroup';
const CONTROLLERS: Readonly<Record<string, string>> = {
  memory: 'memory limits are not enforced and memory use is not measured',
  cpu: 'CPU limits and shares are not enforced',
  pids: 'the number of processes in a pod is not limited',
};

/** Looks below `root`. */
export function cgroupFindings(root = ROOT): Finding[] {
  const unified = join(root, 'cgroup.controllers');
  const isV2 = existsSync(unified);
  const present = isV2
    ? readFileSync(unified, 'utf8').trim().split(' ')
    : Object.keys(CONTROLLERS).filter((name) => existsSync(join(root, name, 'cgroup.procs')));
  if (!isV2 && present.length === 0) return [nothing()];
  const version = isV2 ? 'version 2' : `version 1${isHybrid(root) ? ' (hybrid)' : ''}`;
  return [
    { level: 'ok', subject: 'cgroups', text: version },
    ...Object.entries(CONTROLLERS).map(([name, means]) =>
      controllerFinding({ name, means, isThere: present.includes(name) }),
    ),
  ];
}

function isHybrid(root: string): boolean {
  return existsSync(join(root, 'unified', 'cgroup.controllers'));
}

function nothing(): Finding {
  return {
    level: 'degraded',
    subject: 'cgroups',
    text: 'none is mounted: no limit of a container is enforced',
    mend: `mount -t cgroup2 cgroup2 ${ROOT}`,
  };
}

function controllerFinding({
  name,
  means,
  isThere,
}: {
  readonly name: string;
  readonly means: string;
  readonly isThere: boolean;
}): Finding {
  const subject = `cgroup ${name}`;
  if (isThere) return { level: 'ok', subject, text: 'there' };
  const mend =
    name === 'memory'
      ? 'add cgroup_enable=memory to the kernel command line (on a Raspberry Pi: /boot/firmware/cmdline.txt) and boot again'
      : `boot a kernel with the ${name} controller, or mount it`;
  return { level: 'degraded', subject, text: means, mend };
}
