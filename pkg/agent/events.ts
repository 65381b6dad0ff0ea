/**
 * Events about pods and the node as the kubelet writes them. The same event again raises its count. Writing never
 * fails the work it tells of: at most MAX_QUEUED wait, later ones are dropped.
 */

import type { Event } from '../api/generated/types.ts';
import type { ApiObject, Ref } from '../api/meta.ts';
import type { Client } from '../client/client.ts';
import type { Logger } from '../log/log.ts';
import type { Clock } from '../wait/clock.ts';

const MAX_QUEUED = 1000;
/** How many distinct events are remembered for counting. */
const MAX_KNOWN = 4096;
const NANOS_PER_MS = 1_000_000;

export interface EventDetails {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** The container it is about. */
  readonly container?: string;
  /** Default: containers. */
  readonly field?: 'initContainers' | 'containers' | 'ephemeralContainers';
}

interface RecorderOptions {
  readonly client: Client;
  readonly nodeName: string;
  readonly log: Logger;
  readonly clock: Clock;
}

export class NodeEvents {
  readonly #options: RecorderOptions;
  readonly #known = new Map<string, { readonly ref: Ref; readonly count: number }>();
  readonly #queue: {
    readonly object: ApiObject;
    readonly details: EventDetails;
    readonly atMs: number;
  }[] = [];
  #serial = 0;
  #isRunning = false;
  #isClosed = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  record(object: ApiObject, details: EventDetails): void {
    if (this.#isClosed || this.#queue.length >= MAX_QUEUED) return;
    this.#queue.push({ object, details, atMs: this.#options.clock.now() });
    if (!this.#isRunning) void this.#drain();
  }

  close(): void {
    this.#isClosed = true;
    this.#queue.length = 0;
  }

  async #drain(): Promise<void> {
    this.#isRunning = true;
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      try {
        await this.#write(next.object, next.details, next.atMs);
      } catch (error) {
        const { reason } = next.details;
        if (!this.#isClosed) this.#options.log.debug('Could not write an event', { reason, error });
      }
    }
    this.#isRunning = false;
  }

  async #write(object: ApiObject, details: EventDetails, atMs: number): Promise<void> {
    const key = JSON.stringify([object.metadata.uid, details]);
    const known = this.#known.get(key);
    const time = new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z');
    if (known) {
      const count = known.count + 1;
      const patch = { count, lastTimestamp: time };
      try {
        await this.#options.client.patch('events', known.ref, patch, { type: 'merge' });
        this.#known.set(key, { ref: known.ref, count });
        return;
      } catch {
        this.#known.delete(key); // It has expired there: write it anew.
      }
    }
    const event = this.#event(object, details, { atMs, time });
    await this.#options.client.create<Event>('events', event);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    const { namespace = '', name } = event.metadata;
    this.#known.set(key, { ref: { namespace, name }, count: 1 });
  }

  #event(
    object: ApiObject,
    details: EventDetails,
    { atMs, time }: { readonly atMs: number; readonly time: string },
  ) {
    const { metadata, kind, apiVersion } = object;
    const { nodeName } = this.#options;
    const { field = 'containers' } = details;
    const namespace = metadata.namespace ?? 'default';
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: this.#name(metadata.name, atMs), namespace },
      involvedObject: {
        kind,
        apiVersion,
        name: metadata.name,
        uid: metadata.uid,
        ...(metadata.namespace ? { namespace } : {}),
        ...(metadata.resourceVersion ? { resourceVersion: metadata.resourceVersion } : {}),
        ...(details.container ? { fieldPath: `spec.${field}{${details.container}}` } : {}),
      },
      reason: details.reason,
      message: details.message,
      type: details.type,
      source: { component: 'kubelet', host: nodeName },
      reportingComponent: 'kubelet',
      reportingInstance: nodeName,
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    } as const;
  }

  /** Unique on this node, and in order of time: that is how lists show those of the same second. */
  #name(about: string, atMs: number): string {
    this.#serial = (this.#serial + 1) % NANOS_PER_MS;
    return `${about}.${(BigInt(atMs) * BigInt(NANOS_PER_MS) + BigInt(this.#serial)).toString(16)}`;
  }
}
