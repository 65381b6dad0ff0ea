/** Prometheus' text format: families with their help, and samples with labels and times. Pure. */

export type LabelValues = Readonly<Record<string, string>>;

export interface PointSample {
  readonly labels?: LabelValues;
  readonly value: number;
  /** Milliseconds; absent = now. */
  readonly atMs?: number;
  /** Appended to the family's name: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly PointSample[];
}

/** The text of these families; one without a sample is left out. */
export function expose(families: readonly Family[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) => {
      const lines = samples.map((sample) => `${name}${line(sample)}\n`).join('');
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines}`;
    })
    .join('');
}

function line({ labels = {}, value, atMs, suffix = '' }: PointSample): string {
  const pairs = Object.entries(labels).map(([name, text]) => `${name}="${escaped(text)}"`);
  const braces = pairs.length > 0 ? `{${pairs.join(',')}}` : '';
  return `${suffix}${braces} ${numberText(value)}${atMs === undefined ? '' : ` ${Math.round(atMs)}`}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return Number.isFinite(value) ? String(value) : 'NaN';
}
