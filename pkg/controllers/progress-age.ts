/**
 * How long ago Deployments last progressed: by the monotonic clock from the first sight of the time that their condition
 * notes, so that a clock that is moved by hours ends no deadline.
 */

import type { Deployment, DeploymentCondition } from '../api/generated/types.ts';
import type { Context } from './controller.ts';

/** Of more Deployments than this, those seen first are seen anew. */
const REMEMBERED_MAX = 10_000;

interface Seen {
  readonly noted: string;
  /** When that was, by the monotonic clock, in milliseconds. */
  readonly sinceMs: number;
}

export class ProgressAges {
  readonly #seen = new Map<string, Seen>();

  /** The time that a deadline is judged by: what the wall clock would say, had nobody moved it. */
  now(
    { metadata }: Deployment,
    progressing: DeploymentCondition | undefined,
    clock: Pick<Context, 'now' | 'monotonic'>,
  ): number {
    const { uid = '' } = metadata;
    const noted = progressing?.lastUpdateTime ?? metadata.creationTimestamp;
    const notedMs = Date.parse(noted);
    let seen = this.#seen.get(uid);
    if (seen?.noted !== noted) {
      seen = { noted, sinceMs: clock.monotonic() - Math.max(0, clock.now() - notedMs) };
      this.#seen.delete(uid);
      this.#seen.set(uid, seen);
      const [first] = this.#seen.keys();
      if (this.#seen.size > REMEMBERED_MAX && first !== undefined) this.#seen.delete(first);
    }
    return notedMs + clock.monotonic() - seen.sinceMs;
  }
}
