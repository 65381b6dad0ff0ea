/**
 * Removes events an hour after their last change, as Kubernetes does. Age is told by revisions seen at earlier looks,
 * not by timestamps, so that a clock that is moved removes none early and keeps none for ever; a restart of the server
 * begins their hour anew.
 */

import { describe, type Logger } from '../log/log.ts';
import { type Clock, sleep } from '../wait/clock.ts';
import type { Registry } from './contract.ts';

/** Kubernetes' --event-ttl. */
const EVENT_TTL_MS = 60 * 60_000;
/** An event may live this much longer. */
const LOOK_MS = 5 * 60_000;

export interface CleanEventsOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

interface Mark {
  readonly atMs: number;
  readonly revision: number;
}

/** Runs until the signal aborts; never rejects. */
export async function cleanEvents(options: CleanEventsOptions): Promise<void> {
  const { clock, log, signal } = options;
  let marks: readonly Mark[] = [];
  while (!signal.aborted) {
    try {
      marks = await look(options, marks);
    } catch (error) {
      log.warn('Removing old events failed', { error: describe(error) });
    }
    await sleep(LOOK_MS, signal, clock).catch(() => undefined);
  }
}

/** Removes what has not changed since the newest mark that is old enough; resolves to the marks to keep. */
async function look(
  { registry, clock, signal }: CleanEventsOptions,
  before: readonly Mark[],
): Promise<readonly Mark[]> {
  const { items, metadata } = registry.list('events');
  const nowMs = clock.monotonic();
  const marks = [...before, { atMs: nowMs, revision: Number(metadata.resourceVersion) }];
  const old = marks.findLast(({ atMs }) => nowMs - atMs >= EVENT_TTL_MS);
  if (old === undefined) return marks;
  for (const event of items) {
    if (signal.aborted) break;
    if (Number(event.metadata.resourceVersion) > old.revision) continue;
    await registry.delete('events', event.metadata);
  }
  return marks.slice(marks.indexOf(old));
}
