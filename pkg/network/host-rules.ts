/**
 * Keeps mini's nftables table as it should be: written whole after each change, changes that come at once in one
 * write. A host that cannot have it has pods without ports on the host, and says so.
 */

import type { Logger } from '../log/log.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Backoff } from '../wait/backoff.ts';
import { type Clock, systemClock } from '../wait/clock.ts';
import { checkHostPort, type HostPort, keyOf, ruleset } from './rules.ts';

export interface HostRulesOptions {
  readonly runtime: Pick<Runtime, 'nft' | 'forgetFlows'>;
  readonly bridge: string;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Undefined until the node's addresses are known. */
  cidrs(): { readonly podCidr: string; readonly clusterCidr: string } | undefined;
}

/** How soon a table that others removed is written again, should they go on. */
const RESTORE = { firstMs: 100, maxMs: 5_000 };
const CALM_MS = 60_000;

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
    clock.after(this.#backoff.next(), () => {
      this.#isRestoring = false;
      this.#restoredMs = clock.monotonic();
      void this.apply().then(
        () => log.warn('Others removed rules of the nftables table; wrote it again', { bridge }),
        () => undefined, // Logged and told by `problem`; the next change writes it.
      );
    });
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
      this.#problem = undefined;
      this.#isWritten = true;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#isWritten = false;
      this.#problem = `pods have no ports on the host and do not reach other networks: ${why}`;
      log.warn('Could not write the nftables table', { bridge, error });
      throw error;
    }
  }
}
