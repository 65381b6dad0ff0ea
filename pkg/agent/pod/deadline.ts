/** A pod's activeDeadlineSeconds: counted by the monotonic clock from the noted start on. */

import type { Pod } from '../../api/generated/types.ts';
import { type Clock, monotonicOf } from '../../wait/clock.ts';

export class Deadline {
  readonly #clock: Clock;
  #start: { readonly noted: string; readonly atMs: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** When it ends the pod, by the monotonic clock; Infinity = never. */
  atMs(pod: Pod): number {
    return this.#startedMs(pod) + activeMaxMs(pod);
  }

  /** How long the pod has been active. */
  activeMs(pod: Pod): number {
    return this.#clock.monotonic() - this.#startedMs(pod);
  }

  #startedMs({ status }: Pod): number {
    const noted = status?.startTime;
    if (noted === undefined) return this.#clock.monotonic();
    if (this.#start?.noted !== noted)
      this.#start = { noted, atMs: monotonicOf(Date.parse(noted), this.#clock) };
    return this.#start.atMs;
  }
}

/** The longest that the pod may be active. */
export function activeMaxMs({ spec }: Pod): number {
  return (spec.activeDeadlineSeconds ?? Number.POSITIVE_INFINITY) * 1000;
}
