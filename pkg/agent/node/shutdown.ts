/**
 * The host goes down: the node takes no more pods, is not ready, and ends its pods in the order of their priority, each
 * group within its own time. Source: kubelet node shutdown manager.
 */

import type { Pod } from '../../api/generated/types.ts';
import type { Logger } from '../../log/log.ts';
import { type Clock, sleep } from '../../wait/clock.ts';

/** Pods of this priority and above, up to the next group's, have so long to end. */
export interface ShutdownGroup {
  readonly priority: number;
  readonly graceSeconds: number;
}

/** Priority from which pods are the system's own. */
const CRITICAL_PRIORITY = 2_000_000_000;
const DEFAULT_GRACE_SECONDS = 30;
/** How often it is looked whether a group has ended; only while the host goes down. */
const STEP_MS = 100;
/** The node's own status has this long to be written before pods are ended. */
const REPORT_MS = 2000;

export const SHUTDOWN_MESSAGE = 'node is shutting down';
export const SHUTDOWN_EVENT = {
  type: 'Normal',
  reason: 'Shutdown',
  message: 'Shutdown manager detected shutdown event',
} as const;
export const REJECTION = {
  reason: 'NodeShutdown',
  message: 'Pod was rejected as the node is shutting down.',
} as const;
export const TERMINATION = {
  reason: 'Terminated',
  message: 'Pod was terminated in response to imminent node shutdown.',
} as const;

/** The two groups of --shutdown-grace-period: of the whole time the last part is for critical pods. */
export function twoGroups(graceSeconds: number, criticalSeconds: number): readonly ShutdownGroup[] {
  return [
    { priority: 0, graceSeconds: graceSeconds - criticalSeconds },
    { priority: CRITICAL_PRIORITY, graceSeconds: criticalSeconds },
  ];
}

/** The pods by group, the first to end first; those below all groups go with the lowest. */
export function groupPods(
  groups: readonly ShutdownGroup[],
  pods: readonly Pod[],
): readonly { readonly group: ShutdownGroup; readonly pods: readonly Pod[] }[] {
  const ascending = groups.toSorted((a, b) => a.priority - b.priority);
  const indexOf = ({ spec }: Pod) =>
    Math.max(
      ascending.findLastIndex(({ priority }) => priority <= (spec.priority ?? 0)),
      0,
    );
  return ascending.map((group, index) => ({
    group,
    pods: pods.filter((pod) => indexOf(pod) === index),
  }));
}

/** What a shutdown does with the node and its pods. */
export interface ShutdownNode {
  /** Pods that run or are about to. */
  active(): readonly Pod[];
  /** Begins to end a pod; it fails for the reason of TERMINATION. */
  end(uid: string, graceSeconds: number): void;
  /** Whether the pod has ended and the API knows it. */
  hasEnded(uid: string): boolean;
  /** Takes no more pods, and says that it is not ready; resolves once the API knows. */
  refuse(): Promise<void>;
}

export interface ShutdownOptions {
  readonly groups: readonly ShutdownGroup[];
  readonly node: ShutdownNode;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Resolves when all pods have ended or their time is over. Never rejects. */
export async function shutDownNode({ groups, node, clock, log }: ShutdownOptions): Promise<void> {
  await Promise.race([
    node.refuse().catch((error: unknown) => log.warn('Could not report the shutdown', { error })),
    sleep(REPORT_MS, undefined, clock),
  ]);
  for (const { group, pods } of groupPods(groups, node.active())) {
    if (pods.length === 0) continue;
    log.info('Ends pods: the host goes down', { pods: pods.length, ...group });
    for (const pod of pods) node.end(pod.metadata.uid, graceOf(pod, group));
    const deadlineMs = clock.monotonic() + group.graceSeconds * 1000;
    const hasEnded = () => pods.every(({ metadata }) => node.hasEnded(metadata.uid));
    while (!hasEnded() && clock.monotonic() < deadlineMs) await sleep(STEP_MS, undefined, clock);
    if (!hasEnded()) log.warn('Pods have not ended in their time', { ...group });
  }
}

/** The pod's own, if that is shorter. */
function graceOf({ spec }: Pod, { graceSeconds }: ShutdownGroup): number {
  return Math.min(spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS, graceSeconds);
}
