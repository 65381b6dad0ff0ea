/**
 * The objects that pods of this node refer to, ConfigMaps, Secrets and RuntimeClasses by name, ClusterTrustBundles all
 * together: one watch each while somebody refers to it, so that changes reach the volumes at once and a missing one is
 * noticed when it appears.
 */

import type { ApiObject, Ref } from '../api/meta.ts';
import { keyOf } from '../api/meta.ts';
import type { Client } from '../client/client.ts';
import type { Logger } from '../log/log.ts';
import type { Clock } from '../wait/clock.ts';
import { ObjectWatch } from './object-watch.ts';
import { orAborted } from './or-aborted.ts';

export type ReferenceKind = 'configmaps' | 'secrets' | 'clustertrustbundles' | 'runtimeclasses';

export interface Reference {
  readonly kind: ReferenceKind;
  /** Without a name: all of the kind. */
  readonly ref: Ref;
}

interface Entry {
  readonly watch: ObjectWatch<ApiObject>;
  /** Pods (by uid) that refer to it. */
  readonly users: Set<string>;
}

interface ReferencesOptions {
  readonly client: Client;
  readonly log: Logger;
  readonly clock: Clock;
  /** Called for each pod (by uid) whose reference changed. */
  onChange(uid: string): void;
}

export class References {
  readonly #options: ReferencesOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ReferencesOptions) {
    this.#options = options;
  }

  /** Declares what the pod of this uid refers to; with none, its watches end. */
  use(uid: string, references: readonly Reference[]): void {
    const wanted = new Map(references.map((reference) => [idOf(reference), reference]));
    for (const [id, reference] of wanted) this.#entry(id, reference).users.add(uid);
    for (const [id, entry] of this.#entries) {
      if (!wanted.has(id)) this.#release(id, entry, uid);
    }
  }

  /** The object, or undefined when there is none; waits for the first answer of the server. */
  async get<T extends ApiObject>(
    reference: Reference,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const entry = this.#entries.get(idOf(reference));
    if (!entry) return undefined;
    await orAborted(entry.watch.synced, signal);
    return entry.watch.get(keyOf(reference.ref)) as T | undefined;
  }

  /** All of a kind that was referred to without a name. */
  async list<T extends ApiObject>(kind: ReferenceKind, signal: AbortSignal): Promise<readonly T[]> {
    const entry = this.#entries.get(idOf({ kind, ref: { name: '' } }));
    if (!entry) return [];
    await orAborted(entry.watch.synced, signal);
    return entry.watch.list() as readonly T[];
  }

  async close(): Promise<void> {
    const watches = [...this.#entries.values()].map(({ watch }) => watch.close());
    this.#entries.clear();
    await Promise.all(watches);
  }

  #entry(id: string, { kind, ref }: Reference): Entry {
    const existing = this.#entries.get(id);
    if (existing) return existing;
    const { client, log, clock, onChange } = this.#options;
    const users = new Set<string>();
    const watch = new ObjectWatch<ApiObject>({
      client,
      log,
      clock,
      resource: kind,
      query: ref.name
        ? { namespace: ref.namespace ?? '', fieldSelector: `metadata.name=${ref.name}` }
        : {},
      onChange: () => {
        for (const uid of users) onChange(uid);
      },
    });
    const entry = { watch, users };
    this.#entries.set(id, entry);
    return entry;
  }

  #release(id: string, entry: Entry, uid: string): void {
    if (!entry.users.delete(uid) || entry.users.size > 0) return;
    this.#entries.delete(id);
    void entry.watch.close();
  }
}

function idOf({ kind, ref }: Reference): string {
  return `${kind}/${keyOf(ref)}`;
}
