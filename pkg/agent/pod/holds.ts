/**
 * Why the containers of one pod may not start yet: a start that failed is tried again after a growing delay, a
 * container that ended waits for its crash back-off.
 */

import type { Container, Pod } from '../../api/generated/types.ts';
import { Backoff } from '../../wait/backoff.ts';
import { type Clock, monotonicOf } from '../../wait/clock.ts';
import { CrashBackoff } from './crash-backoff.ts';
import type { Hold } from './decide.ts';
import { podText } from './labels.ts';
import type { ContainerRecord } from './records.ts';
import { ImagePullError, type StartError } from './start-error.ts';

const RETRY = { firstMs: 10_000, maxMs: 300_000 };
/** How long the failure itself is shown before the status says that the next try is put off. */
const SHOW_MS = 1000;

interface Block {
  readonly error: StartError;
  readonly sinceMs: number;
  readonly untilMs: number;
}

export class Holds {
  readonly #blocks = new Map<string, Block>();
  readonly #retries = new Map<string, Backoff>();
  readonly #crashes = new CrashBackoff();
  /** When the last run of each container ended, by the monotonic clock. */
  readonly #ends = new Map<string, End>();
  readonly #clock: Clock;
  /** What the pod's containers are made of besides other objects, as last seen. */
  #made = '';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** See Facts.hold in decide.ts. */
  get(pod: Pod, { name }: Container, last: ContainerRecord | undefined): Hold | undefined {
    const nowMs = this.#clock.monotonic();
    const block = this.#blocks.get(name);
    if (block && nowMs < block.untilMs) return holdOf(block, nowMs);
    if (!last?.ended) return undefined;
    const wait = this.#crashes.until(name, this.#endedMs(last));
    if (!wait || nowMs >= wait.atMs) return undefined;
    const delay = goDuration(wait.delayMs / 1000);
    const message = `back-off ${delay} restarting failed container=${name} pod=${podText(pod)}`;
    return { waiting: { reason: 'CrashLoopBackOff', message }, untilMs: wait.atMs };
  }

  /** A start did not come to a container. */
  failed(name: string, error: StartError): void {
    const nowMs = this.#clock.monotonic();
    const backoff = this.#retries.get(name) ?? new Backoff(RETRY);
    this.#retries.set(name, backoff);
    this.#blocks.set(name, { error, sinceMs: nowMs, untilMs: nowMs + backoff.next() });
  }

  /** A container's program could not be executed, or its postStart hook failed: shown for a moment, then it counts as a crash. */
  failedToRun(name: string, error: StartError): void {
    const nowMs = this.#clock.monotonic();
    this.#blocks.set(name, { error, sinceMs: nowMs, untilMs: nowMs + SHOW_MS });
  }

  started(name: string, attempt: number): void {
    this.#blocks.delete(name);
    this.#retries.delete(name);
    if (attempt > 0) this.#crashes.count(name, this.#clock.monotonic());
  }

  /** Takes note of the pod as it is now: when it has changed, what failed for what it said is worth another try. */
  observe({ metadata: { generation, labels, annotations } }: Pod): void {
    const made = JSON.stringify([generation, labels, annotations]);
    if (made !== this.#made) this.clearConfigErrors();
    this.#made = made;
  }

  /** Something that the pod refers to has changed: what failed for lack of it is worth another try. */
  clearConfigErrors(): void {
    for (const [name, { error }] of this.#blocks) {
      if (error instanceof ImagePullError) continue;
      this.#blocks.delete(name);
      this.#retries.delete(name);
    }
  }

  /** Asked for once a run: the wall clock may be moved while the container waits. */
  #endedMs({ id, name, ended }: ContainerRecord): number {
    const known = this.#ends.get(name);
    if (known?.id === id) return known.atMs;
    const atMs = monotonicOf(Date.parse(ended?.finishedAt ?? '') || 0, this.#clock);
    this.#ends.set(name, { id, atMs });
    return atMs;
  }
}

interface End {
  readonly id: string;
  readonly atMs: number;
}

function holdOf({ error, sinceMs, untilMs }: Block, nowMs: number): Hold {
  const shownUntil = Math.min(sinceMs + SHOW_MS, untilMs);
  if (nowMs < shownUntil) return { waiting: error.waiting, untilMs: shownUntil };
  return { waiting: error.backoff, untilMs };
}

/** As Go prints a duration: 10s, 1m20s, 5m0s. */
export function goDuration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}
