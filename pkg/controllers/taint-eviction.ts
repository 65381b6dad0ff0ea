/** Deletes the pods that do not tolerate their node's NoExecute taints, or no longer do. Keys are nodes. */

import type { Node, Pod } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import { type Controller, DONE } from './controller.ts';
import { BY_NODE, nodeOfPod } from './node-lifecycle.ts';
import { evictionAt } from './node-taints.ts';
import { isFinished, timestamp } from './pods.ts';

export const taintEviction: Controller = {
  name: 'taint-eviction',
  watches: {
    primary: 'nodes',
    maps: { pods: (pod: ApiObject) => nodeOfPod(pod).map((name) => ({ name })) },
    indexes: { pods: { [BY_NODE]: nodeOfPod } },
  },
  async reconcile(ref, { cache, client, events, now }, signal) {
    const taints = cache.get<Node>('nodes', ref)?.spec?.taints ?? [];
    if (!taints.some(({ effect }) => effect === 'NoExecute')) return DONE;
    const waits: number[] = [];
    for (const pod of cache.indexed<Pod>('pods', { index: BY_NODE, value: ref.name })) {
      if (pod.metadata.deletionTimestamp || isFinished(pod)) continue;
      const at = evictionAt(pod, taints, now());
      if (at === undefined) continue;
      if (at > now()) {
        waits.push(at - now());
        continue;
      }
      const { namespace, name, uid } = pod.metadata;
      events.normal(pod, 'TaintManagerEviction', `Marking for deletion Pod ${namespace}/${name}`);
      const status = { conditions: [disruption(now())] };
      const options = { type: 'strategic', subresource: 'status' } as const;
      await client.patch('pods', pod.metadata, { status }, options, signal);
      await client.remove('pods', pod.metadata, { preconditions: { uid } }, signal);
    }
    return waits.length > 0 ? { requeueAfterMs: Math.min(...waits) } : DONE;
  },
};

function disruption(now: number) {
  return {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByTaintManager',
    message: 'Taint manager: deleting due to NoExecute taint',
    lastTransitionTime: timestamp(now),
  };
}
