/**
 * Gives every pod a node. Events keep the table of nodes and the queue up to date; a turn places many pods one after
 * another in memory and binds them all at once, so that the store can write them together.
 */

import { isReason } from '../api/errors.ts';
import type { Node, Pod } from '../api/generated/types.ts';
import type { Client } from '../client/client.ts';
import type { EventRecorder } from '../client/events.ts';
import type { Change } from '../client/informer.ts';
import type { Informers } from '../client/informers.ts';
import { describe, type Logger } from '../log/log.ts';
import { type Clock, systemClock } from '../wait/clock.ts';
import { assume, bindVolumes, forget } from './bind-volumes.ts';
import { NodeTable } from './node-table.ts';
import { explain, type Misfit, pendingOf, place } from './place.ts';
import type { PodInfo } from './pod-info.ts';
import { preempt, type Victims } from './preemption.ts';
import { SchedulingQueue } from './queue.ts';
import { type Assumed, type Choice, choose, usesClaims } from './volumes.ts';

export interface SchedulerOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly events: EventRecorder;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Ends the scheduler. */
  readonly signal: AbortSignal;
}

export interface Scheduler {
  /** Resolves when it has its caches and works. */
  readonly ready: Promise<void>;
  /** Resolves after the signal aborted, when nothing is being bound any more. */
  readonly stopped: Promise<void>;
}

const NAME = 'default-scheduler';
/** Pods placed in one turn of the event loop; others get their turn in between. */
const TURN_MAX = 128;
const VOLUME_RESOURCES = ['persistentvolumeclaims', 'persistentvolumes', 'storageclasses'];
const RESOURCES = ['nodes', 'pods', 'namespaces', ...VOLUME_RESOURCES];

/** Starts the scheduler. */
export function startScheduler(options: SchedulerOptions): Scheduler {
  const { informers, signal } = options;
  for (const resource of RESOURCES) informers.start(resource);
  const run = new Run(options);
  const ready = informers.synced(RESOURCES).then(() => {
    if (!signal.aborted) run.start();
  });
  const stopped = new Promise<void>((resolve) => {
    const close = () => void run.close().then(resolve);
    if (signal.aborted) close();
    else signal.addEventListener('abort', close, { once: true });
  });
  return { ready, stopped };
}

class Run {
  readonly #options: SchedulerOptions;
  readonly #clock: Clock;
  readonly #table = new NodeTable();
  readonly #queue: SchedulingQueue;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #assumed: Assumed = { nodes: new Map(), volumes: new Map() };
  #isStarted = false;
  #isTurnDue = false;
  #turn = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#queue = new SchedulingQueue({ clock: this.#clock, wake: () => this.#wake() });
  }

  start(): void {
    const { informers } = this.#options;
    informers.subscribe<Node>('nodes', (change) => this.#onNode(change));
    informers.subscribe<Pod>('pods', (change) => this.#onPod(change));
    for (const resource of VOLUME_RESOURCES) {
      informers.subscribe(resource, () => this.#queue.changed(usesClaims));
    }
    this.#isStarted = true;
    this.#wake();
  }

  async close(): Promise<void> {
    this.#queue.close();
    await Promise.allSettled([...this.#inFlight]);
  }

  #onNode({ type, object }: Change<Node>): void {
    if (type === 'deleted') this.#table.deleteNode(object.metadata.name);
    // A node that left still changes how pods spread.
    if (type === 'deleted' || this.#table.setNode(object)) this.#queue.changed();
  }

  #onPod({ type, object: pod }: Change<Pod>): void {
    const { uid } = pod.metadata;
    const { phase } = pod.status ?? {};
    if (type === 'deleted' || phase === 'Succeeded' || phase === 'Failed') {
      this.#queue.delete(uid);
      this.#table.unnominate(uid);
      if (this.#table.deletePod(uid)) this.#queue.changed();
    } else if (pod.spec.nodeName) {
      this.#queue.delete(uid);
      // It may be the one that another pod wants to be near to.
      if (this.#table.setPod(pod)) this.#queue.changed(looksAtPods);
    } else if (pod.metadata.deletionTimestamp) {
      this.#queue.delete(uid);
      this.#table.unnominate(uid);
    } else if ((pod.spec.schedulerName || NAME) === NAME && !this.#table.has(uid)) {
      this.#queue.set(pod);
    }
  }

  #wake(): void {
    if (!this.#isStarted || this.#isTurnDue) return;
    this.#isTurnDue = true;
    this.#clock.after(0, () => {
      this.#isTurnDue = false;
      if (!this.#options.signal.aborted) this.#takeTurn();
    });
  }

  #takeTurn(): void {
    for (const pod of this.#queue.take(TURN_MAX)) {
      try {
        this.#placeOne(pod);
      } catch (error) {
        const { log } = this.#options;
        log.error('Failed to place a pod', { pod: nameOf(pod), error: describe(error) });
        this.#queue.retryLater(pod.metadata.uid);
      }
    }
    if (this.#queue.hasActive) this.#wake();
  }

  #placeOne(pod: Pod): void {
    const { informers } = this.#options;
    const info = this.#table.read(pod);
    const pending = pendingOf(info, this.#table, { cache: informers, assumed: this.#assumed });
    this.#turn += 1;
    const { node, misfit } = place(pending, this.#table, this.#turn);
    if (node) {
      this.#table.unnominate(info.uid);
      this.#table.assume(info, node.name);
      const choices = choose(pending.volumes, node.node) ?? [];
      assume(this.#assumed, choices, node.name);
      this.#track(this.#bind(info, { nodeName: node.name, choices }));
      return;
    }
    const nodes = this.#table.nodes();
    const nominated = this.#table.nominatedNode(info.uid);
    const { victims, message } = preempt({ pending, misfit, nodes, cache: informers, nominated });
    if (victims) this.#table.nominate(info, victims.node.name);
    this.#queue.park(pod.metadata.uid);
    this.#track(this.#reject(info, misfit, { victims, message }));
  }

  #track(work: Promise<void>): void {
    const done = work.finally(() => this.#inFlight.delete(done));
    this.#inFlight.add(done);
  }

  async #bind(
    info: PodInfo,
    { nodeName, choices }: { readonly nodeName: string; readonly choices: readonly Choice[] },
  ): Promise<void> {
    const { client, events, signal } = this.#options;
    const { metadata } = info.pod;
    const { name, namespace = '', uid } = metadata;
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
    };
    try {
      if (choices.length > 0) await this.#bindVolumes(info, { nodeName, choices });
      await client.createSub('pods', { namespace, name }, 'binding', binding, signal);
      const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`;
      events.normal(info.pod, 'Scheduled', message);
    } catch (error) {
      this.#onBindFailure(info, { nodeName, error });
    } finally {
      forget(this.#assumed, choices);
    }
  }

  #onBindFailure(
    { pod, uid }: PodInfo,
    { nodeName, error }: { readonly nodeName: string; readonly error: unknown },
  ): void {
    const { log, signal } = this.#options;
    this.#table.forget(uid);
    if (signal.aborted) return;
    if (isReason(error, 'NotFound')) {
      this.#queue.delete(uid);
      return;
    }
    log.warn('Failed to bind a pod', { pod: nameOf(pod), nodeName, error: describe(error) });
    this.#queue.retryLater(uid);
  }

  async #bindVolumes(
    { pod }: PodInfo,
    { nodeName, choices }: { readonly nodeName: string; readonly choices: readonly Choice[] },
  ): Promise<void> {
    const { client, informers, events, signal } = this.#options;
    try {
      await bindVolumes(choices, nodeName, {
        client,
        informers,
        clock: this.#clock,
        assumed: this.#assumed,
        signal,
      });
    } catch (error) {
      if (!signal.aborted && !isReason(error, 'Conflict')) {
        const message = `running PreBind plugin "VolumeBinding": binding volumes: ${describe(error)}`;
        events.warning(pod, 'FailedScheduling', message);
      }
      throw isReason(error, 'NotFound') ? new Error('a claim or volume is gone') : error;
    }
  }

  /** Tells why the pod has no node, and makes room for it if that is possible. */
  async #reject(
    info: PodInfo,
    misfit: Misfit,
    { victims, message }: { readonly victims: Victims | undefined; readonly message: string },
  ): Promise<void> {
    const { client, events, log, signal } = this.#options;
    const reason = explain(misfit, message);
    events.warning(info.pod, 'FailedScheduling', reason);
    try {
      const nominated = victims ? { nominatedNodeName: victims.node.name } : {};
      const condition = unschedulable(info.pod, { message: reason, now: this.#clock.now() });
      if (condition || victims) {
        const status = { ...nominated, ...(condition ? { conditions: [condition] } : {}) };
        const options = { type: 'strategic', subresource: 'status' } as const;
        await client.patch('pods', info.pod.metadata, { status }, options, signal);
      }
      if (victims) await this.#evict(info, victims);
    } catch (error) {
      if (signal.aborted || isReason(error, 'NotFound')) return;
      log.warn('Failed to tell why a pod has no node', {
        pod: nameOf(info.pod),
        error: describe(error),
      });
    }
  }

  async #evict(info: PodInfo, { node, pods }: Victims): Promise<void> {
    const { client, events, signal } = this.#options;
    for (const { pod } of pods) {
      if (pod.metadata.deletionTimestamp) continue;
      await client.remove(
        'pods',
        pod.metadata,
        { preconditions: { uid: pod.metadata.uid } },
        signal,
      );
      events.normal(pod, 'Preempted', `Preempted by pod ${info.uid} on node ${node.name}`);
    }
  }
}

/** Whether a pod's place depends on where other pods are. */
function looksAtPods({ spec }: Pod): boolean {
  return Boolean(spec.affinity?.podAffinity || spec.topologySpreadConstraints?.length);
}

/** The PodScheduled condition to write; undefined when the pod has it already. */
function unschedulable(
  pod: Pod,
  { message, now }: { readonly message: string; readonly now: number },
) {
  const before = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (before?.status === 'False' && before.message === message) return undefined;
  const changedAt = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    type: 'PodScheduled',
    status: 'False',
    reason: 'Unschedulable',
    message,
    lastProbeTime: null,
    ...(pod.metadata.generation ? { observedGeneration: pod.metadata.generation } : {}),
    lastTransitionTime: (before?.status === 'False' && before.lastTransitionTime) || changedAt,
  };
}

function nameOf({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}
