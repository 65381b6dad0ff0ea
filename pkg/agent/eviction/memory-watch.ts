/** Has the kernel tell when memory gets short, so that nobody has to wait for the next look. */

import type { NodeLimits } from '../node/kubelet-args.ts';
import { resolveAmount } from '../node/reservations.ts';
import type { Observations } from './signals.ts';

/** The kernel's word for it; see HostEvents. */
export interface MemoryEvents {
  onMemory(listener: () => void): () => void;
  setMemoryLevel(bytes: number): void;
}

/** The level is moved when it is wrong by more than this. */
const DRIFT_BYTES = 8 * 1024 * 1024;

/** Keeps the kernel's level where the first threshold for memory is crossed, as page cache comes and goes. */
export class MemoryLevel {
  readonly #events: MemoryEvents;
  readonly #limits: NodeLimits;
  #bytes = Number.NaN;

  constructor(events: MemoryEvents, limits: NodeLimits) {
    this.#events = events;
    this.#limits = limits;
  }

  /** To be called with what each look has seen. */
  follow(observations: Observations): void {
    const bytes = levelOf(this.#limits, observations);
    if (bytes === undefined || Math.abs(bytes - this.#bytes) <= DRIFT_BYTES) return;
    this.#bytes = bytes;
    this.#events.setMemoryLevel(bytes);
  }
}

/** The use of memory, page cache and all, at which the first threshold is crossed; undefined when there is none. */
function levelOf(
  { hard, soft }: Pick<NodeLimits, 'hard' | 'soft'>,
  observations: Observations,
): number | undefined {
  const seen = observations.get('memory.available');
  const thresholds = [...hard, ...soft].filter(({ signal }) => signal === 'memory.available');
  if (seen === undefined || thresholds.length === 0) return undefined;
  const short = Math.max(...thresholds.map(({ below }) => resolveAmount(below, seen.capacity)));
  return seen.capacity - short + (seen.reclaimable ?? 0);
}
