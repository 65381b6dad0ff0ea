/**
 * Keeps events from flooding: those of one reason about one object that differ by their message only become one, and
 * an object has a budget. Numbers as those of Kubernetes' recorder.
 */

import type { Clock } from '../wait/clock.ts';
import { Recent } from './recent.ts';

/** Groups and objects that are known; the one not told of for longest is forgotten. */
const KNOWN_MAX = 4096;
/** So many messages of one reason are told apart. */
const MESSAGES_MAX = 10;
/** A reason that was silent for this long begins anew. */
const SILENCE_MS = 10 * 60_000;
/** Events that one component may write about one object at once, and the time after which it may write one more. */
const BURST = 25;
const REFILL_MS = 5 * 60_000;
const COMBINED = '(combined from similar events): ';

interface Group {
  readonly messages: Set<string>;
  lastMs: number;
}

interface Budget {
  left: number;
  atMs: number;
}

export interface Told {
  /** Names the object. */
  readonly object: string;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  /** The part of the object that it is about. */
  readonly fieldPath?: string;
}

export class EventCorrelator {
  readonly #clock: Clock;
  readonly #groups = new Recent<Group>(KNOWN_MAX);
  readonly #budgets = new Recent<Budget>(KNOWN_MAX);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What of it is the same event when it is told again, and the message to write. */
  sameness({ object, type, reason, message, fieldPath = '' }: Told): {
    readonly key: string;
    readonly message: string;
  } {
    const groupKey = JSON.stringify([object, type, reason]);
    const now = this.#clock.monotonic();
    const group = this.#groups.use(groupKey, () => ({ messages: new Set(), lastMs: now }));
    if (now - group.lastMs > SILENCE_MS) group.messages.clear();
    group.lastMs = now;
    group.messages.add(message);
    if (group.messages.size < MESSAGES_MAX)
      return { key: JSON.stringify([object, type, reason, message, fieldPath]), message };
    const [oldest] = group.messages;
    if (oldest !== undefined) group.messages.delete(oldest);
    return { key: groupKey, message: `${COMBINED}${message}` };
  }

  /** Whether one more may be written about the object; takes it from the object's budget. */
  allows(object: string): boolean {
    const now = this.#clock.monotonic();
    const budget = this.#budgets.use(object, () => ({ left: BURST, atMs: now }));
    budget.left = Math.min(BURST, budget.left + (now - budget.atMs) / REFILL_MS);
    budget.atMs = now;
    if (budget.left < 1) return false;
    budget.left -= 1;
    return true;
  }
}
