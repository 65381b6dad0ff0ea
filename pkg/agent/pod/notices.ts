/** Tells as events, each once, what a pod asks for and this node does not have. */

import type { Pod } from '../../api/generated/types.ts';
import type { NodeEvents } from '../events.ts';
import { unsupportedIn } from './unsupported.ts';

export class Notices {
  readonly #events: NodeEvents;
  readonly #told = new Set<string>();

  constructor(events: NodeEvents) {
    this.#events = events;
  }

  /** Why the pod may not run here; undefined when it may. */
  check(pod: Pod): string | undefined {
    const reasons = unsupportedIn(pod);
    for (const message of reasons) this.#tell(pod, 'FailedValidation', message);
    return reasons.length === 0 ? undefined : reasons.join('; ');
  }

  #tell(pod: Pod, reason: string, message: string): void {
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#events.record(pod, { type: 'Warning', reason, message });
  }
}
