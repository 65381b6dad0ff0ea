/**
 * Keeps mini's nftables table as it should be: written whole after each change, changes that come at once in one
 * write. A host that cannot have it has pods without ports on the host, and says so.
 */

import { describe, type Logger } from '../log/log.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Backoff } from '../wait/backoff.ts';
import { type Clock, systemClock } from '../wait/clock.ts';
import { checkHostPort, type HostPort, keyOf, ruleset } from './rules.ts';

export interface HostRulesOptions {
  readonly runtime: Pick<Runtime, 'nft' | 'forgetFlows'>;
  readonly bridge: string;
  readonly log: Logger;
  readonly clock?: Clock;
  /** The table could not be written, or could again: `problem` and `isWritten` have changed. */
  onChange?(): void;
  /** Undefined until the node's addresses are known. */
  cidrs(): { readonly podCidr: string; readonly clusterCidr: string } | undefined;
}

/** How soon a table that others removed is written again, should they go on. */
const RESTORE = { firstMs: 100, maxMs: 5_000 };
const CALM_MS = 60_000;
/** How soon a write that failed is tried again, unless a change comes first. */
const RETRY = { firstMs: 1_000, maxMs: 300_000 };

interface Published {
  readonly address: string;
  readonly ports: readonly HostPort[];
}

export class HostRules {
  readonly #options: HostRulesOptions;
  readonly #published = new Map<string, Published>();
  #writing: Promise<unknown> = Promise.resolve();
  #next: Promise<void> | undefined;
  #problem: string | undefined;
  #isWritten = false;
  readonly #backoff = new Backoff(RESTORE);
  #restoredMs = Number.NEGATIVE_INFINITY;
  #isRestoring = false;
  readonly #retryBackoff = new Backoff(RETRY);
  #isRetrying = false;
  readonly #timers = new Set<() => void>();

  constructor(options: HostRulesOptions) {
    this.#options = options;
  }

  /** Why the table is not there, with what that means; undefined when it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Whether this process has written the table, and nothing has gone wrong since. */
  get isWritten(): boolean {
    return this.#isWritten;
  }

  get hasPorts(): boolean {
    return this.#published.size > 0;
  }

  /** Leads ports of the host to a sandbox. Rejects, and leaves all as it was, when one is taken or cannot be had. */
  async publish(id: string, wanted: Published): Promise<void> {
    const taken = new Map(
      [...this.#published].flatMap(([owner, { ports }]) => ports.map((one) => [keyOf(one), owner])),
    );
    for (const port of wanted.ports) {
      checkHostPort(port);
      const owner = taken.get(keyOf(port));
      if (owner !== undefined && owner !== id) {
        throw new Error(`host port ${port.hostPort}/${port.protocol} is taken by sandbox ${owner}`);
      }
    }
    this.#published.set(id, wanted);
    try {
      await this.apply();
    } catch (error) {
      this.#published.delete(id);
      throw new Error('cannot map host ports', { cause: error });
    }
    await this.#forgetFlows(wanted);
  }

  /** What an earlier agent had published; written with the next change. */
  adopt(id: string, published: Published): void {
    this.#published.set(id, published);
  }

  /** Idempotent. */
  async unpublish(id: string): Promise<void> {
    const published = this.#published.get(id);
    if (published === undefined) return;
    this.#published.delete(id);
    await this.apply();
    await this.#forgetFlows(published);
  }

  /** Others have removed rules of the table: writes it again, ever later if they go on. */
  restore(): void {
    const { clock = systemClock, bridge, log } = this.#options;
    if (!this.#isWritten || this.#isRestoring) return;
    this.#isRestoring = true;
    if (clock.monotonic() - this.#restoredMs > CALM_MS) this.#backoff.reset();
    this.#after(this.#backoff.next(), () => {
      this.#isRestoring = false;
      this.#restoredMs = clock.monotonic();
      void this.apply().then(
        () => log.warn('Others removed rules of the nftables table; wrote it again', { bridge }),
        () => undefined, // Logged, told by `problem`, and tried again.
      );
    });
  }

  /** Nothing is tried again from now on; the table stays. */
  close(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  /** Datagrams of a known flow go where the first one went, or to nobody, whatever the table says since. */
  async #forgetFlows({ ports }: Published): Promise<void> {
    const { runtime, log } = this.#options;
    const numbers = ports.filter(({ protocol }) => protocol === 'UDP').map((one) => one.hostPort);
    if (numbers.length === 0) return;
    try {
      await runtime.forgetFlows(numbers);
    } catch (error) {
      log.warn('Could not end UDP flows to ports of the host', { ports: numbers, error });
    }
  }

  /** Writes the table as it should be now. Rejects when the host cannot have it. */
  apply(): Promise<void> {
    this.#next ??= this.#writing.then(() => {
      this.#next = undefined;
      return this.#write();
    });
    this.#writing = this.#next.catch(() => undefined);
    return this.#next;
  }

  async #write(): Promise<void> {
    const { runtime, bridge, log } = this.#options;
    const cidrs = this.#options.cidrs();
    if (cidrs === undefined) return;
    const ports = [...this.#published.values()].flatMap(({ address, ports: own }) =>
      own.map((port) => ({ ...port, address })),
    );
    try {
      await runtime.nft(ruleset({ bridge, ...cidrs, ports }));
    } catch (error) {
      this.#failed(error);
      throw error;
    }
    this.#isWritten = true;
    this.#retryBackoff.reset();
    if (this.#problem === undefined) return;
    this.#problem = undefined;
    log.info('Wrote the nftables table after all', { bridge });
    this.#options.onChange?.();
  }

  #failed(error: unknown): void {
    const { bridge, log } = this.#options;
    const problem = `pods have no ports on the host and do not reach other networks: ${describe(error)}`;
    this.#isWritten = false;
    if (problem !== this.#problem) {
      this.#problem = problem;
      log.warn('Could not write the nftables table; it is tried again', { bridge, error });
      this.#options.onChange?.();
    }
    this.#retryLater();
  }

  /** What the host lacked (memory, descriptors, a module) it may have later. */
  #retryLater(): void {
    if (this.#isRetrying) return;
    this.#isRetrying = true;
    this.#after(this.#retryBackoff.next(), () => {
      this.#isRetrying = false;
      if (!this.#isWritten) this.apply().catch(() => undefined); // #failed has told it.
    });
  }

  #after(delayMs: number, task: () => void): void {
    const { clock = systemClock } = this.#options;
    const cancel = clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      task();
    });
    this.#timers.add(cancel);
  }
}
