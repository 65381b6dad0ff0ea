/**
 * The own-writes barrier: a client that remembers what was written through it, and a promise of when the cache shows
 * all of that. With it no controller ever decides on a state that it has itself already changed.
 */

import type { ApiObject, Ref } from '../api/meta.ts';
import type { Client } from '../client/client.ts';
import type { Informers } from '../client/informers.ts';

/** A client whose writes are remembered. */
export interface TrackedClient {
  readonly client: Client;
  /** Resolves when the informers show every write that has returned so far. */
  shown(): Promise<void>;
}

interface Removal {
  readonly resource: string;
  readonly isShown: () => boolean;
}

/** Wraps `client`; writes to resources without an informer are not tracked, as no cache can show them. */
export function trackWrites(client: Client, informers: Informers): TrackedClient {
  const writes = new OwnWrites(informers);
  const noted = async <T>(resource: string, answer: Promise<T>): Promise<T> => {
    const object = await answer;
    writes.note(resource, object);
    return object;
  };
  return {
    shown: () => writes.shown(),
    client: {
      ...client,
      create: (resource, object, signal) =>
        noted(resource, client.create(resource, object, signal)),
      update: (resource, object, signal) =>
        noted(resource, client.update(resource, object, signal)),
      updateStatus: (resource, object, signal) =>
        noted(resource, client.updateStatus(resource, object, signal)),
      updateSub: (path, object, signal) => noted(path[0], client.updateSub(path, object, signal)),
      patch: (resource, ref, patch, options, signal) =>
        noted(resource, client.patch(resource, ref, patch, options, signal)),
      async remove(resource, ref, options, signal) {
        const removal = writes.removal(resource, ref);
        await client.remove(resource, ref, options, signal);
        if (removal) writes.noteRemoval(removal);
      },
    },
  };
}

class OwnWrites {
  readonly #informers: Informers;
  /** The newest own revision of each resource. */
  readonly #revisions = new Map<string, number>();
  readonly #removals = new Set<Removal>();

  constructor(informers: Informers) {
    this.#informers = informers;
  }

  note(resource: string, answer: unknown): void {
    const revision = revisionOf(answer);
    if (!this.#informers.has(resource)) return;
    if (revision > (this.#revisions.get(resource) ?? 0)) this.#revisions.set(resource, revision);
  }

  /** To be asked before the deletion: how to tell that the cache shows it. */
  removal(resource: string, ref: Ref): Removal | undefined {
    if (!this.#informers.has(resource)) return undefined;
    const before = this.#informers.get(resource, ref);
    if (!before) return undefined;
    const { uid } = before.metadata;
    const isShown = () => {
      const now = this.#informers.get(resource, ref);
      return now?.metadata.uid !== uid || now.metadata.deletionTimestamp !== undefined;
    };
    return { resource, isShown };
  }

  noteRemoval(removal: Removal): void {
    if (!removal.isShown()) this.#removals.add(removal);
  }

  async shown(): Promise<void> {
    for (const [resource, revision] of this.#revisions) {
      if (this.#informers.has(resource)) await this.#informers.reached(resource, revision);
    }
    for (const removal of this.#removals) {
      const { resource, isShown } = removal;
      if (this.#informers.has(resource)) await this.#informers.until(resource, isShown);
      this.#removals.delete(removal);
    }
  }
}

function revisionOf(answer: unknown): number {
  return Number((answer as Partial<ApiObject> | undefined)?.metadata?.resourceVersion) || 0;
}
