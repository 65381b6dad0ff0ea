/**
 * Deletes the pods that do not tolerate their node's NoExecute taints, or no longer do. Keys are nodes. How long a pod
 * has been under a taint is known by its first sight, as taints of users have no time.
 */

import type { Node, Pod, Taint } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import { type Context, type Controller, DONE, type Result } from './controller.ts';
import { BY_NODE, nodeOfPod } from './node-lifecycle.ts';
import { isEvicting, toleratedMs } from './node-taints.ts';
import { isFinished, timestamp } from './pods.ts';

/** By uid of the pod: since when it is under taints that it tolerates for a time, on the monotonic clock. */
type Sightings = Map<string, number>;

/** Makes the controller; it remembers since when pods are under the taints of their nodes. */
export function taintEviction(): Controller {
  const byNode = new Map<string, Sightings>();
  return {
    name: 'taint-eviction',
    watches: {
      primary: 'nodes',
      maps: { pods: (pod: ApiObject) => nodeOfPod(pod).map((name) => ({ name })) },
      indexes: { pods: { [BY_NODE]: nodeOfPod } },
    },
    async reconcile(ref, context, signal) {
      const taints = context.cache.get<Node>('nodes', ref)?.spec?.taints?.filter(isEvicting) ?? [];
      const before = byNode.get(ref.name);
      if (taints.length === 0 && !before) return DONE;
      const now: Sightings = new Map();
      const judge = { context, taints, before, now };
      const pods = context.cache.indexed<Pod>('pods', { index: BY_NODE, value: ref.name });
      const waits = pods.map((pod) => ({ pod, waitMs: waitOf(pod, judge) }));
      if (now.size > 0) byNode.set(ref.name, now);
      else byNode.delete(ref.name);
      for (const { pod, waitMs } of waits)
        if (waitMs !== undefined && waitMs <= 0) await evict(pod, context, signal);
      return again(waits.map(({ waitMs = 0 }) => waitMs));
    },
  };
}

interface Judge {
  readonly context: Context;
  readonly taints: readonly Taint[];
  readonly before: Sightings | undefined;
  readonly now: Sightings;
}

/** How long the pod may still stay; undefined = nothing drives it away. */
function waitOf(pod: Pod, { context, taints, before, now }: Judge): number | undefined {
  const { deletionTimestamp, namespace, name, uid } = pod.metadata;
  if (deletionTimestamp || isFinished(pod)) return undefined;
  const staysMs = toleratedMs(pod, taints);
  const seen = before?.get(uid);
  if (staysMs === undefined) {
    const message = `Cancelling deletion of Pod ${namespace}/${name}`;
    if (seen !== undefined) context.events.normal(pod, 'TaintManagerEviction', message);
    return undefined;
  }
  const since = seen ?? firstSeen(pod, taints, context);
  now.set(uid, since);
  return since + staysMs - context.monotonic();
}

/** Taints of the server have a time: pods need not be given theirs anew when it has been restarted. */
function firstSeen({ metadata, status }: Pod, taints: readonly Taint[], context: Context): number {
  const noted = [
    Date.parse(status?.startTime ?? metadata.creationTimestamp),
    ...taints.map(({ timeAdded }) => (timeAdded ? Date.parse(timeAdded) : context.now())),
  ];
  return context.monotonic() - Math.max(0, context.now() - Math.max(...noted));
}

function again(waits: readonly number[]): Result {
  const later = waits.filter((waitMs) => waitMs > 0);
  return later.length > 0 ? { requeueAfterMs: Math.min(...later) } : DONE;
}

async function evict(pod: Pod, context: Context, signal: AbortSignal): Promise<void> {
  const { client, events } = context;
  const { namespace, name, uid } = pod.metadata;
  events.normal(pod, 'TaintManagerEviction', `Marking for deletion Pod ${namespace}/${name}`);
  const status = { conditions: [disruption(context.now())] };
  const options = { type: 'strategic', subresource: 'status' } as const;
  await client.patch('pods', pod.metadata, { status }, options, signal);
  await client.remove('pods', pod.metadata, { preconditions: { uid } }, signal);
}

function disruption(now: number) {
  return {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByTaintManager',
    message: 'Taint manager: deleting due to NoExecute taint',
    lastTransitionTime: timestamp(now),
  };
}
