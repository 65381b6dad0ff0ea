/** Counters and histograms that the node keeps while it works, told at /metrics and /metrics/probes. */

import type { Family, LabelValues, PointSample } from './exposition.ts';

/** Combinations of labels that one instrument counts; what comes beyond is not told. */
const SERIES_MAX = 10_000;

interface Definition {
  readonly name: string;
  readonly help: string;
}

export class Counter {
  readonly #definition: Definition;
  readonly #series = new Map<string, { readonly labels: LabelValues; value: number }>();

  constructor(definition: Definition) {
    this.#definition = definition;
  }

  add(labels: LabelValues = {}, amount = 1): void {
    const key = JSON.stringify(labels);
    const known = this.#series.get(key);
    if (known) known.value += amount;
    else if (this.#series.size < SERIES_MAX) this.#series.set(key, { labels, value: amount });
  }

  /** Forgets the series with this label. */
  forget(name: string, value: string): void {
    for (const [key, { labels }] of this.#series)
      if (labels[name] === value) this.#series.delete(key);
  }

  family(): Family {
    const samples = [...this.#series.values()].map(({ labels, value }) => ({ labels, value }));
    return { ...this.#definition, type: 'counter', samples };
  }
}

interface Distribution {
  readonly labels: LabelValues;
  readonly counts: number[];
  count: number;
  sum: number;
}

export class Histogram {
  readonly #definition: Definition;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Distribution>();

  /** `bounds`: the upper ends of the buckets, in ascending order. */
  constructor(definition: Definition, bounds: readonly number[]) {
    this.#definition = definition;
    this.#bounds = bounds;
  }

  observe(value: number, labels: LabelValues = {}): void {
    const key = JSON.stringify(labels);
    let found = this.#series.get(key);
    if (!found) {
      if (this.#series.size >= SERIES_MAX) return;
      found = { labels, counts: this.#bounds.map(() => 0), count: 0, sum: 0 };
      this.#series.set(key, found);
    }
    found.count += 1;
    found.sum += value;
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) found.counts[bucket] = (found.counts[bucket] ?? 0) + 1;
  }

  family(): Family {
    const samples = [...this.#series.values()].flatMap((each) => this.#samplesOf(each));
    return { ...this.#definition, type: 'histogram', samples };
  }

  #samplesOf({ labels, counts, count, sum }: Distribution): readonly PointSample[] {
    let below = 0;
    const buckets = this.#bounds.map((bound, i) => {
      below += counts[i] ?? 0;
      return { suffix: '_bucket', labels: { ...labels, le: String(bound) }, value: below };
    });
    return [
      ...buckets,
      { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: count },
      { suffix: '_sum', labels, value: sum },
      { suffix: '_count', labels, value: count },
    ];
  }
}
