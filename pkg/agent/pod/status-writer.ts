/**
 * Writes pod statuses to the API: one write at a time for each pod, only the newest, again after an error. Built on
 * the newest version of the pod that was seen, so that a write never undoes another's.
 */

import { isDeepStrictEqual } from 'node:util';
import { isReason } from '../../api/errors.ts';
import type { Pod, PodStatus } from '../../api/generated/types.ts';
import type { Client } from '../../client/client.ts';
import type { Logger } from '../../log/log.ts';
import { Backoff } from '../../wait/backoff.ts';
import { type Clock, sleep } from '../../wait/clock.ts';
import { isOwn } from './conditions.ts';

const RETRY = { firstMs: 50, maxMs: 10_000, jitter: 0.5 };

export interface WriterOptions {
  readonly client: Client;
  readonly log: Logger;
  readonly clock: Clock;
}

/** Where a pod's worker leaves its status, and has the pod from. */
export interface PodWriter {
  /** The newest known version of the pod; statuses are built on this one. */
  readonly pod: Pod;
  /** Takes in a newer version. */
  observe(pod: Pod): void;
  set(status: PodStatus): void;
  /** Resolves once the last status that was set is written, or the pod is gone, or the writer is closed. */
  flush(): Promise<void>;
  close(): void;
}

/** The status of one pod on its way to the API. */
export class StatusWriter implements PodWriter {
  readonly #options: WriterOptions;
  readonly #controller = new AbortController();
  #base: Pod;
  #wanted: PodStatus | undefined;
  #isGone = false;
  #running: Promise<void> | undefined;

  constructor(pod: Pod, options: WriterOptions) {
    this.#base = pod;
    this.#options = options;
  }

  /** The newest known version of the pod; statuses are built on this one. */
  get pod(): Pod {
    return this.#base;
  }

  /** Takes in a version that the watch brought. */
  observe(pod: Pod): void {
    if (!isOlder(pod, this.#base)) this.#base = pod;
  }

  set(status: PodStatus): void {
    if (isDeepStrictEqual(status, this.#base.status) && !this.#running) return;
    this.#wanted = status;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves once the last status that was set is written, or the pod is gone, or the writer is closed. */
  async flush(): Promise<void> {
    await this.#running;
  }

  close(): void {
    this.#controller.abort();
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(RETRY);
    const { signal } = this.#controller;
    while (this.#wanted && !this.#isGone && !signal.aborted) {
      const status = this.#wanted;
      try {
        await this.#write(status, signal);
        if (this.#wanted === status) this.#wanted = undefined;
        backoff.reset();
      } catch (error) {
        if (signal.aborted || this.#isGone) return;
        this.#options.log.debug('Could not write a pod status', {
          pod: this.#base.metadata.name,
          error,
        });
        await sleep(backoff.next(), signal, this.#options.clock).catch(() => undefined);
      }
    }
  }

  async #write(status: PodStatus, signal: AbortSignal): Promise<void> {
    const base = this.#base;
    if (isDeepStrictEqual(status, base.status)) return;
    const { client } = this.#options;
    try {
      this.observe(
        await client.updateStatus<Pod>('pods', { ...base, status: merged(status, base) }, signal),
      );
    } catch (error) {
      if (isReason(error, 'NotFound')) this.#isGone = true;
      else if (isReason(error, 'Conflict')) await this.#refresh(signal);
      else throw error;
      if (!this.#isGone) throw error;
    }
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const { namespace = '', name, uid } = this.#base.metadata;
    try {
      const current = await this.#options.client.get<Pod>('pods', { namespace, name }, signal);
      if (current.metadata.uid !== uid) this.#isGone = true;
      else this.observe(current);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      this.#isGone = true;
    }
  }
}

/** Conditions that others have written since are kept. */
function merged(status: PodStatus, base: Pod): PodStatus {
  const own = new Set((status.conditions ?? []).map(({ type }) => type));
  const others = (base.status?.conditions ?? []).filter(
    (condition) => !own.has(condition.type) && !isOwn(condition),
  );
  return others.length === 0
    ? status
    : { ...status, conditions: [...(status.conditions ?? []), ...others] };
}

/** Both are versions of one object from one server, whose resource versions are numbers of one counter. */
function isOlder(a: Pod, b: Pod): boolean {
  return BigInt(a.metadata.resourceVersion) < BigInt(b.metadata.resourceVersion);
}
