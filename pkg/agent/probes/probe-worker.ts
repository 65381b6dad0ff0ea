/** Runs one probe of one container on its schedule and keeps its verdict, with thresholds as Kubernetes counts them. */

import type { Probe } from '../../api/generated/types.ts';
import type { Clock } from '../../wait/clock.ts';
import type { CheckResult } from './target.ts';

export interface ProbeWorkerOptions {
  readonly probe: Probe;
  readonly clock: Clock;
  /** By the monotonic clock. */
  readonly startedAtMs: number;
  /** The verdict before the first one is in. */
  readonly initial: boolean | undefined;
  check(probe: Probe, timeoutMs: number): Promise<CheckResult>;
  /** Called after each failed check with its message, and whether the threshold is reached. */
  onFailure(message: string): void;
  /** Called after each check that could not be made; it counts for nothing. */
  onError(message: string): void;
  onWarning(message: string): void;
  /** Called when the verdict changes. */
  onVerdict(): void;
  /** The verdict "failed" is the last one: the container is to be ended. */
  readonly isFinal?: boolean;
}

const DEFAULT_PERIOD_SECONDS = 10;
const DEFAULT_FAILURES = 3;

export class ProbeWorker {
  readonly #options: ProbeWorkerOptions;
  #verdict: boolean | undefined;
  #last: boolean | undefined;
  #streak = 0;
  #isClosed = false;
  #cancel: () => void;

  constructor(options: ProbeWorkerOptions) {
    const { probe, clock, startedAtMs } = options;
    this.#options = options;
    this.#verdict = options.initial;
    const firstAtMs = startedAtMs + (probe.initialDelaySeconds ?? 0) * 1000;
    this.#cancel = clock.after(Math.max(firstAtMs - clock.monotonic(), 0), () => void this.#run());
  }

  /** True = passes, false = failed failureThreshold times in a row, undefined = not known yet. */
  get verdict(): boolean | undefined {
    return this.#verdict;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  async #run(): Promise<void> {
    const { probe, clock, check } = this.#options;
    const result = await check(probe, (probe.timeoutSeconds ?? 1) * 1000);
    if (this.#isClosed) return;
    const { isOk, isUnknown, message, warning } = result;
    if (isUnknown) this.#options.onError(message);
    else if (!isOk) this.#options.onFailure(message);
    if (warning !== undefined) this.#options.onWarning(warning);
    if (!isUnknown) this.#count(isOk);
    if (this.#options.isFinal && this.#verdict === false) return;
    const periodMs = (probe.periodSeconds ?? DEFAULT_PERIOD_SECONDS) * 1000;
    if (!this.#isClosed) this.#cancel = clock.after(periodMs, () => void this.#run());
  }

  #count(isOk: boolean): void {
    const { probe, onVerdict } = this.#options;
    this.#streak = this.#last === isOk ? this.#streak + 1 : 1;
    this.#last = isOk;
    const needed = isOk
      ? (probe.successThreshold ?? 1)
      : (probe.failureThreshold ?? DEFAULT_FAILURES);
    if (this.#streak < needed || this.#verdict === isOk) return;
    this.#verdict = isOk;
    onVerdict();
  }
}
