/**
 * Waits for whichever comes first: the next item of a source, a tick, or the end. One promise a wait, so that long
 * watches pile up no reactions on promises that never settle.
 */

import type { Clock } from '../wait/clock.ts';

export interface TickerOptions<T> {
  readonly source: AsyncIterator<T>;
  readonly clock: Clock;
  /** Any of them aborting ends it. */
  readonly signals: readonly AbortSignal[];
  readonly endMs: number;
  /** Called once at the end, whatever ends it. */
  readonly onEnd: () => void;
  /** Ticks this often; absent = never. */
  readonly everyMs?: number;
  /** One more tick this long before the end. */
  readonly beforeEndMs?: number;
}

export type Turn<T> =
  | { readonly kind: 'item'; readonly value: T }
  | { readonly kind: 'tick' }
  | { readonly kind: 'end' };

export class Ticker<T> {
  readonly #options: TickerOptions<T>;
  readonly #cancels: (() => void)[] = [];
  #pending: Turn<T> | { readonly kind: 'error'; readonly error: unknown } | undefined;
  #isReading = false;
  #isTickDue = false;
  #isEnded = false;
  #wake: () => void = () => undefined;

  constructor(options: TickerOptions<T>) {
    this.#options = options;
    const { clock, signals, endMs, everyMs, beforeEndMs = 0 } = options;
    const end = () => this.close();
    this.#cancels.push(clock.after(endMs, end));
    for (const signal of signals) {
      signal.addEventListener('abort', end, { once: true });
      this.#cancels.push(() => signal.removeEventListener('abort', end));
    }
    if (signals.some(({ aborted }) => aborted)) end();
    if (everyMs === undefined || this.#isEnded) return;
    this.#tickEvery(everyMs);
    if (endMs > beforeEndMs)
      this.#cancels.push(clock.after(endMs - beforeEndMs, () => this.#tick()));
  }

  /** The next turn. Rejects with what the source throws. Items win over ticks, the end wins over all. */
  async next(): Promise<Turn<T>> {
    for (;;) {
      if (this.#isEnded) return { kind: 'end' };
      const pending = this.#pending;
      if (pending) {
        this.#pending = undefined;
        if (pending.kind === 'error') throw pending.error;
        return pending;
      }
      if (this.#isTickDue) {
        this.#isTickDue = false;
        return { kind: 'tick' };
      }
      this.#read();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Ends it: timers stop and onEnd is called, also when nobody waits for a turn any more. Idempotent. */
  close(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const cancel of this.#cancels) cancel();
    this.#options.onEnd();
    this.#wake();
  }

  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#options.source.next().then(
      (result) =>
        this.#arrive(result.done ? { kind: 'end' } : { kind: 'item', value: result.value }),
      (error: unknown) => this.#arrive({ kind: 'error', error }),
    );
  }

  #arrive(pending: Turn<T> | { readonly kind: 'error'; readonly error: unknown }): void {
    this.#isReading = false;
    this.#pending = pending;
    this.#wake();
  }

  #tick(): void {
    this.#isTickDue = true;
    this.#wake();
  }

  #tickEvery(everyMs: number): void {
    let cancel: () => void = () => undefined;
    const arm = () => {
      cancel = this.#options.clock.after(everyMs, () => {
        this.#tick();
        arm();
      });
    };
    arm();
    this.#cancels.push(() => cancel());
  }
}
