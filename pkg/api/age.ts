/** How long ago, as kubectl prints it ("5m12s", "3d4h"). Source: apimachinery pkg/util/duration. */

const SECOND_MS = 1000;

/** A length of time in kubectl's short words: two units while they matter, one after. */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / SECOND_MS);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return pair([minutes, 'm'], [seconds % 60, 's']);
  if (minutes < 180) return `${minutes}m`;
  return humanHours(Math.floor(minutes / 60), minutes % 60);
}

function humanHours(hours: number, minutes: number): string {
  if (hours < 8) return pair([hours, 'h'], [minutes, 'm']);
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return pair([days, 'd'], [hours % 24, 'h']);
  if (days < 365 * 2) return `${days}d`;
  const years = Math.floor(days / 365);
  if (years < 8) return pair([years, 'y'], [days % 365, 'd']);
  return `${years}y`;
}

function pair([first, unit]: [number, string], [second, smaller]: [number, string]): string {
  return second === 0 ? `${first}${unit}` : `${first}${unit}${second}${smaller}`;
}

/** The time since an RFC 3339 timestamp; "<unknown>" when there is none. */
export function ageOf(timestamp: string | null | undefined, nowMs: number): string {
  if (!timestamp) return '<unknown>';
  const atMs = Date.parse(timestamp);
  return Number.isNaN(atMs) ? '<unknown>' : humanDuration(nowMs - atMs);
}
