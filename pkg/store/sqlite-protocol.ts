/** Messages between sqlite.ts (event loop) and sqlite-worker.ts (worker thread). Answers carry the request's seq. */

export interface WorkerData {
  readonly file: string;
  /** Path of better-sqlite3's native addon; absent = the package finds its own. */
  readonly addon?: string;
}

export type Request =
  | {
      readonly kind: 'append';
      readonly seq: number;
      readonly batch: ArrayBuffer;
      readonly reservedRevision: number;
    }
  | {
      readonly kind: 'read';
      readonly seq: number;
      readonly prefix: string;
      readonly after: number;
      readonly upTo: number;
    }
  | { readonly kind: 'compact'; readonly seq: number; readonly revision: number }
  | { readonly kind: 'recover' | 'expired' | 'close'; readonly seq: number };

export interface Answer {
  readonly kind: 'answer';
  readonly seq: number;
  readonly error?: string;
  /** 'expired': the newest expired revision. */
  readonly revision?: number;
  /** 'read': events, and the value before each (revision 0 = none). */
  readonly events?: ArrayBuffer;
  readonly previous?: ArrayBuffer;
}

/** Before the first answer: the current values in chunks, then where to go on from; or why it cannot be opened. */
export type Opening =
  | { readonly kind: 'load'; readonly batch: ArrayBuffer }
  | { readonly kind: 'opened'; readonly revision: number; readonly compactedRevision: number }
  | { readonly kind: 'failed'; readonly error: string };
