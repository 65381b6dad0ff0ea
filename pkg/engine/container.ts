/** One container: its record, its status, and the moves between them. Nothing else changes a status. */

import type { ContainerState, Exit } from '../runtime/runtime.ts';
import type { ContainerInfo } from './engine.ts';
import type { ContainerRecord } from './records.ts';

/** Exit code of a process that ended with its host, as Kubernetes tells it. */
const UNKNOWN_EXIT_CODE = 255;

/** What is found of a container after a restart of the engine. */
interface Found {
  readonly state: ContainerState | undefined;
  /** See Runtime.runId. */
  readonly runId: string;
  readonly now: () => number;
}

export class Container {
  record: ContainerRecord;
  readonly release: () => void;
  /** The helper has forgotten it, as it has ended. */
  isDeleted = false;
  #status: ContainerInfo['status'] = 'created';
  #pid: number | undefined;
  /** Of a process that ended before the call that started it had answered. */
  #earlyExit: Exit | undefined;
  #isStarting = false;
  readonly #waiting = new Set<() => void>();

  constructor(record: ContainerRecord, release: () => void) {
    this.record = record;
    this.release = release;
    if (record.exit !== undefined) this.#status = 'exited';
  }

  get id(): string {
    return this.record.config.id;
  }

  get status(): ContainerInfo['status'] {
    return this.#status;
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  get isLive(): boolean {
    return this.#status === 'running' || this.#status === 'paused';
  }

  info(): ContainerInfo {
    const { config, imageId, process, createdAt, startedAt, exit } = this.record;
    return {
      id: config.id,
      sandboxId: config.sandboxId,
      labels: config.labels,
      image: config.image,
      imageId,
      user: process.user,
      status: this.#status,
      createdAt,
      ...(this.#pid === undefined ? {} : { pid: this.#pid }),
      ...(startedAt === undefined ? {} : { startedAt }),
      ...(exit === undefined ? {} : { exit }),
      ...(config.logPath === undefined ? {} : { logPath: config.logPath }),
    };
  }

  /** The helper is about to start it: the record says so from now on. */
  beginStart(runId: string): void {
    const { exit: _exit, startedAt: _startedAt, ...rest } = this.record;
    this.record = { ...rest, isStarted: true, runId };
    this.isDeleted = false;
    this.#isStarting = true;
    this.#earlyExit = undefined;
  }

  /** It could not be started. */
  failStart(): void {
    this.record = { ...this.record, isStarted: false };
    this.#isStarting = false;
    this.#status = 'created';
  }

  /** It runs; returns the exit that came in before this was known. */
  run(
    state: Pick<ContainerState, 'pid' | 'startedAt' | 'exit'>,
    now: () => number,
  ): Exit | undefined {
    this.#isStarting = false;
    this.#status = 'running';
    this.#pid = state.pid;
    this.record = {
      ...this.record,
      isStarted: true,
      startedAt: state.startedAt ?? new Date(now()).toISOString(),
    };
    return this.#earlyExit ?? state.exit;
  }

  setPaused(isPaused: boolean): void {
    this.#status = isPaused ? 'paused' : 'running';
  }

  /** It has ended. False when that is known already, or must wait until its start is. */
  exit(exit: Exit): boolean {
    if (this.#isStarting) {
      this.#earlyExit = exit;
      return false;
    }
    if (!this.isLive) return false;
    this.#status = 'exited';
    this.#pid = undefined;
    this.record = { ...this.record, exit, startedAt: exit.startedAt };
    return true;
  }

  /** Tells those who wait; called once the exit is on disk. */
  announceExit(): void {
    for (const tell of this.#waiting) tell();
    this.#waiting.clear();
  }

  /** Calls back once when it no longer runs; the returned function cancels. */
  onceExited(tell: () => void): () => void {
    this.#waiting.add(tell);
    return () => this.#waiting.delete(tell);
  }

  /**
   * After a restart of the engine: what the helper knows of it decides, as the record of a start may not have
   * reached the disk, nor the request the helper. True when the record has changed.
   */
  adopt({ state, runId, now }: Found): boolean {
    if (state?.status === 'running' || state?.status === 'paused') {
      const { exit: _exit, ...rest } = this.record;
      this.record = rest;
      this.run(state, now);
      this.#status = state.status;
      return false;
    }
    if (this.record.exit !== undefined) return false;
    if (!this.record.isStarted && state?.exit === undefined) return false;
    if (state === undefined && this.record.runId === runId) {
      // Its start was cut off before anything ran.
      this.failStart();
      return true;
    }
    const exit = state?.exit ?? this.#unknownExit(now);
    this.#status = 'exited';
    this.record = { ...this.record, isStarted: true, exit, startedAt: exit.startedAt };
    return true;
  }

  #unknownExit(now: () => number): Exit {
    const { createdAt, startedAt } = this.record;
    return {
      id: this.id,
      exitCode: UNKNOWN_EXIT_CODE,
      isOomKilled: false,
      startedAt: startedAt ?? createdAt,
      finishedAt: new Date(now()).toISOString(),
    };
  }
}
