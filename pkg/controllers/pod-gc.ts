/** Removes pods that nobody else will: on nodes that are gone, deleted before they had a node, finished in masses. */

import { isReason } from '../api/errors.ts';
import type { Node, Pod } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import type { Cache } from '../client/client.ts';
import { type Context, type Controller, DONE, type Result } from './controller.ts';
import { BY_NODE, nodeOfPod } from './node-lifecycle.ts';
import { isFinished, timestamp } from './pods.ts';

export interface PodGcOptions {
  /** Finished pods that are kept. */
  readonly finishedMax?: number;
  /** A node must have been gone for this long: it may be about to register again. */
  readonly quarantineMs?: number;
}

const FINISHED_MAX = 12_500;
const QUARANTINE_MS = 40_000;
const FINISHED = 'finished';

/** Makes the controller; it remembers since when nodes are missing. */
export function podGc(options: PodGcOptions = {}): Controller {
  const { finishedMax = FINISHED_MAX, quarantineMs = QUARANTINE_MS } = options;
  const missingSince = new Map<string, number>();

  /** Milliseconds until a pod's node counts as gone; undefined = it is there. */
  function goneInMs(nodeName: string, cache: Cache, now: number): number | undefined {
    if (cache.get<Node>('nodes', { name: nodeName })) {
      missingSince.delete(nodeName);
      return undefined;
    }
    const since = missingSince.get(nodeName) ?? now;
    missingSince.set(nodeName, since);
    return Math.max(0, since + quarantineMs - now);
  }

  return {
    name: 'pod-garbage-collector',
    watches: {
      primary: 'pods',
      maps: { nodes: podsOf },
      indexes: { pods: { [BY_NODE]: nodeOfPod, [FINISHED]: finishedIndex } },
    },
    async reconcile(ref, context, signal) {
      const pod = context.cache.get<Pod>('pods', ref);
      if (!pod) return DONE;
      const { nodeName } = pod.spec;
      if (!nodeName) {
        if (pod.metadata.deletionTimestamp) await removeAtOnce(pod, context, signal);
        return DONE;
      }
      const waitMs = goneInMs(nodeName, context.cache, context.monotonic());
      if (waitMs === undefined) {
        if (isFinished(pod)) await thinOut(finishedMax, context, signal);
        return DONE;
      }
      return waitMs > 0 ? { requeueAfterMs: waitMs } : collect(pod, context, signal);
    },
  };
}

function podsOf(node: ApiObject, cache: Cache) {
  // Only a node that is gone is of interest; while it is there, its own agent takes care.
  if (cache.get('nodes', { name: node.metadata.name })) return [];
  return cache
    .indexed('pods', { index: BY_NODE, value: node.metadata.name })
    .map(({ metadata }) => metadata);
}

function finishedIndex(pod: object): readonly string[] {
  return isFinished(pod as Pod) ? [FINISHED] : [];
}

async function collect(pod: Pod, context: Context, signal: AbortSignal): Promise<Result> {
  const { client, log } = context;
  const { nodeName = '' } = pod.spec;
  try {
    // The cache may lag behind; the server decides.
    await client.get('nodes', { name: nodeName }, signal);
    return DONE;
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
  if (!isFinished(pod)) {
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByPodGC',
      message: 'PodGC: node no longer exists',
      lastTransitionTime: timestamp(context.now()),
    };
    const patch = { status: { phase: 'Failed', conditions: [condition] } };
    const options = { type: 'strategic', subresource: 'status' } as const;
    await client.patch('pods', pod.metadata, patch, options, signal);
  }
  await removeAtOnce(pod, context, signal);
  const { namespace, name } = pod.metadata;
  log.info('Removed pod of a node that is gone', { pod: `${namespace}/${name}`, node: nodeName });
  return DONE;
}

async function removeAtOnce(
  { metadata }: Pod,
  { client }: Context,
  signal: AbortSignal,
): Promise<void> {
  const preconditions = { uid: metadata.uid };
  await client.remove('pods', metadata, { gracePeriodSeconds: 0, preconditions }, signal);
}

async function thinOut(max: number, context: Context, signal: AbortSignal): Promise<void> {
  const finished = context.cache.indexed<Pod>('pods', { index: FINISHED, value: FINISHED });
  if (finished.length <= max) return;
  const oldest = finished
    .filter(({ metadata }) => !metadata.deletionTimestamp)
    .toSorted((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1))
    .slice(0, finished.length - max);
  for (const pod of oldest) await removeAtOnce(pod, context, signal);
}
