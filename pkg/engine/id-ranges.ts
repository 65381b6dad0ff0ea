/** Ranges of the host's user and group ids for user namespaces, one for each sandbox that has one. */

import type { IdMapping } from '../runtime/runtime.ts';

/** What a range has: all ids that images and Kubernetes use. */
const RANGE_SIZE = 65_536;
/** The first range: the ids below are the host's own. */
const FIRST_ID = RANGE_SIZE;
/** How many there are: more than the pods that a node may have. Their ids end at 131,137,535. */
export const MAX_RANGES = 2000;

/** The lowest range that is free; undefined when none is. */
export function freeRange(taken: Iterable<number>): number | undefined {
  const used = new Set(taken);
  for (let index = 0; index < MAX_RANGES; index += 1) {
    const first = FIRST_ID + index * RANGE_SIZE;
    if (!used.has(first)) return first;
  }
  return undefined;
}

/** Ids from 0 inside onto those of the range. */
export function mappingOf(first: number): readonly IdMapping[] {
  return [{ containerID: 0, hostID: first, size: RANGE_SIZE }];
}
