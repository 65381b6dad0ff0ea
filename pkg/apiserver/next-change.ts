/**
 * Waits for a write that won a race: the store decides races at once but shows a write only when it is durable, so a
 * loser that read again at once would see what it saw before.
 */

import type { ApiObject } from '../api/meta.ts';
import type { Clock } from '../wait/clock.ts';
import { keyFor, revisionOf, type Storage, type Target } from './storage.ts';

/** A write that is not visible after this will not become so (the store failed); the loser tries on what it sees. */
const WAIT_MAX_MS = 5000;

/** Resolves once readers see another state of the object than `seen`. */
export async function nextChange(
  { storage, clock }: { readonly storage: Storage; readonly clock: Clock },
  { target, seen }: { readonly target: Target; readonly seen: ApiObject },
): Promise<void> {
  const isUnchanged = () => {
    const now = storage.get(target);
    return now !== undefined && revisionOf(now) === revisionOf(seen);
  };
  if (!isUnchanged()) return;
  const { store } = storage;
  const events = store.watch(keyFor(target.resource, target.ref), store.revision);
  const cancel = clock.after(WAIT_MAX_MS, () => events.close());
  try {
    for await (const _batch of events) {
      if (!isUnchanged()) return;
    }
  } finally {
    cancel();
    events.close();
  }
}
