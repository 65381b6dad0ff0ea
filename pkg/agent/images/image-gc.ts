/**
 * Removes images that no container uses, as the kubelet does: when the disk is fuller than a threshold, the one
 * unused for longest first, until it is less full than another; and those that nobody has used for an age. Imported
 * and embedded images stay. `freeAll` is for whoever runs out of disk space now (eviction).
 */

import { statfs } from 'node:fs/promises';
import type { Engine } from '../../engine/engine.ts';
import type { Image } from '../../image/image-store.ts';
import type { Logger } from '../../log/log.ts';
import { type Clock, sleep } from '../../wait/clock.ts';
import type { EventDetails } from '../events.ts';
import type { ImageGcPolicy } from '../node/kubelet-args.ts';

/** The kubelet's. Nothing tells when a disk gets full, so it is looked at. */
const PERIOD_MS = 300_000;

export interface DiskUsage {
  readonly capacityBytes: number;
  readonly availableBytes: number;
}

export interface ImageGcOptions {
  readonly engine: Pick<Engine, 'images'>;
  readonly policy: ImageGcPolicy;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the file system that holds the images. */
  disk(): Promise<DiskUsage>;
  /** An event about the node. */
  record(details: EventDetails): void;
}

interface Seen {
  readonly firstMs: number;
  usedMs: number;
}

/** Space on the file system of a directory. */
export async function diskOf(path: string): Promise<DiskUsage> {
  const { blocks, bavail, bsize } = await statfs(path);
  return { capacityBytes: blocks * bsize, availableBytes: bavail * bsize };
}

export class ImageGc {
  readonly #options: ImageGcOptions;
  readonly #seen = new Map<string, Seen>();
  readonly #controller = new AbortController();
  readonly #startedMs: number;
  readonly #work: Promise<void>;
  #queue: Promise<unknown> = Promise.resolve();
  #hasFailed = false;

  constructor(options: ImageGcOptions) {
    this.#options = options;
    this.#startedMs = options.clock.monotonic();
    this.#work = this.#run();
  }

  /** Removes every image that nobody uses and that is not too young. Rejects when one cannot be removed. */
  async freeAll(signal?: AbortSignal): Promise<void> {
    await this.#serially(async () => {
      const nowMs = this.#look();
      for (const { image, seen } of this.#unused(nowMs)) {
        signal?.throwIfAborted();
        if (nowMs - seen.firstMs < this.#options.policy.minAgeMs) continue;
        await this.#remove(image);
      }
    });
  }

  /** Looks once: removes what is too old, and what a full disk asks for. Rejects with what the event says. */
  collect(): Promise<void> {
    return this.#serially(() => this.#collect());
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#work;
    await this.#queue.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { signal } = this.#controller;
    const { clock, log, record } = this.#options;
    while (!signal.aborted) {
      try {
        await this.collect();
        this.#hasFailed = false;
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        log.warn('Could not remove images', { error });
        // Once may pass: space that others give back comes late.
        if (this.#hasFailed) record({ type: 'Warning', reason: 'ImageGCFailed', message });
        this.#hasFailed = true;
      }
      await sleep(PERIOD_MS, signal, clock).catch(() => undefined);
    }
  }

  async #collect(): Promise<void> {
    const { policy, disk, record, log } = this.#options;
    const nowMs = this.#look();
    await this.#removeOld(nowMs);
    const { capacityBytes, availableBytes } = await disk();
    if (capacityBytes === 0) {
      const message = 'invalid capacity 0 on image filesystem';
      record({ type: 'Warning', reason: 'InvalidDiskCapacity', message });
      throw new Error(message);
    }
    const usedPercent = 100 - Math.floor((availableBytes * 100) / capacityBytes);
    if (usedPercent < policy.highPercent) return;
    const toFree = Math.ceil((capacityBytes * (100 - policy.lowPercent)) / 100) - availableBytes;
    log.info('The disk of the images is too full', { usedPercent, bytesToFree: toFree });
    const freed = await this.#free(nowMs, { toFree, availableBytes });
    if (freed >= toFree) return;
    const message = `Failed to garbage collect required amount of images. Attempted to free ${toFree} bytes, but only found ${freed} bytes eligible to free.`;
    record({ type: 'Warning', reason: 'FreeDiskSpaceFailed', message });
    throw new Error(message);
  }

  /** Resolves to the bytes that the disk has more than before. */
  async #free(
    nowMs: number,
    wanted: { readonly toFree: number; readonly availableBytes: number },
  ): Promise<number> {
    const { policy, disk } = this.#options;
    let freed = 0;
    for (const { image, seen } of this.#unused(nowMs)) {
      if (freed >= wanted.toFree) break;
      if (nowMs - seen.firstMs < policy.minAgeMs) continue;
      await this.#remove(image);
      // What the disk says: layers may be shared, and are larger than what was pulled.
      freed = Math.max(freed, (await disk()).availableBytes - wanted.availableBytes);
    }
    return freed;
  }

  async #removeOld(nowMs: number): Promise<void> {
    const { maxAgeMs } = this.#options.policy;
    // Who used what before this process began is not known.
    if (maxAgeMs === 0 || nowMs - this.#startedMs <= maxAgeMs) return;
    for (const { image, seen } of this.#unused(nowMs)) {
      if (nowMs - seen.usedMs > maxAgeMs) await this.#remove(image);
    }
  }

  /** Takes down what is there and what is in use now. */
  #look(): number {
    const { engine, clock } = this.#options;
    const nowMs = clock.monotonic();
    const images = engine.images.list();
    for (const { id } of images) {
      const seen = this.#seen.get(id) ?? { firstMs: nowMs, usedMs: 0 };
      if (engine.images.isInUse(id)) seen.usedMs = nowMs;
      this.#seen.set(id, seen);
    }
    const there = new Set(images.map(({ id }) => id));
    for (const id of this.#seen.keys()) if (!there.has(id)) this.#seen.delete(id);
    return nowMs;
  }

  /** Unused for longest first. */
  #unused(nowMs: number): readonly { readonly image: Image; readonly seen: Seen }[] {
    return this.#options.engine.images
      .list()
      .filter(({ isPinned }) => !isPinned)
      .flatMap((image) => {
        const seen = this.#seen.get(image.id);
        return seen === undefined || seen.usedMs >= nowMs ? [] : [{ image, seen }];
      })
      .sort((a, b) => a.seen.usedMs - b.seen.usedMs || a.seen.firstMs - b.seen.firstMs);
  }

  async #remove({ id, tags }: Image): Promise<void> {
    // A container may have come since it was looked at.
    const { images } = this.#options.engine;
    if (images.isInUse(id)) return;
    await images.remove(id);
    this.#seen.delete(id);
    this.#options.log.info('Removed an image that nobody uses', { image: id, tags });
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work, work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
