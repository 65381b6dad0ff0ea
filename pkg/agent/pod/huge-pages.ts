/** Huge pages: resources named `hugepages-<size>`, as the kernel and as volumes name their sizes. */

import type { Container, Pod } from '../../api/generated/types.ts';
import { bytes } from '../../api/quantity.ts';
import { allContainers } from './records.ts';

const PREFIX = 'hugepages-';
const MEDIUM = 'HugePages';
const UNITS = ['KB', 'MB', 'GB'] as const;

/** Sizes that the kernel has, as Kubernetes writes them, with the bytes of the pages that it keeps. */
export type HugePages = Readonly<Record<string, number>>;

/** '2Mi' for 2097152: whole binary units. */
export function binarySize(size: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi'];
  let unit = 0;
  let rest = size;
  while (rest > 0 && rest % 1024 === 0 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${rest}${units[unit]}`;
}

/** A size as the cgroup's files are named: '2MB'. */
function kernelSize(pageBytes: number): string {
  let rest = pageBytes / 1024;
  let unit = 0;
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${rest}${UNITS[unit]}`;
}

/** Limits of a container by the kernel's names; undefined = it asks for none. */
export function hugePageLimits({
  resources,
}: Pick<Container, 'resources'>): Readonly<Record<string, number>> | undefined {
  const limits = Object.entries(resources?.limits ?? {})
    .filter(([name]) => name.startsWith(PREFIX))
    .map(([name, limit]) => [kernelSize(bytes(name.slice(PREFIX.length))), bytes(limit)] as const);
  return limits.length === 0 ? undefined : Object.fromEntries(limits);
}

/** Of a pod as a whole: its own limits, else those of its containers together. */
export function podHugePageLimits({ spec }: Pod): Readonly<Record<string, number>> | undefined {
  const own = hugePageLimits(spec);
  if (own) return own;
  const sums = new Map<string, number>();
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    for (const [size, limit] of Object.entries(hugePageLimits(container) ?? {}))
      sums.set(size, (sums.get(size) ?? 0) + limit);
  }
  return sums.size === 0 ? undefined : Object.fromEntries(sums);
}

/** Whether an emptyDir's medium is huge pages, of a size or of the pod's only one. */
export function isHugePages(medium: string | undefined): boolean {
  return medium === MEDIUM || (medium?.startsWith(`${MEDIUM}-`) ?? false);
}

/** Size of a page of an emptyDir. Throws, in the kubelet's words, when the pod does not say which. */
export function pageBytesOf(pod: Pod, medium: string): number {
  const asked = new Set(
    allContainers(pod).flatMap(({ resources }) =>
      Object.keys({ ...resources?.requests, ...resources?.limits })
        .filter((name) => name.startsWith(PREFIX))
        .map((name) => bytes(name.slice(PREFIX.length))),
    ),
  );
  if (medium === MEDIUM) {
    const [only, ...others] = asked;
    if (only !== undefined && others.length === 0) return only;
    throw new Error(
      only === undefined
        ? `medium "${medium}" is used but no container requests huge pages`
        : `medium "${medium}" can't be used if container requests multiple huge page sizes`,
    );
  }
  const size = bytes(medium.slice(MEDIUM.length + 1));
  if (asked.has(size)) return size;
  throw new Error(`medium "${medium}" is used but no container requests huge pages of that size`);
}
