/**
 * Processor use as a rate. Nothing is sampled while nobody asks: a rate is taken over the time since somebody last
 * asked, or since the start of what is measured, or, when both are long ago, over a short wait.
 */

import type { Clock } from '../../wait/clock.ts';

/** What was used up to a moment. */
interface Sample {
  readonly atMs: number;
  readonly cpuNanos: number;
}

export interface Rate {
  /** Cores times 10^9. */
  readonly nanoCores: number;
  readonly windowMs: number;
}

/** Who is measured: a key, and since when it counts. */
export interface Subject {
  readonly key: string;
  readonly startedAtMs: number;
  readonly sample: Sample;
}

/** A rate is kept this long: a shorter window would tell more of the scheduler's ticks than of the load. */
const WINDOW_MIN_MS = 1_000;
/** A longer window says nothing of what is used now. */
const WINDOW_MAX_MS = 60_000;
/** How long to wait for a second sample when there is no fitting first one. */
const WAIT_MS = 500;

interface Kept {
  readonly last: Sample;
  readonly rate: Rate | undefined;
}

export class Sampler {
  readonly #clock: Clock;
  #kept = new Map<string, Kept>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The rate of each subject by key. `read` gives all subjects of now, and is called again after a short wait when one
   * of them has no usable earlier sample; subjects that it no longer gives are forgotten.
   */
  async rates(read: () => Promise<readonly Subject[]>): Promise<ReadonlyMap<string, Rate>> {
    const subjects = await read();
    const lacking = subjects.filter((subject) => this.#rateOf(subject) === undefined);
    if (lacking.length === 0) return this.#finish(subjects);
    for (const { key, sample } of lacking) this.#kept.set(key, { last: sample, rate: undefined });
    await new Promise<void>((resolve) => this.#clock.after(WAIT_MS, resolve));
    return this.#finish(await read());
  }

  #finish(subjects: readonly Subject[]): ReadonlyMap<string, Rate> {
    const kept = new Map<string, Kept>();
    const rates = new Map<string, Rate>();
    for (const subject of subjects) {
      const { key, sample } = subject;
      const known = this.#kept.get(key);
      const rate = this.#rateOf(subject) ?? rateBetween(known?.last, sample);
      if (rate) rates.set(key, rate);
      const isFresh = known?.rate !== undefined && rate === known.rate;
      kept.set(key, isFresh ? known : { last: sample, rate });
    }
    this.#kept = kept;
    return rates;
  }

  #rateOf({ key, startedAtMs, sample }: Subject): Rate | undefined {
    const known = this.#kept.get(key);
    if (known) {
      const sinceMs = sample.atMs - known.last.atMs;
      // The clock may have been set back; a counter that fell belongs to another cgroup.
      if (sinceMs >= 0 && sinceMs < WINDOW_MIN_MS && known.rate) return known.rate;
      const isUsable = sinceMs >= WINDOW_MIN_MS && sinceMs <= WINDOW_MAX_MS;
      if (isUsable && sample.cpuNanos >= known.last.cpuNanos)
        return rateBetween(known.last, sample);
    }
    const ageMs = sample.atMs - startedAtMs;
    if (ageMs < WINDOW_MIN_MS || ageMs > WINDOW_MAX_MS) return undefined;
    return rateBetween({ atMs: startedAtMs, cpuNanos: 0 }, sample);
  }
}

function rateBetween(first: Sample | undefined, second: Sample): Rate | undefined {
  if (!first) return undefined;
  const windowMs = second.atMs - first.atMs;
  const nanos = second.cpuNanos - first.cpuNanos;
  if (windowMs <= 0 || nanos < 0) return undefined;
  return { nanoCores: Math.round((nanos / windowMs) * 1000), windowMs };
}
