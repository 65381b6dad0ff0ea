/**
 * One pod's worker. Level-based: it is woken by any event about the pod (API, engine, references, probes, its own
 * timer), looks at everything, does what decide.ts says, writes the status, and sleeps. It never runs twice at once.
 */

import type { Pod, PodStatus } from '../../api/generated/types.ts';
import { Backoff } from '../../wait/backoff.ts';
import { refusalOf, withDisruption } from '../eviction/admission.ts';
import type { Eviction } from '../eviction/manager.ts';
import type { NodeContext } from '../node-context.ts';
import { PodProbes } from '../probes/pod-probes.ts';
import { PodResize } from '../resize/pod-resize.ts';
import { Alarms } from './alarms.ts';
import { withOthersConditions } from './conditions.ts';
import { Deadline } from './deadline.ts';
import { decide, type Plan, type Waiting } from './decide.ts';
import { RunHints } from './hints.ts';
import { Notices } from './notices.ts';
import { PodEnd, type StopOptions } from './pod-end.ts';
import { PodStart } from './pod-start.ts';
import { readView } from './read-view.ts';
import { isOver, type PodView } from './records.ts';
import { referencesOf } from './references-of.ts';
import { statusOf } from './status.ts';
import { type PodWriter, StatusWriter } from './status-writer.ts';
import { tellSyncError } from './sync-error.ts';

const RETRY = { firstMs: 500, maxMs: 60_000, jitter: 0.2 };

export interface WorkerOptions {
  readonly context: NodeContext;
  /** Default: one that writes to the pod itself. */
  readonly writer?: PodWriter;
  /** Called once, when the pod is gone from the API and from the node. */
  onDone(): void;
}

export class PodWorker {
  readonly resize: PodResize;
  isReleased = false;
  readonly #context: NodeContext;
  readonly #options: WorkerOptions;
  readonly #writer: PodWriter;
  readonly #hints: RunHints;
  readonly #probes: PodProbes;
  readonly #start: PodStart;
  readonly #end: PodEnd;
  readonly #notices: Notices;
  readonly #alarms: Alarms;
  readonly #deadline: Deadline;
  readonly #retry = new Backoff(RETRY);
  /** Ends what a start waits for (pulls, references) once the pod is to end. */
  readonly #starting = new AbortController();
  readonly #uid: string;
  #status: PodStatus | undefined;
  #waiting: ReadonlyMap<string, Waiting> = new Map();
  /** Why the node ends it, or has not taken it. */
  #failure: Eviction | undefined;
  #isDirty = false;
  #isGone = false;
  #isForgotten = false;
  #isClosed = false;
  #loop: Promise<void> | undefined;

  constructor(pod: Pod, options: WorkerOptions) {
    const { context } = options;
    this.#options = options;
    this.#context = context;
    this.#uid = pod.metadata.uid;
    this.resize = new PodResize(context, this.#uid, () => this.#view());
    this.#alarms = new Alarms(context.clock);
    this.#deadline = new Deadline(context.clock);
    this.#writer = options.writer ?? new StatusWriter(pod, context);
    this.#hints = new RunHints(context.paths);
    this.#probes = new PodProbes({ context, onResult: () => this.wake() });
    this.#end = new PodEnd(context);
    this.#notices = new Notices(context.events);
    this.#start = new PodStart({ context, hints: this.#hints, end: this.#end });
  }

  /** Has ended for good, and nothing is left to do. */
  get hasEnded(): boolean {
    return isOver(this.pod) && !this.#loop;
  }

  /** The newest known version of the pod, its status as this node sees it. */
  get pod(): Pod {
    const { pod } = this.#writer;
    return this.#status ? { ...pod, status: withOthersConditions(this.#status, pod.status) } : pod;
  }

  update(pod: Pod): void {
    this.#writer.observe(pod);
    if (pod.metadata.deletionTimestamp) {
      this.#starting.abort();
      this.#end.hurry(pod, this.#view());
    }
    this.wake();
  }

  /** The API has no such pod any more. */
  gone(): void {
    this.#isGone = true;
    this.#starting.abort();
    this.wake();
  }

  referenceChanged(): void {
    this.#start.referenceChanged();
    this.wake();
  }

  /** Ends the pod for good: it fails with this reason, and is not started again. */
  evict(eviction: Eviction): void {
    this.#failure ??= eviction;
    this.#starting.abort();
    this.wake();
  }

  /** The pod with what the node gave it. */
  get given(): Pod {
    return this.resize.given(this.pod);
  }

  wake(): void {
    this.#isDirty = true;
    if (!this.#isClosed) this.#loop ??= this.#run();
  }

  /** Stops looking after the pod; its containers go on. */
  async close(): Promise<void> {
    this.#shut();
    this.#starting.abort();
    this.#end.close();
    this.#writer.close();
    await this.#loop;
  }

  #shut(): void {
    this.#isClosed = true;
    this.#alarms.close();
    this.#probes.close();
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // Events of one turn of the event loop are one run.
    this.#context.pace.begin();
    while (this.#isDirty && !this.#isClosed) {
      this.#isDirty = false;
      this.#alarms.clear('wake');
      try {
        await this.#sync();
        this.#retry.reset();
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#loop = undefined;
    this.#context.pace.end();
  }

  #onError(error: unknown): void {
    if (this.#isClosed) return;
    this.#alarms.setIn('wake', this.#retry.next(), () => this.wake());
    if (this.#starting.signal.aborted && error === this.#starting.signal.reason) return;
    tellSyncError(this.#context, this.pod, error);
    if (!this.#isGone && !this.pod.metadata.deletionTimestamp) this.#publish(false);
  }

  async #sync(): Promise<void> {
    const { pod } = this;
    if (this.#isGone) return this.#finishGone();
    if (pod.metadata.deletionTimestamp) return this.#terminate();
    if (isOver(pod)) return this.#release();
    this.#failure ??= refusalOf(this.#context, pod);
    if (this.#failure) {
      const { reason, message, graceSeconds } = this.#failure;
      return this.#finish({ reason, message }, { graceSeconds });
    }
    this.#context.references.use(this.#uid, referencesOf(pod));
    const resize = await this.resize.sync(pod);
    for (const one of resize.restarts) await this.#end.killOne(pod, { kind: 'kill', ...one });
    const given = this.resize.given(pod);
    const plan = this.#plan(given);
    this.#waiting = plan.waiting;
    if (plan.isFinished) return this.#complete(plan.failure);
    const hasWork = plan.needsSandbox || plan.actions.length > 0;
    if (hasWork) this.#publishSoon();
    else this.#publish(false);
    await this.#start.perform({ pod: given, view: this.#view() }, plan, this.#starting.signal);
    if (hasWork) this.#isDirty = true;
    const times = [plan.wakeAtMs, resize.retryAtMs, this.#context.volumes.refreshAtMs(this.#uid)];
    this.#alarms.setFirst('wake', times, () => this.wake());
  }

  #plan(pod: Pod): Plan {
    const view = this.#view();
    this.#probes.update(pod, view);
    const refusal = this.#notices.check(pod);
    return decide({
      pod,
      view,
      activeMs: this.#deadline.activeMs(pod),
      ...(refusal === undefined ? {} : { refusal }),
      hold: (container, last) => this.#start.hold(pod, container, last),
      unhealthy: (id) => this.#probes.unhealthy(id),
      isStarted: (id) => this.#probes.isStarted(id),
    });
  }

  /** All has ended by itself, or its time is over: what still runs (sidecars) is stopped. */
  async #complete(failure: Waiting | undefined): Promise<void> {
    if (failure) this.#context.events.record(this.pod, { type: 'Normal', message: '', ...failure });
    await this.#finish(failure);
  }

  async #finish(failure: Waiting | undefined, options?: StopOptions): Promise<void> {
    await this.#end.stopAll(this.pod, this.#view(), options);
    this.#probes.close();
    this.#publish(true, failure);
    await this.#writer.flush();
    await this.#release();
  }

  /** The pod's phase is final: nothing of it stays but its logs. */
  async #release(): Promise<void> {
    if (this.isReleased) return;
    this.#context.admission.release(this.#uid);
    this.#context.references.use(this.#uid, []);
    if (this.#view().sandbox) {
      await this.#end.stopAll(this.pod, this.#view());
      await this.#end.removeSandbox(this.pod);
    }
    await this.#context.volumes.release(this.#uid);
    this.isReleased = true;
  }

  /** Deletion: stop, write how it ended, give everything back, then let the API forget the pod. */
  async #terminate(): Promise<void> {
    if (this.#isForgotten) return;
    this.#probes.endLiveness();
    this.#publishSoon();
    await this.#end.stopAll(this.pod, this.#view());
    this.#probes.close();
    this.#publish(true);
    await this.#writer.flush();
    await this.#release();
    const { namespace = '', name, uid } = this.pod.metadata;
    const now = { gracePeriodSeconds: 0, preconditions: { uid } };
    await this.#context.client.remove('pods', { namespace, name }, now);
    this.#isForgotten = true;
  }

  async #finishGone(): Promise<void> {
    this.#writer.close();
    await this.#end.stopAll(this.pod, this.#view(), { isGone: true });
    this.#context.references.use(this.#uid, []);
    await this.#end.removeAll(this.pod);
    this.#shut();
    this.#options.onDone();
  }

  #view(): PodView {
    return readView(this.#context.engine, this.#writer.pod, this.#hints);
  }

  #publishSoon(): void {
    this.#alarms.setIn('publish', this.#context.pace.delayMs, () => this.#publish(false));
  }

  #publish(isFinished: boolean, failure?: Waiting): void {
    this.#alarms.clear('publish');
    if (this.#isClosed) return;
    const { pod } = this;
    const { node, clock } = this.#context;
    const status = statusOf({
      pod,
      view: this.#view(),
      waiting: this.#waiting,
      hostIps: node.hostIps,
      nowMs: clock.now(),
      isReady: (id) => this.#probes.isReady(id),
      isStarted: (id) => this.#probes.isStarted(id),
      isTerminating: pod.metadata.deletionTimestamp !== undefined,
      isFinished,
      failure,
    });
    const sized = this.resize.status(status, pod);
    this.#status = this.#failure ? withDisruption(sized, this.#failure, clock.now()) : sized;
    this.#writer.set(this.#status);
    this.#armDeadline(isFinished || pod.metadata.deletionTimestamp !== undefined);
  }

  /** Ends a start under way, too: a pull may take longer than the pod may. */
  #armDeadline(isEnding: boolean): void {
    const atMs = isEnding ? Number.POSITIVE_INFINITY : this.#deadline.atMs(this.pod);
    this.#alarms.set('deadline', atMs, () => {
      this.#starting.abort();
      this.wake();
    });
  }
}
