/** The quality-of-service class of a pod. Source: kubernetes pkg/apis/core/v1/helper/qos. */

import type { PodSpec, ResourceRequirements } from '../generated/types.ts';
import { compareQuantities, QuantityError } from '../quantity.ts';

const COUNTED = ['cpu', 'memory'] as const;

/** Guaranteed: every limit equals its request; BestEffort: none of either; else Burstable. */
export function qosClass(spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const all: readonly ResourceRequirements[] = spec.resources
    ? [spec.resources]
    : [...(spec.initContainers ?? []), ...(spec.containers ?? [])].map(
        ({ resources = {} }) => resources,
      );
  if (all.every(isEmpty)) return 'BestEffort';
  return all.every(isGuaranteed) ? 'Guaranteed' : 'Burstable';
}

function isEmpty({ limits, requests }: ResourceRequirements): boolean {
  return COUNTED.every((name) => isZero(limits?.[name]) && isZero(requests?.[name]));
}

function isGuaranteed({ limits, requests }: ResourceRequirements): boolean {
  return COUNTED.every((name) => {
    const limit = limits?.[name];
    return (
      limit !== undefined && !isZero(limit) && compared(limit, requests?.[name] ?? limit) === 0
    );
  });
}

function isZero(value: string | undefined): boolean {
  return value === undefined || compared(value, '0') === 0;
}

/** What is no quantity compares as different: validation refuses it anyway. */
function compared(a: string, b: string): number {
  try {
    return compareQuantities(a, b);
  } catch (error) {
    if (error instanceof QuantityError) return 1;
    throw error;
  }
}
