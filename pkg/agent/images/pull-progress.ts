/** Tells how far a long pull is: first after PROGRESS_FIRST_MS, then each time after twice as long, so that a pull of an hour is some nine events. */

import type { PullOptions } from '../../image/image-store.ts';
import type { Clock } from '../../wait/clock.ts';
import type { EventDetails } from '../events.ts';

const PROGRESS_FIRST_MS = 15_000;
const MB = 1_000_000;

type Progress = Parameters<NonNullable<PullOptions['onProgress']>>[0];

/** `update` takes what the image store says; `end` stops the telling. */
export function followPull(about: {
  readonly image: string;
  readonly clock: Clock;
  record(details: Pick<EventDetails, 'type' | 'reason' | 'message'>): void;
}): { update(progress: Progress): void; end(): void } {
  const { image, clock, record } = about;
  const layers = new Map<string, Progress>();
  let waitMs = PROGRESS_FIRST_MS;
  let cancel = clock.after(waitMs, tell);
  function tell(): void {
    const known = [...layers.values()];
    const sum = (of: (progress: Progress) => number) =>
      (known.reduce((total, one) => total + of(one), 0) / MB).toFixed(1);
    const done = sum(({ doneBytes }) => doneBytes);
    const message = `Still pulling image "${image}": ${done} of ${sum(({ totalBytes }) => totalBytes)} MB`;
    record({ type: 'Normal', reason: 'Pulling', message });
    waitMs *= 2;
    cancel = clock.after(waitMs, tell);
  }
  return {
    update: (progress) => void layers.set(progress.layer, progress),
    end: () => cancel(),
  };
}
