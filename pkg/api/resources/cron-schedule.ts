/** The syntax of a cron schedule: five fields or a macro. Worded as robfig/cron words its errors. */

interface Field {
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const MONTHS = 'jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec'.split(',');
const DAYS = 'sun,mon,tue,wed,thu,fri,sat'.split(',');
const FIELDS: readonly Field[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: MONTHS },
  { min: 0, max: 6, names: DAYS },
];
const MACROS = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];
const EVERY = /^@every (?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+$/;

/** What is wrong with a schedule; undefined when nothing is. */
export function scheduleError(schedule: string): string | undefined {
  if (/^(?:TZ|CRON_TZ)=/.test(schedule)) {
    return 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead';
  }
  if (schedule.startsWith('@')) {
    const isKnown = MACROS.includes(schedule) || EVERY.test(schedule);
    return isKnown ? undefined : `unrecognized descriptor: ${schedule}`;
  }
  const parts = schedule.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) {
    return `expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`;
  }
  for (const [index, field] of FIELDS.entries()) {
    const wrong = fieldError(parts[index] ?? '', field);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function fieldError(text: string, field: Field): string | undefined {
  for (const part of text.split(',')) {
    const wrong = rangeError(part, field);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function rangeError(part: string, field: Field): string | undefined {
  const [range = '', step, ...more] = part.split('/');
  if (more.length > 0) return `too many slashes: ${part}`;
  if (step !== undefined && !/^\d+$/.test(step))
    return `failed to parse int from ${step}: invalid syntax`;
  if (step !== undefined && Number(step) === 0)
    return `step of range should be a positive number: ${part}`;
  if (range === '*' || range === '?') return undefined;
  const ends = range.split('-');
  if (ends.length > 2) return `too many hyphens: ${part}`;
  const [start, end = start] = ends.map((each) => numberOf(each, field));
  if (start === undefined || end === undefined)
    return `failed to parse int from ${range}: invalid syntax`;
  if (start < field.min)
    return `beginning of range (${start}) below minimum (${field.min}): ${part}`;
  if (end > field.max) return `end of range (${end}) above maximum (${field.max}): ${part}`;
  return start > end
    ? `beginning of range (${start}) beyond end of range (${end}): ${part}`
    : undefined;
}

function numberOf(text: string, { names = [], min }: Field): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const named = names.indexOf(text.toLowerCase());
  return named < 0 ? undefined : named + min;
}
