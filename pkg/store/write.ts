/** A write between its decision and the moment it becomes visible. */

import type { KeyValue } from './backend.ts';
import type { LogEntry } from './journal.ts';

/** Waits in the order of revisions. */
export interface Write {
  readonly entry: LogEntry;
  readonly isVolatile: boolean;
  isDurable: boolean;
  readonly resolve: (stored: KeyValue) => void;
  readonly reject: (error: Error) => void;
}

/** The latest decided but not yet visible write of a key. */
export interface Pending {
  readonly revision: number;
  readonly createRevision: number;
  readonly isDelete: boolean;
}
