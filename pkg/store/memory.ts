/** A store that lives in memory only: for tests. Same logic as the durable one above a journal that keeps nothing. */

import { type Logger, silent } from '../log/log.ts';
import type { Clock } from '../wait/clock.ts';
import type { Backend } from './backend.ts';
import type { Journal } from './journal.ts';
import { MvccStore } from './mvcc.ts';

/** Opens an empty in-memory store. */
export function openMemory({ log = silent, clock }: { log?: Logger; clock?: Clock } = {}): Backend {
  const journal: Journal = {
    keepsHistory: false,
    append: (_entries, _reserved, done) => setImmediate(done, undefined),
    recover: () => Promise.resolve(),
    read: () => Promise.resolve([]),
    compact: () => Promise.resolve(),
    expired: () => Promise.resolve(0),
    close: () => Promise.resolve(),
  };
  return new MvccStore({
    journal,
    snapshot: { items: [], revision: 0, compactedRevision: 0 },
    log,
    ...(clock ? { clock } : {}),
  });
}
