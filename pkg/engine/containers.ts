/** The containers of one host: made, started, watched to their end, removed, and found again after a restart. */

import type { ImageStore } from '../image/image-store.ts';
import type { Logger } from '../log/log.ts';
import type { Exit, Runtime } from '../runtime/runtime.ts';
import type { Clock } from '../wait/clock.ts';
import { Container } from './container.ts';
import { ContainerTable } from './container-table.ts';
import { type ContainerConfig, type ContainerInfo, EngineError, type Resources } from './engine.ts';
import { KeyedQueue } from './keyed-queue.ts';
import { type LogLimits, launchSpec, makeDirectories } from './launch.ts';
import { planProcess } from './process.ts';
import { type ContainerRecord, checkId, RecordDirectory } from './records.ts';
import type { Sandboxes } from './sandboxes.ts';
import { isGone, signalNumber } from './signals.ts';
import { toResources } from './spec.ts';
import { waitForExit } from './wait-for-exit.ts';

export interface ContainerParts {
  readonly runtime: Runtime;
  readonly images: ImageStore;
  readonly sandboxes: Sandboxes;
  readonly log: Logger;
  readonly clock: Clock;
  readonly logLimits: LogLimits;
  readonly emit: (container: ContainerInfo) => void;
}

const SIGKILL = 9;
/** After SIGKILL the kernel needs no longer than this, unless the process hangs in a disk or network mount. */
const KILL_TIMEOUT_MS = 10_000;

export class Containers {
  readonly #parts: ContainerParts;
  readonly #directory: RecordDirectory<ContainerRecord>;
  readonly #containers = new ContainerTable();
  readonly #queue = new KeyedQueue();
  readonly #closing = new AbortController();
  #stopListening: () => void = () => undefined;

  constructor(root: string, parts: ContainerParts) {
    this.#parts = parts;
    this.#directory = new RecordDirectory(root, 'container.json');
  }

  /** Reads the records, asks the helper what became of each, and drops what no record names. */
  async recover(): Promise<void> {
    const { runtime, images, log } = this.#parts;
    const { records, broken } = await this.#directory.load(log);
    for (const record of records.values()) {
      this.#containers.add(new Container(record, images.retain(record.imageId)));
    }
    const states = new Map((await runtime.list()).map((state) => [state.id, state]));
    for (const container of this.#containers.list()) {
      const state = states.get(container.id);
      const found = { state, runId: runtime.runId, now: this.#now };
      if (container.adopt(found)) await this.#save(container);
      if (!container.isLive && state !== undefined) {
        await runtime.delete(container.id, { isForced: true });
      }
    }
    const strays = [...states.keys()].filter((id) => !records.has(id));
    for (const id of [...strays, ...broken]) {
      await runtime.delete(id, { isForced: true });
      await runtime.removeTree(this.#directory.path(id));
    }
    // Only now: what has ended since they were listed is told to containers that are known to run.
    this.#stopListening = runtime.onExit((exit) => this.#onExit(exit));
  }

  get(id: string): Container | undefined {
    return this.#containers.get(id);
  }

  /** Throws NotFound. */
  wanted(id: string): Container {
    const container = this.#containers.get(id);
    if (container === undefined) throw new EngineError('NotFound', `no container ${id}`);
    return container;
  }

  /** Throws NotFound, or Conflict when it does not run. */
  running(id: string): Container {
    const container = this.wanted(id);
    if (container.isLive) return container;
    throw new EngineError('Conflict', `container ${id} does not run: it is ${container.status}`);
  }

  /** All, or those of one sandbox. */
  list(sandboxId?: string): readonly Container[] {
    return this.#containers.list(sandboxId);
  }

  path(id: string): string {
    return this.#directory.path(id);
  }

  create(
    config: ContainerConfig,
    ip: string | undefined,
    signal?: AbortSignal,
  ): Promise<ContainerInfo> {
    return this.#queue.run(config.id, async () => {
      signal?.throwIfAborted();
      if (this.#containers.has(config.id)) {
        throw new EngineError('Conflict', `container ${config.id} exists already`);
      }
      checkId('container', config.id);
      const container = this.#plan(config);
      try {
        await this.#directory.make(config.id);
        const { mounts, logPath } = config;
        const sandbox = this.#parts.sandboxes.configFor(config.sandboxId);
        await makeDirectories(this.path(config.id), { mounts, sandbox, ip, logPath });
        // Last: after a crash all that has a record is complete.
        await this.#save(container);
        // Its removal may have begun meanwhile, and does not know of this one.
        this.#parts.sandboxes.configFor(config.sandboxId);
      } catch (error) {
        container.release();
        await this.#directory.forget(config.id);
        await this.#parts.runtime.removeTree(this.path(config.id));
        if (error instanceof EngineError) throw error;
        throw new EngineError('Internal', `cannot create container ${config.id}`, error);
      }
      this.#containers.add(container);
      this.#parts.emit(container.info());
      return container.info();
    });
  }

  start(id: string): Promise<ContainerInfo> {
    return this.#queue.run(id, async () => {
      const container = this.wanted(id);
      if (container.isLive) return container.info();
      const { runtime, sandboxes, logLimits } = this.#parts;
      const { config } = container.record;
      const spec = await launchSpec({
        record: container.record,
        directory: this.path(id),
        sandbox: sandboxes.joinable(config.sandboxId),
        peerPid: this.get(config.security.pidOfContainer ?? '')?.pid,
        logLimits,
      });
      container.beginStart(runtime.runId);
      const [started, saved] = await Promise.allSettled([runtime.run(spec), this.#save(container)]);
      if (started.status === 'rejected') {
        container.failStart();
        await Promise.all([this.#save(container), sandboxes.recheck(config.sandboxId)]);
        throw new EngineError('StartFailed', messageOf(started.reason), started.reason);
      }
      const early = container.run(started.value, this.#now);
      const info = container.info();
      this.#parts.emit(info);
      if (early !== undefined) this.#onExit(early);
      if (saved.status === 'rejected') throw saved.reason;
      return info;
    });
  }

  async stop(id: string, graceMs: number): Promise<void> {
    // A start under way comes first.
    await this.#queue.run(id, async () => undefined);
    const container = this.#containers.get(id);
    if (!container?.isLive) return;
    // It is told to have ended only once that is on disk, and may not be live before.
    const ended = waitForExit(container, this.#parts.clock, this.#closing.signal);
    try {
      if (graceMs > 0) {
        await this.kill(id, container.record.stopSignal);
        if (container.status === 'paused') await this.setPaused(id, false);
        if (await ended.within(graceMs)) return;
      }
      if (container.isLive) await this.kill(id, SIGKILL);
      if (await ended.within(KILL_TIMEOUT_MS)) return;
    } finally {
      ended.cancel();
    }
    throw new EngineError('Internal', `container ${id} does not end after SIGKILL`);
  }

  /** A process that ends meanwhile is no error: that is what was asked for. */
  async kill(id: string, signal: string | number): Promise<void> {
    const number = signalNumber(signal);
    if (number === undefined) throw new EngineError('Internal', `"${signal}" is no signal`);
    const container = this.running(id);
    try {
      await this.#parts.runtime.kill(id, number);
    } catch (error) {
      if (!container.isLive || isGone(error)) return;
      throw new EngineError('Internal', `cannot send a signal to container ${id}`, error);
    }
  }

  setPaused(id: string, isPaused: boolean): Promise<void> {
    const { runtime, emit } = this.#parts;
    const container = this.running(id);
    return this.#queue.run(id, async () => {
      if ((container.status === 'paused') === isPaused) return;
      await (isPaused ? runtime.pause(id) : runtime.resume(id));
      if (!container.isLive) return;
      container.setPaused(isPaused);
      emit(container.info());
    });
  }

  update(id: string, resources: Resources): Promise<void> {
    return this.#queue.run(id, async () => {
      const container = this.wanted(id);
      const { config } = container.record;
      const merged = { ...config.resources, ...resources };
      if (container.isLive) await this.#parts.runtime.update(id, toResources(merged));
      container.record = { ...container.record, config: { ...config, resources: merged } };
      await this.#save(container);
    });
  }

  /** With isForced also of one that runs. Idempotent. */
  remove(id: string, options: { readonly isForced?: boolean } = {}): Promise<void> {
    return this.#queue.run(id, async () => {
      const container = this.#containers.get(id);
      if (container === undefined) return;
      if (container.isLive && !options.isForced) {
        throw new EngineError('Conflict', `container ${id} is ${container.status}; stop it first`);
      }
      const { runtime, emit } = this.#parts;
      // First: cut off by a crash it is taken up again, and never for one that is still to be started.
      await this.#directory.forget(id);
      // What ended while this engine looked is deleted there already.
      if (!container.isDeleted) await runtime.delete(id, { isForced: true });
      await runtime.removeTree(this.path(id));
      this.#containers.delete(id);
      container.release();
      container.announceExit();
      emit(container.info());
    });
  }

  async close(): Promise<void> {
    this.#closing.abort(new EngineError('Internal', 'the engine is closed'));
    this.#stopListening();
    await this.#queue.idle();
  }

  #plan(config: ContainerConfig): Container {
    const { images, sandboxes } = this.#parts;
    const image = images.get(config.image);
    if (image === undefined) {
      throw new EngineError('ImageNotFound', `image "${config.image}" is not on this host`);
    }
    const { hostname } = sandboxes.configFor(config.sandboxId);
    const process = planProcess({ config, image: image.config, roots: image.layers, hostname });
    const name = config.stopSignal ?? image.config.stopSignal ?? 'SIGTERM';
    const stopSignal = signalNumber(name);
    if (stopSignal === undefined) {
      throw new EngineError('StartFailed', `stop signal "${name}" is no signal`);
    }
    const createdAt = new Date(this.#now()).toISOString();
    const { id: imageId, layers } = image;
    return new Container(
      { config, imageId, layers, process, stopSignal, createdAt, isStarted: false },
      images.retain(imageId),
    );
  }

  readonly #now = () => this.#parts.clock.now();

  #onExit(exit: Exit): void {
    const container = this.#containers.get(exit.id);
    if (exit.execId !== undefined || !container?.exit(exit)) return;
    this.#queue
      .run(exit.id, () => this.#finish(container))
      .catch((error: unknown) => {
        this.#parts.log.error('Could not record an exit', { container: exit.id, error });
      });
  }

  /** On disk first, then told; what the helper holds of it goes last. */
  async #finish(container: Container): Promise<void> {
    if (this.#containers.get(container.id) !== container) return;
    try {
      await this.#save(container);
      const { config, exit } = container.record;
      if (exit?.signal === SIGKILL) await this.#parts.sandboxes.recheck(config.sandboxId);
    } finally {
      container.announceExit();
      this.#parts.emit(container.info());
    }
    await this.#parts.runtime.delete(container.id);
    container.isDeleted = true;
  }

  #save(container: Container): Promise<void> {
    return this.#directory.save(container.id, () => container.record);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
