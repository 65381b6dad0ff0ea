/** How static pods and their mirrors in the API are marked. Names as the kubelet's. */

import type { Pod } from '../../api/generated/types.ts';

export const CONFIG_HASH = 'kubernetes.io/config.hash';
export const CONFIG_SEEN = 'kubernetes.io/config.seen';
export const CONFIG_SOURCE = 'kubernetes.io/config.source';
export const CONFIG_MIRROR = 'kubernetes.io/config.mirror';
export const FROM_FILE = 'file';

/** Whether the pod comes from a file of this node. Its mirror in the API says so, too. */
export function isStatic({ metadata }: Pod): boolean {
  return metadata.annotations?.[CONFIG_SOURCE] === FROM_FILE;
}

/** The uid of the static pod whose mirror this is; undefined for every other pod. */
export function mirroredUid({ metadata }: Pod): string | undefined {
  return metadata.annotations?.[CONFIG_MIRROR];
}
