/** Durations as flags give them, in Go's form: 1h30m, 10s, 500ms; a bare number counts seconds. */

import { KubectlError } from './kubectl-error.ts';

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
const PART = /(\d+(?:\.\d+)?)(ms|h|m|s)/gy;

/** Milliseconds of a duration. Throws a KubectlError on one that it cannot read. */
export function durationMs(text: string): number {
  if (/^-?\d+$/.test(text)) return Number(text) * 1000;
  const isNegative = text.startsWith('-');
  const rest = isNegative ? text.slice(1) : text;
  let sumMs = 0;
  let length = 0;
  for (const [part, value, unit = ''] of rest.matchAll(PART)) {
    sumMs += Number(value) * (UNITS_MS[unit] ?? 0);
    length += part.length;
  }
  if (length === 0 || length !== rest.length)
    throw new KubectlError(`time: invalid duration ${JSON.stringify(text)}`);
  return isNegative ? -sumMs : sumMs;
}
