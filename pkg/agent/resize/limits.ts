/** Limits between two states of a resize. Pure. */

import type { Resources } from '../../engine/engine.ts';

/** What holds both states: the larger of each limit, none where one has none. */
export function larger(a: Resources, b: Resources): Resources {
  const most = (x: number | undefined, y: number | undefined) =>
    x === undefined || y === undefined ? undefined : Math.max(x, y);
  const quota = most(a.cpuQuotaUs, b.cpuQuotaUs);
  const memory = most(a.memoryLimitBytes, b.memoryLimitBytes);
  return {
    cpuShares: Math.max(a.cpuShares ?? 0, b.cpuShares ?? 0),
    ...(quota === undefined || b.cpuPeriodUs === undefined
      ? {}
      : { cpuQuotaUs: quota, cpuPeriodUs: b.cpuPeriodUs }),
    ...(memory === undefined ? {} : { memoryLimitBytes: memory }),
    ...(b.pidsLimit === undefined ? {} : { pidsLimit: b.pidsLimit }),
    ...(b.hugePages === undefined ? {} : { hugePages: b.hugePages }),
  };
}

/** Whether memory gets a limit that is lower than the one before. */
export function shrinksMemory(before: Resources, after: Resources): boolean {
  const { memoryLimitBytes: limit } = after;
  return limit !== undefined && limit < (before.memoryLimitBytes ?? Number.POSITIVE_INFINITY);
}
