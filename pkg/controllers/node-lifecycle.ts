/**
 * Notices nodes that fall silent: marks them Unknown, taints them, and marks their pods not ready. Heartbeats are the
 * node's Lease and its status; they are timed by this clock, so that clocks of nodes may differ.
 */

import { isDeepStrictEqual } from 'node:util';
import { isReason } from '../api/errors.ts';
import type { Lease, Node, Pod } from '../api/generated/types.ts';
import type { Cache } from '../client/client.ts';
import { type Context, type Controller, DONE, type Result } from './controller.ts';
import { readiness, silentConditions, taintsOf } from './node-taints.ts';
import { isFinished, podCondition, timestamp } from './pods.ts';

export interface NodeLifecycleOptions {
  /** A node silent for longer is Unknown. */
  readonly graceMs?: number;
  /** The same for a node that has never reported. */
  readonly startupGraceMs?: number;
}

const GRACE_MS = 40_000;
const STARTUP_GRACE_MS = 60_000;
const LEASES = 'kube-node-lease';

/** Name of the index of pods by node. */
export const BY_NODE = 'node';

/** The index function of BY_NODE. */
export function nodeOfPod(pod: object): readonly string[] {
  const name = (pod as Pod).spec.nodeName;
  return name ? [name] : [];
}

interface Heartbeat {
  /** What was last seen of the node's reports. */
  readonly mark: string;
  readonly at: number;
}

/** Makes the controller; it remembers when it last heard of each node. */
export function nodeLifecycle(options: NodeLifecycleOptions = {}): Controller {
  const { graceMs = GRACE_MS, startupGraceMs = STARTUP_GRACE_MS } = options;
  const heartbeats = new Map<string, Heartbeat>();
  return {
    name: 'node-lifecycle',
    watches: {
      primary: 'nodes',
      maps: {
        leases: ({ metadata }) => (metadata.namespace === LEASES ? [{ name: metadata.name }] : []),
      },
      reads: ['pods'],
      indexes: { pods: { [BY_NODE]: nodeOfPod } },
    },
    async reconcile(ref, context, signal) {
      const node = context.cache.get<Node>('nodes', ref);
      if (!node) {
        heartbeats.delete(ref.name);
        return DONE;
      }
      const mark = markOf(node, context.cache);
      const known = heartbeats.get(ref.name);
      const heartbeat = known?.mark === mark ? known : { mark, at: context.monotonic() };
      heartbeats.set(ref.name, heartbeat);
      const limitMs = hasReported(node) ? graceMs : startupGraceMs;
      const waitMs = heartbeat.at + limitMs - context.monotonic();
      return waitMs > 0
        ? settle(node, waitMs, { context, signal })
        : silence(node, { context, signal });
    },
  };
}

interface Means {
  readonly context: Context;
  readonly signal: AbortSignal;
}

function hasReported({ status }: Node): boolean {
  return status?.conditions?.some(({ type }) => type === 'Ready') ?? false;
}

/** Changes with each sign of life. Conditions that were written here are none. */
function markOf(node: Node, cache: Cache): string {
  const lease = cache.get<Lease>('leases', { namespace: LEASES, name: node.metadata.name });
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  return `${node.metadata.uid} ${lease?.spec?.renewTime ?? ''} ${ready?.lastHeartbeatTime ?? ''}`;
}

async function settle(node: Node, waitMs: number, means: Means): Promise<Result> {
  await writeTaints(node, means);
  if (hasReported(node) && readiness(node) !== 'True') await markPods(node, means);
  return { requeueAfterMs: waitMs };
}

async function silence(node: Node, means: Means): Promise<Result> {
  const { context, signal } = means;
  const conditions = silentConditions(node, context.now());
  let current = node;
  if (!isDeepStrictEqual(conditions, node.status?.conditions)) {
    const next = { ...node, status: { ...node.status, conditions } };
    current = await context.client.updateStatus<Node>('nodes', next, signal);
    const { name } = node.metadata;
    context.events.normal(node, 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
    context.log.warn('Node fell silent', { node: name });
  }
  await writeTaints(current, means);
  await markPods(current, means);
  return DONE;
}

async function writeTaints(node: Node, { context, signal }: Means): Promise<void> {
  const taints = taintsOf(node, context.now());
  if (isDeepStrictEqual(taints, node.spec?.taints ?? [])) return;
  const { resourceVersion } = node.metadata;
  const patch = { metadata: { resourceVersion }, spec: { taints } };
  await context.client.patch('nodes', node.metadata, patch, { type: 'merge' }, signal);
}

/** Pods of a node that is not ready do not serve, whatever they last said. */
async function markPods(node: Node, { context, signal }: Means): Promise<void> {
  const pods = context.cache.indexed<Pod>('pods', { index: BY_NODE, value: node.metadata.name });
  await Promise.all(
    pods
      .filter((pod) => !isFinished(pod) && podCondition(pod, 'Ready')?.status === 'True')
      .map(async (pod) => {
        const lastTransitionTime = timestamp(context.now());
        const condition = {
          type: 'Ready',
          status: 'False',
          reason: 'NodeNotReady',
          lastTransitionTime,
        };
        const patch = { status: { conditions: [condition] } };
        const options = { type: 'strategic', subresource: 'status' } as const;
        try {
          await context.client.patch('pods', pod.metadata, patch, options, signal);
          context.events.warning(pod, 'NodeNotReady', 'Node is not ready');
        } catch (error) {
          if (!isReason(error, 'NotFound')) throw error;
        }
      }),
  );
}
