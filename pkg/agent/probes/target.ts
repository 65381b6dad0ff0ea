/** What a probe or a lifecycle hook is pointed at, and what comes of it. */

import type { Container } from '../../api/generated/types.ts';
import type { Engine } from '../../engine/engine.ts';

export interface CheckTarget {
  readonly engine: Engine;
  readonly containerId: string;
  readonly container: Container;
  /** Address of the pod. */
  readonly host: string;
  /** Gives the check up: it has failed. */
  readonly signal?: AbortSignal;
}

export interface CheckResult {
  readonly isOk: boolean;
  readonly message: string;
  /** Of a command that ran to its end. */
  readonly exitCode?: number;
  /** It could not be made: it has neither passed nor failed. */
  readonly isUnknown?: boolean;
  /** It has passed, but not as whoever wrote the probe may think. */
  readonly warning?: string;
}

/** A check could not even be made; the kubelet throws such a result away. */
export class CannotCheck extends Error {}

/** A port by number, or by the name the container gave it. Throws CannotCheck when it has no such port. */
export function portOf(container: Container, port: string | number): number {
  const number = Number(port);
  if (Number.isInteger(number)) return number;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  if (named === undefined)
    throw new CannotCheck(`couldn't find port: ${JSON.stringify(port)} in container`);
  return named;
}
