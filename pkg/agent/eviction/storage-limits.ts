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

/** Why a pod must go. */
export interface Excess {
  /** As metrics name it. */
  readonly signal: 'emptydirfs.limit' | 'ephemeralpodfs.limit' | 'ephemeralcontainerfs.limit';
  /** In the kubelet's words. */
  readonly message: string;
}

/** Undefined when the pod keeps to its limits. */
export function storageExcess(pod: Pod, disk: PodDisk): Excess | undefined {
  return excessOfVolumes(pod, disk) ?? excessOfPod(pod, disk) ?? excessOfContainers(pod, disk);
}

function excessOfVolumes({ spec }: Pod, { volumes }: PodDisk): Excess | undefined {
  for (const { name, emptyDir } of spec.volumes ?? []) {
    const limit = bytes(emptyDir?.sizeLimit);
    if (limit === 0 || (volumes.get(name)?.bytes ?? 0) <= limit) continue;
    const message = `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir?.sizeLimit}". `;
    return { signal: 'emptydirfs.limit', message };
  }
  return undefined;
}

function excessOfPod(pod: Pod, { total }: PodDisk): Excess | undefined {
  const limit = podAmount(pod, 'limits', STORAGE);
  if (limit === 0 || total.bytes <= limit) return undefined;
  const message = `Pod ephemeral local storage usage exceeds the total limit of containers ${compact(limit)}. `;
  return { signal: 'ephemeralpodfs.limit', message };
}

function excessOfContainers(pod: Pod, { containers }: PodDisk): Excess | undefined {
  for (const { name, resources } of allContainers(pod)) {
    const limit = resources?.limits?.[STORAGE];
    if (limit === undefined) continue;
    if ((containers.get(name)?.bytes ?? 0) <= amountOf(STORAGE, limit)) continue;
    const message = `Container ${name} exceeded its local ephemeral storage limit "${limit}". `;
    return { signal: 'ephemeralcontainerfs.limit', message };
  }
  return undefined;
}
