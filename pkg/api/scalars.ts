/**
 * Values without fields of their own, from unknown JSON to the form in which Kubernetes writes them: quantities and
 * times canonical, integers in range. Throws ScalarError with the words that follow Go's decoder.
 */

import { canonicalQuantity } from './quantity.ts';
import type { ScalarName } from './schema.ts';

/** `expected` = the Go type that the value does not fit; else `message` says all. */
export class ScalarError extends Error {
  readonly expected: string | undefined;

  constructor(message: string, expected?: string) {
    super(message);
    this.expected = expected;
  }
}

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const WHOLE_SECONDS_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const MICRO_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const INT32_MAX = 2 ** 31 - 1;

const DECODERS: Readonly<Record<ScalarName, (value: unknown) => unknown>> = {
  any: (value) => value,
  boolean: decodeBoolean,
  bytes: decodeBytes,
  double: decodeDouble,
  int32: decodeInt32,
  int64: decodeInt64,
  intOrString: decodeIntOrString,
  microTime: (value) => (isForm(value, MICRO_UTC) ? value : microTime(parseTime(value))),
  object: decodeObjectValue,
  quantity: decodeQuantity,
  string: decodeString,
  time: (value) => (isForm(value, WHOLE_SECONDS_UTC) ? value : wholeSeconds(parseTime(value).ms)),
};

/** Checks a value that is not null and returns it in its canonical form. */
export function decodeScalar(scalar: ScalarName, value: unknown): unknown {
  return DECODERS[scalar](value);
}

/** What Go's decoder calls this JSON value. */
export function describeValue(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'number' : `number ${value}`;
  return typeof value;
}

/** What Kubernetes leaves for null among the items of a list or map. */
export function zeroOf(scalar: ScalarName): unknown {
  switch (scalar) {
    case 'boolean':
      return false;
    case 'double':
    case 'int32':
    case 'int64':
    case 'intOrString':
      return 0;
    case 'quantity':
      return '0';
    case 'string':
    case 'bytes':
      return '';
    default:
      return null;
  }
}

/** RFC 3339 in UTC with whole seconds, as metav1.Time is written. */
export function wholeSeconds(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

function microTime({ ms, micros }: { ms: number; micros: number }): string {
  return `${new Date(ms).toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}Z`;
}

function isForm(value: unknown, form: RegExp): boolean {
  return typeof value === 'string' && form.test(value) && !Number.isNaN(Date.parse(value));
}

function parseTime(value: unknown): { ms: number; micros: number } {
  if (typeof value !== 'string') throw new ScalarError('', 'string');
  const match = RFC3339.exec(value);
  const ms = match ? Date.parse(value.toUpperCase()) : Number.NaN;
  if (Number.isNaN(ms)) {
    const layout = '2006-01-02T15:04:05Z07:00';
    const quoted = JSON.stringify(value);
    throw new ScalarError(
      `parsing time ${quoted} as "${layout}": cannot parse ${quoted} as "2006"`,
    );
  }
  const fraction = (match?.[1] ?? '.').slice(1, 7).padEnd(6, '0');
  return { ms, micros: Number(fraction) };
}

function decodeString(value: unknown): string {
  if (typeof value !== 'string') throw new ScalarError('', 'string');
  return value;
}

function decodeBoolean(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new ScalarError('', 'bool');
  return value;
}

function decodeInt32(value: unknown): number {
  if (!isInteger(value)) throw new ScalarError('', 'int32');
  if (value > INT32_MAX || value < -INT32_MAX - 1) throw new ScalarError('', 'int32');
  return value;
}

function decodeInt64(value: unknown): number {
  if (!isInteger(value)) throw new ScalarError('', 'int64');
  return value;
}

function isInteger(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value);
}

function decodeDouble(value: unknown): number {
  if (typeof value !== 'number') throw new ScalarError('', 'float64');
  return value;
}

function decodeBytes(value: unknown): string {
  if (typeof value !== 'string') throw new ScalarError('', '[]uint8');
  const text = /[\r\n]/.test(value) ? value.replaceAll(/[\r\n]/g, '') : value;
  if (Buffer.from(text, 'base64').toString('base64') !== text) {
    throw new ScalarError(`illegal base64 data at input byte ${badByteOf(text)}`);
  }
  return text;
}

function badByteOf(text: string): number {
  const found = text.search(/[^A-Za-z0-9+/]/);
  return found < 0 ? text.length - (text.length % 4) : found;
}

function decodeIntOrString(value: unknown): number | string {
  if (typeof value === 'string') return value;
  if (!isInteger(value)) throw new ScalarError('', 'int32');
  return value;
}

function decodeQuantity(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw new ScalarError('', 'string');
  }
  try {
    return canonicalQuantity(value);
  } catch (error) {
    throw new ScalarError(error instanceof Error ? error.message : String(error));
  }
}

function decodeObjectValue(value: unknown): unknown {
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new ScalarError('', 'map[string]interface {}');
  }
  return value;
}
