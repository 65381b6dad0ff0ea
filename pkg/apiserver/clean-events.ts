/**
 * Removes events an hour after their last change, as Kubernetes does, and the oldest of too many, as all are in memory.
 * Age is told by revisions seen at earlier looks, not by timestamps, so that a clock that is moved removes none early
 * and keeps none for ever; a restart of the server begins their hour anew.
 */

import { setImmediate } from 'node:timers/promises';
import { describe, type Logger } from '../log/log.ts';
import type { Backend, KeyValue } from '../store/backend.ts';
import { type Clock, sleep } from '../wait/clock.ts';
import type { Registry } from './contract.ts';
import { prefixFor, rowOf } from './storage.ts';

/** Kubernetes' --event-ttl. */
const EVENT_TTL_MS = 60 * 60_000;
/** Events that may be older than a look; each takes about 2 KB of memory. */
const EVENTS_MAX = 20_000;
/** An event may live this much longer. */
const LOOK_MS = 60_000;

export interface CleanEventsOptions {
  readonly store: Backend;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Events looked at in one turn of the event loop. */
const TURN_MAX = 256;
const EVENTS = 'events';
const PREFIX = prefixFor(rowOf(EVENTS));

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
  options: CleanEventsOptions,
  before: readonly Mark[],
): Promise<readonly Mark[]> {
  const { store, clock } = options;
  const { items, revision } = store.list(PREFIX);
  const nowMs = clock.monotonic();
  const marks = [...before, { atMs: nowMs, revision }];
  const old = marks.findLast(({ atMs }) => nowMs - atMs >= EVENT_TTL_MS);
  const oldest = items.map((item) => item.revision).sort((a, b) => a - b);
  const tooMany = oldest[items.length - EVENTS_MAX - 1] ?? 0;
  await removeUpTo(Math.max(old?.revision ?? 0, tooMany), items, options);
  return old ? marks.slice(marks.indexOf(old)) : marks;
}

async function removeUpTo(
  revision: number,
  items: readonly KeyValue[],
  { store, registry, signal }: CleanEventsOptions,
): Promise<void> {
  for (const [index, item] of items.entries()) {
    if (index % TURN_MAX === TURN_MAX - 1) await setImmediate();
    if (signal.aborted) return;
    if (item.revision > revision) continue;
    // It may have changed while others were removed.
    if (store.get(item.key)?.revision !== item.revision) continue;
    const [namespace = '', name = ''] = item.key.slice(PREFIX.length).split('/');
    await registry.delete(EVENTS, { namespace, name });
  }
}
