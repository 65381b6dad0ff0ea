/** Taints of nodes against tolerations of pods. */

import type { Taint, Toleration } from './generated/types.ts';

/** Whether one of the tolerations tolerates the taint. */
export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some((toleration) => toleratesTaint(toleration, taint));
}

function toleratesTaint(
  { key, operator = 'Equal', value = '', effect }: Toleration,
  taint: Taint,
): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  if (operator === 'Exists') return true;
  if (operator === 'Equal') return Boolean(key) && value === (taint.value ?? '');
  return compares(operator, taint.value, value);
}

/** Lt and Gt compare whole numbers: the taint's value with the toleration's. */
function compares(operator: string, taintValue = '', value = ''): boolean {
  if (!/^-?\d+$/.test(taintValue) || !/^-?\d+$/.test(value)) return false;
  if (operator === 'Lt') return BigInt(taintValue) < BigInt(value);
  return operator === 'Gt' && BigInt(taintValue) > BigInt(value);
}

/** The first taint that keeps a pod from being placed, if any. */
export function untolerated(
  taints: readonly Taint[],
  tolerations: readonly Toleration[],
): Taint | undefined {
  return taints.find(
    (taint) =>
      (taint.effect === 'NoSchedule' || taint.effect === 'NoExecute') &&
      !tolerates(tolerations, taint),
  );
}

/** Both lists as one, without those that another one includes; of two that say the same the first stays. */
export function mergeTolerations(
  first: readonly Toleration[],
  second: readonly Toleration[],
): readonly Toleration[] {
  const all = [...first, ...second];
  return all.filter((one, at) => {
    const isIncluded = all.some((other, place) => {
      if (place === at || !includes(other, one)) return false;
      return place < at || !includes(one, other);
    });
    return !isIncluded;
  });
}

/** Whether `wide` tolerates all that `narrow` does, for at least as long. */
function includes(wide: Toleration, narrow: Toleration): boolean {
  const { operator = 'Equal' } = wide;
  if (!hasKeyOf(wide, narrow)) return false;
  if (wide.effect && wide.effect !== narrow.effect) return false;
  if (wide.effect === 'NoExecute' && secondsOf(narrow) > secondsOf(wide)) return false;
  if (operator === 'Exists') return true;
  return operator === (narrow.operator ?? 'Equal') && (wide.value ?? '') === (narrow.value ?? '');
}

function hasKeyOf({ key = '', operator }: Toleration, narrow: Toleration): boolean {
  return key === (narrow.key ?? '') || (key === '' && operator === 'Exists');
}

function secondsOf({ tolerationSeconds = Number.POSITIVE_INFINITY }: Toleration): number {
  return tolerationSeconds;
}
