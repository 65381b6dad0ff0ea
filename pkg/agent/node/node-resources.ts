/** What keeps the resources of the node in order: the cgroups above those of pods, and evictions. */

import type { Resources } from '../../engine/engine.ts';
import { startEviction } from '../eviction/eviction.ts';
import type { Reclaim, Sensors } from '../eviction/manager.ts';
import type { MemoryEvents } from '../eviction/memory-watch.ts';
import { NO_PRESSURE, type Pressure } from '../eviction/thresholds.ts';
import type { NodeContext } from '../node-context.ts';
import type { Pods } from '../pod/pods.ts';
import { openQosCgroups } from './qos-cgroups.ts';

interface StartOptions {
  readonly nodeName: string;
  readonly pods: Pods;
  /** Instead of those of the host. */
  readonly sensors: Partial<Sensors> | undefined;
  readonly memoryEvents: MemoryEvents | undefined;
  /** Frees disk space that nobody uses. */
  readonly reclaimDisk: readonly Reclaim[];
  onPressure(pressure: Pressure): void;
}

export interface NodeResources {
  /** What the node runs short of. */
  pressure(): Pressure;
  /** Looks after the pods from now on; `close` ends that. */
  start(options: StartOptions): { podsChanged(): void; close(): Promise<void> };
}

/** Makes the cgroups of the node; `whole` are the limits of all pods together. */
export async function openNodeResources(
  context: () => NodeContext,
  cgroups: Pick<NodeContext, 'engine' | 'clock' | 'log' | 'cgroupRoot'> & {
    readonly whole: Resources;
  },
): Promise<NodeResources> {
  const qos = await openQosCgroups(cgroups);
  let pressure = NO_PRESSURE;
  return {
    pressure: () => pressure,
    start({ pods, onPressure, sensors, ...options }) {
      const eviction = startEviction(context(), {
        ...options,
        pods,
        ...(sensors === undefined ? {} : { sensors }),
        onPressure(now) {
          pressure = now;
          onPressure(now);
        },
      });
      return {
        podsChanged: () => qos.podsChanged(() => pods.active()),
        async close() {
          qos.close();
          await eviction.close();
        },
      };
    },
  };
}
