/** How values of the kubelet's settings are written: numbers, shares, pairs and durations. Each throws a KubeletArgError. */

import { parseQuantity } from '../../api/quantity.ts';

/** An amount, or a share of what there is. */
export type Amount = { readonly quantity: string } | { readonly share: number };

export class KubeletArgError extends Error {}

export function numberOf(value: string, min: number): number {
  const number = Number(value);
  if (/^-?\d+$/.test(value) && number >= min && number <= 2 ** 31 - 1) return number;
  throw new KubeletArgError(`it must be a whole number from ${min}`);
}

export function percentOf(value: string): number {
  const percent = numberOf(value, 0);
  if (percent <= 100) return percent;
  throw new KubeletArgError('it must be from 0 to 100');
}

export function pairsOf(value: string, separator: string): (readonly [string, string])[] {
  return value
    .split(',')
    .filter((item) => item !== '')
    .map((item) => {
      const at = item.indexOf(separator);
      if (at > 0 && at < item.length - 1) return [item.slice(0, at), item.slice(at + 1)] as const;
      throw new KubeletArgError(`"${item}" must be name${separator}value`);
    });
}

export function amountOf(text: string): Amount {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent !== undefined && Number(percent) <= 100) return { share: Number(percent) / 100 };
  if (text.endsWith('%')) throw new KubeletArgError(`"${text}" must be from 0% to 100%`);
  if (parseQuantity(text).nanos < 0n) throw new KubeletArgError(`"${text}" is negative`);
  return { quantity: text };
}

export function booleanOf(value: string): boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  throw new KubeletArgError('it must be true or false');
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `1m30s`, as Go writes durations. */
export function durationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const isWhole = parts.map(([part]) => part).join('') === text && parts.length > 0;
  if (!isWhole) throw new KubeletArgError(`"${text}" must be a duration such as 1m30s`);
  return parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNITS[unit] ?? 0), 0);
}
