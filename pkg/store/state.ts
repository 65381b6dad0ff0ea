/** What readers see: the current value of every key, in order, at one revision. Changed only by apply(). */

import type { KeyValue, ListOptions, Page, StoreEvent } from './backend.ts';
import type { LogEntry } from './journal.ts';
import { SortedKeys } from './sorted-keys.ts';

export class State {
  readonly #current = new Map<string, KeyValue>();
  readonly #keys = new SortedKeys();
  #revision: number;

  constructor(items: readonly KeyValue[], revision: number) {
    this.#revision = revision;
    for (const item of items) {
      this.#current.set(item.key, item);
      this.#keys.add(item.key);
    }
  }

  get revision(): number {
    return this.#revision;
  }

  get(key: string): KeyValue | undefined {
    return this.#current.get(key);
  }

  list(prefix: string, { limit = 0, after = '' }: ListOptions): Page {
    const items: KeyValue[] = [];
    for (const key of this.#keys.under(prefix, after)) {
      const item = this.#current.get(key);
      if (item) items.push(item);
      if (items.length === limit) break;
    }
    const last = items.at(-1);
    const remaining = limit > 0 && last ? this.#keys.count(prefix, last.key) : 0;
    return { items, revision: this.#revision, remaining };
  }

  /** Makes one write visible; entries come in the order of revisions. */
  apply({ key, revision, value, createRevision }: LogEntry): StoreEvent {
    const previous = this.#current.get(key);
    const current: KeyValue = {
      key,
      revision,
      createRevision,
      value: value ?? previous?.value ?? Buffer.alloc(0),
    };
    if (value === undefined) {
      this.#current.delete(key);
      this.#keys.delete(key);
    } else {
      this.#current.set(key, current);
      if (!previous) this.#keys.add(key);
    }
    this.#revision = revision;
    return { type: value === undefined ? 'delete' : 'put', current, previous };
  }
}

/** What was listed before these events, all of which came after the revision. */
export function takenBack(
  now: readonly KeyValue[],
  revision: number,
  events: readonly StoreEvent[],
): Page {
  const values = new Map(now.map((item) => [item.key, item]));
  for (const { current, previous } of events.toReversed()) {
    if (previous) values.set(current.key, previous);
    else values.delete(current.key);
  }
  const items = [...values.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  return { items, revision, remaining: 0 };
}
