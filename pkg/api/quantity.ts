/**
 * Kubernetes quantities ("100m", "1.5Gi", "2e3"), exactly: a value is a whole number of nanos, the finest that
 * Kubernetes keeps; finer input is rounded away from zero, larger than 2^63-1 is capped, both as Kubernetes does.
 */

type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

export interface Quantity {
  /** The value times 10^9. */
  readonly nanos: bigint;
  readonly format: QuantityFormat;
}

/** The text is no quantity; the message is Kubernetes's own. */
export class QuantityError extends Error {}

const GRAMMAR = /^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$/;
const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?$/;
const WRONG_FORM =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const NANOS = 10n ** 9n;
const MAX_NANOS = (2n ** 63n - 1n) * NANOS;

const DECIMAL: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY: Readonly<Record<string, number>> = { Ki: 1, Mi: 2, Gi: 3, Ti: 4, Pi: 5, Ei: 6 };
/** The suffix of 10^(3*(index-3)). */
const DECIMAL_SUFFIXES = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const BINARY_SUFFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** Reads a quantity; a number counts as its decimal text. Throws QuantityError. */
export function parseQuantity(value: string | number): Quantity {
  const text = String(value);
  if (text === '') throw new QuantityError(WRONG_FORM);
  const [, number = '', suffix = ''] = GRAMMAR.exec(text) ?? [];
  const [matched, sign, whole = '', fraction = ''] = NUMBER.exec(number) ?? [];
  if (matched === undefined || whole + fraction === '') throw new QuantityError(WRONG_FORM);
  const { base, exponent, format } = parseSuffix(suffix);
  const digits = BigInt(whole + fraction);
  const scale = base === 10 ? exponent - fraction.length + 9 : 9 - fraction.length;
  const binary = base === 2 ? 2n ** BigInt(exponent) : 1n;
  const nanos = scaled(digits * binary, scale);
  const capped = nanos > MAX_NANOS ? MAX_NANOS : nanos;
  return { nanos: sign === '-' ? -capped : capped, format };
}

/** `digits` times 10^`scale`, rounded up; huge scales need no huge numbers. */
function scaled(digits: bigint, scale: number): bigint {
  if (digits === 0n) return 0n;
  if (scale >= 0) return scale > 40 ? MAX_NANOS + 1n : digits * 10n ** BigInt(scale);
  if (-scale > 400) return 1n;
  const divisor = 10n ** BigInt(-scale);
  return (digits + divisor - 1n) / divisor;
}

function parseSuffix(suffix: string): {
  base: 2 | 10;
  exponent: number;
  format: QuantityFormat;
} {
  const decimal = DECIMAL[suffix];
  if (decimal !== undefined) return { base: 10, exponent: decimal, format: 'DecimalSI' };
  const binary = BINARY[suffix];
  if (binary !== undefined) return { base: 2, exponent: binary * 10, format: 'BinarySI' };
  if (/^[eE][+-]?\d+$/.test(suffix)) {
    return { base: 10, exponent: Number(suffix.slice(1)), format: 'DecimalExponent' };
  }
  throw new QuantityError("unable to parse quantity's suffix");
}

/** The canonical text: no fraction, the largest suffix that keeps the value exact. */
function formatQuantity({ nanos, format }: Quantity): string {
  if (nanos === 0n) return '0';
  const isWhole = nanos % NANOS === 0n;
  const value = nanos / NANOS;
  if (format === 'BinarySI' && isWhole && (value >= 1024n || value <= -1024n)) return binary(value);
  return decimal(nanos, format === 'DecimalExponent');
}

function binary(value: bigint): string {
  let left = value;
  let power = 0;
  while (power < BINARY_SUFFIXES.length - 1 && left % 1024n === 0n) {
    left /= 1024n;
    power += 1;
  }
  return `${left}${BINARY_SUFFIXES[power] ?? ''}`;
}

function decimal(nanos: bigint, isExponent: boolean): string {
  let left = nanos;
  let step = 0;
  while (step < DECIMAL_SUFFIXES.length - 1 && left % 1000n === 0n) {
    left /= 1000n;
    step += 1;
  }
  const exponent = (step - 3) * 3;
  if (isExponent) return exponent === 0 ? String(left) : `${left}e${exponent}`;
  return `${left}${DECIMAL_SUFFIXES[step] ?? ''}`;
}

/** The canonical form of a quantity's text: "1000m" is "1". Throws QuantityError. */
export function canonicalQuantity(value: string | number): string {
  return formatQuantity(parseQuantity(value));
}

/** Less than, equal to or greater than zero as `a` is to `b`. Throws QuantityError. */
export function compareQuantities(a: string | number, b: string | number): number {
  const difference = parseQuantity(a).nanos - parseQuantity(b).nanos;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The canonical sum; keeps the format of the first that is not zero. Throws QuantityError. */
export function addQuantities(...values: readonly (string | number)[]): string {
  const parsed = values.map(parseQuantity);
  const format = parsed.find(({ nanos }) => nanos !== 0n)?.format ?? 'DecimalSI';
  return formatQuantity({ nanos: parsed.reduce((sum, { nanos }) => sum + nanos, 0n), format });
}

/** The canonical difference `a - b` in the format of `a`. Throws QuantityError. */
export function subtractQuantities(a: string | number, b: string | number): string {
  const from = parseQuantity(a);
  return formatQuantity({ nanos: from.nanos - parseQuantity(b).nanos, format: from.format });
}

/** Thousandths, rounded up: the CPU of "0.5" is 500. Absent = 0. Throws QuantityError. */
export function cpuMilli(value: string | number | undefined): number {
  return value === undefined ? 0 : Number(divideUp(parseQuantity(value).nanos, 10n ** 6n));
}

/** Nanos: the CPU of "0.5" is 5e8. Throws QuantityError. */
export function cpuNanos(value: string | number | undefined): number {
  return value === undefined ? 0 : Number(parseQuantity(value).nanos);
}

/** Whole units, rounded up: bytes of memory, counts of pods. Absent = 0. Throws QuantityError. */
export function bytes(value: string | number | undefined): number {
  return value === undefined ? 0 : Number(divideUp(parseQuantity(value).nanos, NANOS));
}

function divideUp(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value > 0n && value % divisor !== 0n ? quotient + 1n : quotient;
}
