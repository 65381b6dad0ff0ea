/** What a pod's worker tells of its pod: the status, made of what the node has, and when it is told. */

import type { Pod, PodStatus } from '../../api/generated/types.ts';
import { withDisruption } from '../eviction/admission.ts';
import type { Eviction } from '../eviction/manager.ts';
import type { NodeContext } from '../node-context.ts';
import type { PodProbes } from '../probes/pod-probes.ts';
import type { PodResize } from '../resize/pod-resize.ts';
import type { Alarms } from './alarms.ts';
import { withOthersConditions } from './conditions.ts';
import { Deadline } from './deadline.ts';
import type { Waiting } from './decide.ts';
import { type StatusFacts, statusOf } from './status.ts';
import type { PodWriter } from './status-writer.ts';

export interface ReportOptions {
  readonly context: NodeContext;
  readonly writer: PodWriter;
  readonly alarms: Alarms;
  readonly probes: PodProbes;
  readonly resize: PodResize;
  facts(): Pick<StatusFacts, 'view' | 'hasVolumes'>;
  /** The pod has been active for as long as it may. */
  onDeadline(): void;
}

export class PodReport {
  /** What containers wait for, by name. */
  waiting: ReadonlyMap<string, Waiting> = new Map();
  /** Why the node ends the pod, or has not taken it. */
  failure: Eviction | undefined;
  readonly #options: ReportOptions;
  readonly #deadline: Deadline;
  #status: PodStatus | undefined;
  #isClosed = false;

  constructor(options: ReportOptions) {
    this.#options = options;
    this.#deadline = new Deadline(options.context.clock);
  }

  /** The newest known version of the pod, its status as this node sees it. */
  get pod(): Pod {
    const { pod } = this.#options.writer;
    return this.#status ? { ...pod, status: withOthersConditions(this.#status, pod.status) } : pod;
  }

  /** How long the pod has been active. */
  get activeMs(): number {
    return this.#deadline.activeMs(this.pod);
  }

  /** Tells it after a while, by when there may be more to tell. */
  soon(): void {
    const { alarms, context } = this.#options;
    alarms.setIn('publish', context.pace.delayMs, () => this.now());
  }

  /** Tells it; nothing of the pod runs any more when `isFinished`, with `failure` when that is why. */
  now(isFinished = false, failure?: Waiting): void {
    const { context, writer, alarms, probes, resize, facts } = this.#options;
    alarms.clear('publish');
    if (this.#isClosed) return;
    const { pod } = this;
    const { node, clock } = context;
    const status = statusOf({
      pod,
      ...facts(),
      waiting: this.waiting,
      hostIps: node.hostIps,
      nowMs: clock.now(),
      isReady: (id) => probes.isReady(id),
      isStarted: (id) => probes.isStarted(id),
      isTerminating: pod.metadata.deletionTimestamp !== undefined,
      isFinished,
      failure,
    });
    const sized = resize.status(status, pod);
    this.#status = this.failure ? withDisruption(sized, this.failure, clock.now()) : sized;
    writer.set(this.#status);
    this.#armDeadline(isFinished || pod.metadata.deletionTimestamp !== undefined);
  }

  /** Tells it, and resolves once it is written. */
  async last(failure?: Waiting): Promise<void> {
    this.now(true, failure);
    await this.#options.writer.flush();
  }

  close(): void {
    this.#isClosed = true;
  }

  #armDeadline(isEnding: boolean): void {
    const { alarms, onDeadline } = this.#options;
    const atMs = isEnding ? Number.POSITIVE_INFINITY : this.#deadline.atMs(this.pod);
    alarms.set('deadline', atMs, onDeadline);
  }
}
