/**
 * One pod's worker. Level-based: it is woken by any event about the pod (API, engine, references, probes, its own
 * timer), looks at everything, does what decide.ts says, writes the status, and sleeps. It never runs twice at once.
 */

import type { Pod } from '../../api/generated/types.ts';
import { Backoff } from '../../wait/backoff.ts';
import { refusalOf } from '../eviction/admission.ts';
import type { Eviction } from '../eviction/manager.ts';
import type { NodeContext } from '../node-context.ts';
import { PodProbes } from '../probes/pod-probes.ts';
import { PodResize } from '../resize/pod-resize.ts';
import { Alarms } from './alarms.ts';
import { decide, type Plan, type Waiting } from './decide.ts';
import { RunHints } from './hints.ts';
import { Notices } from './notices.ts';
import { PodEnd, type StopOptions } from './pod-end.ts';
import { PodReport } from './pod-report.ts';
import { PodStart } from './pod-start.ts';
import { readView } from './read-view.ts';
import { isOver, type PodView } from './records.ts';
import { referencesOf } from './references-of.ts';
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
  readonly #report: PodReport;
  readonly #notices: Notices;
  readonly #alarms: Alarms;
  readonly #retry = new Backoff(RETRY);
  /** Ends what a start waits for (pulls, references) once the pod is to end. */
  readonly #starting = new AbortController();
  readonly #uid: string;
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
    this.#writer = options.writer ?? new StatusWriter(pod, context);
    this.#hints = new RunHints(context.paths);
    this.#probes = new PodProbes({ context, onResult: () => this.wake() });
    this.#end = new PodEnd(context);
    this.#notices = new Notices(context.events);
    this.#start = new PodStart({ context, hints: this.#hints, end: this.#end });
    this.#report = new PodReport({
      context,
      writer: this.#writer,
      alarms: this.#alarms,
      probes: this.#probes,
      resize: this.resize,
      facts: () => this.#start.facts(this.#view()),
      onDeadline: () => this.#interrupt(),
    });
  }

  /** Has ended for good, and nothing is left to do. */
  get hasEnded(): boolean {
    return isOver(this.pod) && !this.#loop;
  }

  /** The newest known version of the pod, its status as this node sees it. */
  get pod(): Pod {
    return this.#report.pod;
  }

  update(pod: Pod): void {
    this.#writer.observe(pod);
    this.#start.observe(pod);
    if (pod.metadata.deletionTimestamp) {
      this.#starting.abort();
      this.#end.hurry(pod, this.#view());
    }
    this.wake();
  }

  /** The API has no such pod any more. */
  gone(): void {
    this.#isGone = true;
    this.#interrupt();
  }

  referenceChanged(): void {
    this.#start.referenceChanged();
    this.wake();
  }

  /** Ends the pod for good: it fails with this reason, and is not started again. */
  evict(eviction: Eviction): void {
    this.#report.failure ??= eviction;
    this.#interrupt();
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

  /** Looks again, without waiting for what a start under way waits for: a pull may take longer than the pod may. */
  #interrupt(): void {
    this.#starting.abort();
    this.wake();
  }

  #shut(): void {
    this.#isClosed = true;
    this.#report.close();
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
    if (!this.#isGone && !this.pod.metadata.deletionTimestamp) this.#report.now();
  }

  async #sync(): Promise<void> {
    const { pod } = this;
    if (this.#isGone) return this.#finishGone();
    if (pod.metadata.deletionTimestamp) return this.#terminate();
    if (isOver(pod)) return this.#release();
    this.#report.failure ??= refusalOf(this.#context, pod);
    if (this.#report.failure) {
      const { reason, message, graceSeconds } = this.#report.failure;
      return this.#finish({ reason, message }, { graceSeconds });
    }
    this.#context.references.use(this.#uid, referencesOf(pod));
    const resize = await this.resize.sync(pod);
    for (const one of resize.restarts) await this.#end.killOne(pod, { kind: 'kill', ...one });
    const given = this.resize.given(pod);
    const plan = this.#plan(given);
    this.#report.waiting = plan.waiting;
    if (plan.isFinished) return this.#complete(plan.failure);
    const hasWork = plan.needsSandbox || plan.actions.length > 0;
    if (hasWork) this.#report.soon();
    else this.#report.now();
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
      activeMs: this.#report.activeMs,
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
    await this.#report.last(failure);
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
    this.#report.soon();
    await this.#end.stopAll(this.pod, this.#view());
    this.#probes.close();
    await this.#report.last();
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
}
