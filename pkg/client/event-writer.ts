/**
 * Writes core/v1 Events. Recording never blocks nor fails the work that is told of: events wait in a bounded queue,
 * and while the API does not answer they are tried again. One that is told again before it is written, or after, is
 * counted.
 */

import { isReason, StatusError } from '../api/errors.ts';
import type { ApiObject, Draft, Ref } from '../api/meta.ts';
import { describe, type Logger } from '../log/log.ts';
import { Backoff } from '../wait/backoff.ts';
import { type Clock, sleep } from '../wait/clock.ts';
import type { Client } from './client.ts';
import { EventCorrelator } from './event-correlator.ts';
import { Recent } from './recent.ts';

/** Distinct events that may wait; later ones are dropped. */
const QUEUED_MAX = 1000;
/** Events that are known for counting. */
const KNOWN_MAX = 4096;
const WRITES_AT_ONCE = 8;
/** One that could not be written for this long is dropped: a written one would be gone by now, too. */
const KEPT_MS = 3_600_000;
const RETRY = { firstMs: 500, maxMs: 10_000, jitter: 0.5 };
const ABOUT_MAX = 230;
const NANOS_PER_MS = 1_000_000;
/** What a server says that cannot answer now. Anything else it says about the event itself. */
const AWAY = ['ServiceUnavailable', 'Timeout', 'ServerTimeout', 'TooManyRequests'] as const;

export interface EventWriterOptions {
  readonly client: Client;
  readonly log: Logger;
  /** Who tells, e.g. 'kubelet'. */
  readonly component: string;
  /** The node it runs on, for node agents. */
  readonly host?: string;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

export interface EventText {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** The part of the object that it is about. */
  readonly fieldPath?: string;
}

interface Known {
  /** Without count, message and lastTimestamp. */
  readonly draft: Draft<ApiObject>;
  readonly ref: Ref;
  message: string;
  count: number;
  /** When it was last told. */
  time: string;
  lastMs: number;
  isQueued: boolean;
  /** A try to create it may have reached the server. */
  isTried: boolean;
  isWritten: boolean;
}

export class EventWriter {
  readonly #options: EventWriterOptions;
  readonly #correlator: EventCorrelator;
  readonly #known = new Recent<Known>(KNOWN_MAX);
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;
  #queue: Known[] = [];
  #isDraining = false;
  /** Recorders of different components name events about one object in the same millisecond. */
  #serial = Math.floor((Math.random() * NANOS_PER_MS) / 2);

  constructor(options: EventWriterOptions) {
    this.#options = options;
    this.#correlator = new EventCorrelator(options.clock);
    const { signal } = this.#closing;
    this.#signal = options.signal ? AbortSignal.any([options.signal, signal]) : signal;
  }

  /** Never throws. */
  record(object: ApiObject, text: EventText): void {
    if (this.#signal.aborted) return;
    const { kind, apiVersion, metadata } = object;
    const source = JSON.stringify([
      apiVersion,
      kind,
      metadata.namespace,
      metadata.name,
      metadata.uid,
    ]);
    const { key, message } = this.#correlator.sameness({ ...text, object: source });
    const known = this.#known.use(key, () => this.#first(object, text));
    const { clock } = this.#options;
    known.count += 1;
    known.message = message;
    known.time = timestamp(clock.now());
    known.lastMs = clock.monotonic();
    if (this.#correlator.allows(source)) this.#enqueue(known);
  }

  /** Drops what waits. */
  close(): void {
    this.#closing.abort();
    this.#queue = [];
  }

  #enqueue(known: Known): void {
    if (known.isQueued) return;
    if (this.#queue.length >= QUEUED_MAX) {
      this.#drop(known, `${QUEUED_MAX} others wait`);
      return;
    }
    known.isQueued = true;
    this.#queue.push(known);
    if (!this.#isDraining) void this.#drain();
  }

  #drop({ draft }: Known, error: string): void {
    const { reason } = draft as { readonly reason?: string };
    if (!this.#signal.aborted) this.#options.log.debug('Dropped an event', { reason, error });
  }

  /** Never rejects. */
  async #drain(): Promise<void> {
    this.#isDraining = true;
    const backoff = new Backoff(RETRY);
    while (this.#queue.length > 0 && !this.#signal.aborted) {
      const batch = this.#queue.splice(0, WRITES_AT_ONCE);
      const left = (await Promise.all(batch.map((known) => this.#try(known)))).flat();
      if (left.length === 0) {
        backoff.reset();
        continue;
      }
      this.#queue.unshift(...left);
      await sleep(backoff.next(), this.#signal, this.#options.clock).catch(() => undefined);
    }
    this.#isDraining = false;
  }

  /** Empty once it is written or dropped, or waits again; else what to try again. */
  async #try(known: Known): Promise<readonly Known[]> {
    known.isQueued = false; // Told again from here on, it is to be written again.
    try {
      await this.#write(known);
      return [];
    } catch (error) {
      const isOld = this.#options.clock.monotonic() - known.lastMs > KEPT_MS;
      if (isOld || !isAway(error)) {
        this.#drop(known, describe(error));
        return [];
      }
      if (known.isQueued) return [];
      known.isQueued = true;
      return [known];
    }
  }

  async #write(known: Known): Promise<void> {
    const { client } = this.#options;
    const { draft, ref, count, message, time } = known;
    const latest = { count, message, lastTimestamp: time };
    if (known.isWritten) {
      try {
        await client.patch('events', ref, latest, { type: 'merge' }, this.#signal);
        return;
      } catch (error) {
        // It lived its hour: it is written anew.
        if (!isReason(error, 'NotFound')) throw error;
        known.isWritten = false;
        known.isTried = false;
      }
    }
    const wasTried = known.isTried;
    known.isTried = true;
    await client.create('events', { ...draft, ...latest }, this.#signal).catch((error) => {
      // An earlier try arrived, though its answer did not.
      if (!wasTried || !isReason(error, 'AlreadyExists')) throw error;
    });
    known.isWritten = true;
  }

  #first(object: ApiObject, { type, reason, fieldPath }: EventText): Known {
    const { component, host, clock } = this.#options;
    const { apiVersion, kind, metadata } = object;
    const { name, namespace, uid, resourceVersion } = metadata;
    const now = clock.now();
    // Events of cluster-scoped objects live in "default", as Kubernetes has it.
    const ref = { namespace: namespace ?? 'default', name: this.#name(name, now) };
    const involvedObject = {
      ...{ apiVersion, kind, name, uid },
      ...(resourceVersion ? { resourceVersion } : {}),
      ...(namespace ? { namespace } : {}),
      ...(fieldPath ? { fieldPath } : {}),
    };
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: ref,
      ...{ involvedObject, type, reason },
      source: { component, ...(host ? { host } : {}) },
      firstTimestamp: timestamp(now),
      reportingComponent: component,
      reportingInstance: host ?? '',
    };
    const draft: Draft<ApiObject> = event;
    return {
      ...{ draft, ref, message: '', count: 0, time: '', lastMs: 0 },
      ...{ isQueued: false, isTried: false, isWritten: false },
    };
  }

  /** Unique, and in order of time: that is how lists show those of the same second. */
  #name(about: string, nowMs: number): string {
    this.#serial = (this.#serial + 1) % NANOS_PER_MS;
    const nanos = BigInt(Math.floor(nowMs)) * BigInt(NANOS_PER_MS) + BigInt(this.#serial);
    return `${about.slice(0, ABOUT_MAX)}.${nanos.toString(16)}`;
  }
}

/** Whether the API may take it later. */
function isAway(error: unknown): boolean {
  return !(error instanceof StatusError) || AWAY.some((reason) => isReason(error, reason));
}

function timestamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
