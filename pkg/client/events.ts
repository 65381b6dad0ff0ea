/**
 * Events about objects: what actors tell users of their work (`kubectl describe`, `kubectl get events`). The same
 * event about the same object is written once and then only counted. Losing one harms nobody: writing never blocks
 * nor fails the work that it tells of.
 */

import { isReason } from '../api/errors.ts';
import type { ApiObject, Draft } from '../api/meta.ts';
import { describe, type Logger } from '../log/log.ts';
import { type Clock, systemClock } from '../wait/clock.ts';
import type { Client } from './client.ts';

/** Writes core/v1 Events about an object; the same event again raises its count. Never throws. */
export interface EventRecorder {
  normal(object: ApiObject, reason: string, message: string): void;
  warning(object: ApiObject, reason: string, message: string): void;
}

export interface EventRecorderOptions {
  readonly client: Client;
  readonly log: Logger;
  /** Who tells, e.g. 'deployment-controller'. */
  readonly component: string;
  /** The node it runs on, for node agents. */
  readonly host?: string;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

/** Events that are known for counting; the least recently used is forgotten. */
const KNOWN_MAX = 4096;
/** Events being written at once; more are dropped. */
const PENDING_MAX = 1000;
/** As Kubernetes limits messages. */
const MESSAGE_MAX = 1024;

interface Event extends ApiObject {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  readonly [field: string]: unknown;
}

interface Known {
  readonly draft: Draft<Event>;
  /** What the server holds, once it is written. */
  written: Event | undefined;
  count: number;
  isWriting: boolean;
}

/** Makes the recorder of one component. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const recorder = new Recorder(options);
  return {
    normal: (object, reason, message) =>
      recorder.record(object, { type: 'Normal', reason, message }),
    warning: (object, reason, message) =>
      recorder.record(object, { type: 'Warning', reason, message }),
  };
}

interface Told {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

class Recorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();
  #pending = 0;
  #serial = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  record(object: ApiObject, told: Told): void {
    const message = told.message.slice(0, MESSAGE_MAX);
    const key = [
      object.metadata.uid,
      object.kind,
      object.metadata.name,
      told.type,
      told.reason,
      message,
    ].join('\0');
    const known = this.#known.get(key) ?? {
      draft: this.#draft(object, { ...told, message }),
      written: undefined,
      count: 0,
      isWriting: false,
    };
    this.#known.delete(key);
    this.#known.set(key, known);
    this.#trim();
    known.count += 1;
    if (!known.isWriting) void this.#write(known);
  }

  #trim(): void {
    if (this.#known.size <= KNOWN_MAX) return;
    const oldest = this.#known.keys().next();
    if (!oldest.done) this.#known.delete(oldest.value);
  }

  async #write(known: Known): Promise<void> {
    if (this.#pending >= PENDING_MAX) return;
    this.#pending += 1;
    known.isWriting = true;
    try {
      let done = 0;
      while (done < known.count) {
        done = known.count;
        known.written = await this.#send(known);
      }
    } catch (error) {
      const { log } = this.#options;
      log.debug('Dropped an event', { reason: known.draft['reason'], error: describe(error) });
    } finally {
      known.isWriting = false;
      this.#pending -= 1;
    }
  }

  async #send(known: Known): Promise<Event> {
    const { client, signal } = this.#options;
    if (known.written) {
      const change = { count: known.count, lastTimestamp: this.#timestamp() };
      try {
        const { metadata } = known.written;
        return await client.patch<Event>('events', metadata, change, { type: 'merge' }, signal);
      } catch (error) {
        // It lived its hour; the next one is a new event.
        if (!isReason(error, 'NotFound')) throw error;
      }
    }
    const lastTimestamp = this.#timestamp();
    const metadata = { ...known.draft.metadata, name: this.#name(String(known.draft['about'])) };
    const { about: _, ...draft } = known.draft;
    return client.create<Event>(
      'events',
      { ...draft, metadata, count: known.count, lastTimestamp } as Draft<Event>,
      signal,
    );
  }

  #draft(object: ApiObject, told: Told): Draft<Event> {
    const { component, host } = this.#options;
    const { name, namespace, uid, resourceVersion } = object.metadata;
    return {
      apiVersion: 'v1',
      kind: 'Event',
      about: name,
      // Events of cluster-scoped objects live in "default", as Kubernetes has it.
      metadata: { namespace: namespace ?? 'default' },
      involvedObject: {
        apiVersion: object.apiVersion,
        kind: object.kind,
        name,
        uid,
        resourceVersion,
        ...(namespace ? { namespace } : {}),
      },
      ...told,
      source: { component, ...(host ? { host } : {}) },
      firstTimestamp: this.#timestamp(),
      count: 0,
      reportingComponent: component,
      reportingInstance: host ?? '',
    };
  }

  /** Unique among the events of this process: time in nanoseconds as Kubernetes writes it, and a serial number. */
  #name(about: string): string {
    this.#serial += 1;
    const nanos = BigInt(this.#clock.now()) * 1_000_000n + BigInt(this.#serial % 1_000_000);
    return `${about.slice(0, 230)}.${nanos.toString(16)}`;
  }

  #timestamp(): string {
    return new Date(this.#clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}
