/** The containers of one host by id, and those of each sandbox without a look at all of them. */

import type { Container } from './container.ts';

export class ContainerTable {
  readonly #byId = new Map<string, Container>();
  readonly #bySandbox = new Map<string, Set<Container>>();

  get(id: string): Container | undefined {
    return this.#byId.get(id);
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** All, or those of one sandbox. */
  list(sandboxId?: string): readonly Container[] {
    return [
      ...(sandboxId === undefined ? this.#byId.values() : (this.#bySandbox.get(sandboxId) ?? [])),
    ];
  }

  add(container: Container): void {
    const { id, sandboxId } = container.record.config;
    this.#byId.set(id, container);
    const siblings = this.#bySandbox.get(sandboxId);
    if (siblings) siblings.add(container);
    else this.#bySandbox.set(sandboxId, new Set([container]));
  }

  delete(id: string): void {
    const container = this.#byId.get(id);
    if (!container) return;
    this.#byId.delete(id);
    const { sandboxId } = container.record.config;
    const siblings = this.#bySandbox.get(sandboxId);
    siblings?.delete(container);
    if (siblings?.size === 0) this.#bySandbox.delete(sandboxId);
  }
}
