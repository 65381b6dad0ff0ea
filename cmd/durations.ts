/** Durations as flags have them. */

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const PART = /(\d{1,6})([smhd])/g;

/** The check of a flag whose value is one. */
export function isDuration(text: string): string | undefined {
  return durationMs(text) === undefined
    ? 'it must be a number with s, m, h or d, such as 24h or 1m30s, or 0'
    : undefined;
}

/** `24h`, `1m30s` or `0` in milliseconds; undefined for what is no duration. */
export function durationMs(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(?:\d{1,6}[smhd])+$/.test(text)) return undefined;
  const parts = [...text.matchAll(PART)];
  return parts.reduce(
    (sum, [, count, unit = '']) => sum + Number(count) * (UNITS_MS[unit] ?? 0),
    0,
  );
}
