/** What a pod had of its node when an earlier agent wrote its status. Pure. */

import type { ContainerStatus, Pod, ResourceRequirements } from '../../api/generated/types.ts';
import { type Allocation, allocationOf } from './allocation.ts';
import type { Kept } from './checkpoint.ts';

/** What the status, which the node wrote itself, says of a pod that has run; else what the spec asks for. */
export function fromStatus(pod: Pod): Kept {
  const statuses = statusesOf(pod);
  const asked = allocationOf(pod);
  const containers = Object.fromEntries(
    Object.entries(asked.containers).map(([name, resources]) => [
      name,
      statuses.find((one) => one.name === name)?.resources ?? resources,
    ]),
  );
  const actual = Object.fromEntries(
    statuses.flatMap((status) => (status.resources ? [[idOf(status), status.resources]] : [])),
  );
  const whole = pod.status?.resources ?? asked.pod;
  return { allocation: { containers, ...(whole ? { pod: whole } : {}) }, actual };
}

/** What the pod's containers have in fact; what is not known of one is what it was given. */
export function actualAllocation(pod: Pod, { allocation, actual }: Kept): Allocation {
  const ids = new Map(statusesOf(pod).map((status) => [status.name, idOf(status)]));
  const had = (name: string): ResourceRequirements | undefined => actual[ids.get(name) ?? ''];
  const containers = Object.fromEntries(
    Object.entries(allocation.containers).map(([name, given]) => [name, had(name) ?? given]),
  );
  const whole = pod.status?.resources ?? allocation.pod;
  return { containers, ...(whole ? { pod: whole } : {}) };
}

function statusesOf({ status }: Pod): readonly ContainerStatus[] {
  return [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
}

/** `mini://<id>` without the scheme. */
function idOf({ containerID = '' }: ContainerStatus): string {
  return containerID.slice(containerID.indexOf('://') + '://'.length);
}
