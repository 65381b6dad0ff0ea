/** The OCI runtimes of this host by the names that RuntimeClasses know them by. */

import type { ForeignRuntime } from '../runtime/runtime.ts';
import { EngineError } from './engine.ts';

/** Names of the helper itself. */
const OWN = ['', 'mini'];

export class Handlers {
  readonly #runtimes: ReadonlyMap<string, ForeignRuntime>;

  constructor(runtimes: ReadonlyMap<string, ForeignRuntime> = new Map()) {
    this.#runtimes = runtimes;
  }

  /** Undefined stands for the helper itself. Throws an EngineError in containerd's words when there is none. */
  get(name = ''): ForeignRuntime | undefined {
    const found = this.#runtimes.get(name);
    if (found !== undefined || OWN.includes(name)) return found;
    throw new EngineError(
      'Internal',
      `failed to get sandbox runtime: no runtime for "${name}" is configured`,
    );
  }
}
