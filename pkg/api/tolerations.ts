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
