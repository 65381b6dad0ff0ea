/**
 * What the kernel tells of by itself, through one process of the helper (runtime/host-watch.h): memory gets short, somebody
 * removed rules of mini's nftables table. The process is started again when it ends; listeners hear of that as of an
 * event, since one may have been missed.
 */

import type { Duplex } from 'node:stream';
import { describe, type Logger } from '../log/log.ts';
import { Backoff } from '../wait/backoff.ts';
import { type Clock, sleep, systemClock } from '../wait/clock.ts';

const RETRY = { firstMs: 500, maxMs: 60_000, jitter: 0.2 };
/** A process that lived for longer was well. */
const STABLE_MS = 60_000;
/** The helper says a word a line; longer is none of ours. */
const LINE_MAX = 64;

export interface HostEventsOptions {
  /** Starts the process; see Runtime.watchHost. */
  watch(memoryBytes: number): Promise<Duplex>;
  readonly log: Logger;
  readonly clock?: Clock;
}

type Kind = 'memory' | 'rules';

export class HostEvents {
  readonly #options: HostEventsOptions;
  readonly #clock: Clock;
  readonly #listeners = { memory: new Set<() => void>(), rules: new Set<() => void>() };
  readonly #closing = new AbortController();
  readonly #work: Promise<void>;
  #memoryBytes = 0;
  #socket: Duplex | undefined;

  constructor(options: HostEventsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#work = this.#run();
  }

  /** Calls back when memory gets short; returns what ends that. */
  onMemory(listener: () => void): () => void {
    return this.#add('memory', listener);
  }

  /** Calls back when others removed rules of the table. */
  onRules(listener: () => void): () => void {
    return this.#add('rules', listener);
  }

  /** The use of memory, in bytes, from which on it is short; only cgroup v1 can tell of that. */
  setMemoryLevel(bytes: number): void {
    this.#memoryBytes = Math.max(0, Math.round(bytes));
    this.#socket?.write(`${this.#memoryBytes}\n`);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#socket?.destroy();
    await this.#work;
  }

  #add(kind: Kind, listener: () => void): () => void {
    this.#listeners[kind].add(listener);
    return () => void this.#listeners[kind].delete(listener);
  }

  #tell(kind: Kind): void {
    for (const listener of this.#listeners[kind]) listener();
  }

  async #run(): Promise<void> {
    const { watch, log } = this.#options;
    const { signal } = this.#closing;
    const backoff = new Backoff(RETRY);
    for (let turn = 0; !signal.aborted; turn += 1) {
      const sinceMs = this.#clock.monotonic();
      try {
        const socket = await watch(this.#memoryBytes);
        if (turn > 0) for (const kind of ['memory', 'rules'] as const) this.#tell(kind);
        await this.#follow(socket);
      } catch (error) {
        if (!signal.aborted) log.debug('Cannot follow the host', { error: describe(error) });
      }
      if (this.#clock.monotonic() - sinceMs > STABLE_MS) backoff.reset();
      await sleep(backoff.next(), signal, this.#clock).catch(() => undefined);
    }
  }

  /** Resolves when the connection is closed. */
  async #follow(socket: Duplex): Promise<void> {
    this.#socket = socket;
    let rest = '';
    try {
      if (this.#closing.signal.aborted) return;
      socket.on('error', () => undefined);
      for await (const chunk of socket) {
        const lines = `${rest}${chunk}`.split('\n');
        rest = (lines.pop() ?? '').slice(0, LINE_MAX);
        if (lines.includes('memory')) this.#tell('memory');
        if (lines.includes('rules')) this.#tell('rules');
      }
    } finally {
      this.#socket = undefined;
      socket.destroy();
    }
  }
}
