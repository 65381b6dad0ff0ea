/** The eviction manager of this node: its measures and means. */

import { nodeReference } from '../node/node-reference.ts';
import type { NodeContext } from '../node-context.ts';
import { type EvictablePods, EvictionManager, type Reclaim, type Sensors } from './manager.ts';
import { type MemoryEvents, MemoryLevel } from './memory-watch.ts';
import { removeEndedContainers } from './reclaim.ts';
import { observe } from './signals.ts';
import type { Pressure } from './thresholds.ts';
import { podDisk, podUsage } from './usage.ts';

export interface NodeEvictionOptions {
  readonly nodeName: string;
  readonly pods: EvictablePods;
  /** Instead of those of the host. */
  readonly sensors?: Partial<Sensors>;
  readonly memoryEvents?: MemoryEvents | undefined;
  /** Frees disk space that nobody uses. */
  readonly reclaimDisk: readonly Reclaim[];
  onPressure(pressure: Pressure): void;
}

export function startEviction(
  context: NodeContext,
  { nodeName, sensors, reclaimDisk, memoryEvents, ...options }: NodeEvictionOptions,
): EvictionManager {
  const { events, clock, log, paths, limits, metrics } = context;
  const level = memoryEvents && new MemoryLevel(memoryEvents, limits);
  return new EvictionManager({
    ...options,
    events,
    clock,
    log,
    node: nodeReference(nodeName),
    limits,
    evictions: metrics.evictions,
    reclaimDisk: [(signal) => removeEndedContainers(context, signal), ...reclaimDisk],
    sensors: {
      async observe() {
        const seen = await observe(paths.dataDir);
        level?.follow(seen);
        return seen;
      },
      usage: (pod, options) => podUsage(context, pod, options),
      disk: (pod) => podDisk(context, pod),
      memoryUsage: (cgroup) => context.memoryUsage(cgroup),
      watchMemory: (onShort) => memoryEvents?.onMemory(onShort) ?? (() => undefined),
      ...sensors,
    },
  });
}
