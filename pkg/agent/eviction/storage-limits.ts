/** Which pods have written more than they may: emptyDir.sizeLimit and limits of ephemeral-storage. Pure. */

import type { Pod } from '../../api/generated/types.ts';
import { amountOf, podAmount } from '../../api/pod-resources.ts';
import { bytes } from '../../api/quantity.ts';
import { allContainers } from '../pod/records.ts';
import { compact } from './rank.ts';
import type { PodDisk } from './usage.ts';

const STORAGE = 'ephemeral-storage';

/** Whether anything that the pod writes is limited, so that it has to be measured. */
export function hasStorageLimits(pod: Pod): boolean {
  return (
    podAmount(pod, 'limits', STORAGE) > 0 ||
    allContainers(pod).some(({ resources }) => resources?.limits?.[STORAGE] !== undefined) ||
    (pod.spec.volumes ?? []).some(({ emptyDir }) => emptyDir?.sizeLimit && !emptyDir.medium)
  );
}

/** Why the pod must go, in the kubelet's words; undefined when it keeps to its limits. */
export function storageExcess(pod: Pod, disk: PodDisk): string | undefined {
  return excessOfVolumes(pod, disk) ?? excessOfPod(pod, disk) ?? excessOfContainers(pod, disk);
}

function excessOfVolumes({ spec }: Pod, { volumes }: PodDisk): string | undefined {
  for (const { name, emptyDir } of spec.volumes ?? []) {
    const limit = bytes(emptyDir?.sizeLimit);
    if (limit > 0 && (volumes.get(name)?.bytes ?? 0) > limit)
      return `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir?.sizeLimit}". `;
  }
  return undefined;
}

function excessOfPod(pod: Pod, { total }: PodDisk): string | undefined {
  const limit = podAmount(pod, 'limits', STORAGE);
  if (limit === 0 || total.bytes <= limit) return undefined;
  return `Pod ephemeral local storage usage exceeds the total limit of containers ${compact(limit)}. `;
}

function excessOfContainers(pod: Pod, { containers }: PodDisk): string | undefined {
  for (const { name, resources } of allContainers(pod)) {
    const limit = resources?.limits?.[STORAGE];
    if (limit !== undefined && (containers.get(name)?.bytes ?? 0) > amountOf(STORAGE, limit))
      return `Container ${name} exceeded its local ephemeral storage limit "${limit}". `;
  }
  return undefined;
}
