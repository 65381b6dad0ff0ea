/**
 * How long a container that ended waits before it runs again: at once the first time, then 10 s, doubled up to
 * 300 s; forgotten after it ran for 10 minutes. Kubernetes' numbers. Times are the monotonic clock's.
 */

const FIRST_MS = 10_000;
const MAX_MS = 300_000;
const RESET_MS = 600_000;

interface Entry {
  readonly delayMs: number;
  readonly atMs: number;
}

export class CrashBackoff {
  readonly #entries = new Map<string, Entry>();

  /** When the container may run again after it ended at `endedMs`; undefined = now. */
  until(
    name: string,
    endedMs: number,
  ): { readonly atMs: number; readonly delayMs: number } | undefined {
    const entry = this.#entries.get(name);
    if (!entry || endedMs - entry.atMs > RESET_MS) return undefined;
    return { atMs: endedMs + entry.delayMs, delayMs: entry.delayMs };
  }

  /** Counts one restart at `nowMs`. */
  count(name: string, nowMs: number): void {
    const entry = this.#entries.get(name);
    const isFresh = !entry || nowMs - entry.atMs > RESET_MS + entry.delayMs;
    const delayMs = isFresh ? FIRST_MS : Math.min(entry.delayMs * 2, MAX_MS);
    this.#entries.set(name, { delayMs, atMs: nowMs });
  }
}
