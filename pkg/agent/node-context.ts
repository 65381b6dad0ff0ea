/** What all parts of one node's agent work with; made once by agent.ts and passed to each. */

import type { Pod, Service } from '../api/generated/types.ts';
import type { Client } from '../client/client.ts';
import type { Engine } from '../engine/engine.ts';
import type { Logger } from '../log/log.ts';
import type { Clock } from '../wait/clock.ts';
import type { NodeEvents } from './events.ts';
import type { Pressure } from './eviction/thresholds.ts';
import type { ImageAccess } from './images/image-access.ts';
import type { PullQueue } from './images/pull-image.ts';
import type { NodeLimits } from './node/kubelet-args.ts';
import type { RuntimeHandler } from './node/node-object.ts';
import type { Paths } from './paths.ts';
import type { Admission } from './pod/admission.ts';
import type { NodeFacts } from './pod/field-ref.ts';
import type { Pace } from './pod/pace.ts';
import type { DnsFacts } from './pod/resolv-conf.ts';
import type { References } from './references.ts';
import type { NodeMetrics } from './stats/node-metrics.ts';
import type { Volumes } from './volumes/volumes.ts';

export interface NodeContext {
  readonly client: Client;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: NodeEvents;
  readonly references: References;
  readonly volumes: Volumes;
  readonly metrics: NodeMetrics;
  readonly admission: Admission;
  /** How many pods are worked on. */
  readonly pace: Pace;
  readonly paths: Paths;
  readonly dns: DnsFacts;
  /** Image pulls of all pods. */
  readonly pulls: PullQueue;
  /** Which pods may use images that are there. */
  readonly imageAccess: ImageAccess;
  readonly node: NodeFacts;
  /** What pods may have of the node. */
  readonly limits: NodeLimits;
  /** OCI runtimes besides the engine's own. */
  readonly handlers: readonly RuntimeHandler[];
  /** What the node runs short of now. */
  pressure(): Pressure;
  /** The pods that run here, with what they were given. */
  allocatedPods(): readonly Pod[];
  /** Bytes that a cgroup cannot do without. */
  memoryUsage(cgroup: string): Promise<number>;
  readonly memoryCapacityBytes: number;
  /** Cgroup below which all pods of this node lie, e.g. '/mini'. */
  readonly cgroupRoot: string;
  /** Resolves once the node's bridge is ready for pods. */
  readonly networkReady: Promise<void>;
  /** Resolves to the cluster's services once the first list is here; needed before a container's env is made. */
  services(signal: AbortSignal): Promise<readonly Service[]>;
}
