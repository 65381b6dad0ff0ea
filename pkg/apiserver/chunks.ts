/**
 * Lists in chunks. The rest of a chunked list is kept as it was at the first chunk, so that all chunks are of one
 * revision; the values are shared with the store, so a kept list costs an array. Tokens name the kept list.
 */

import { randomUUID } from 'node:crypto';
import { badRequest, StatusError } from '../api/errors.ts';
import type { KeyValue } from '../store/backend.ts';
import type { Clock } from '../wait/clock.ts';

/** How long a continue token holds, as in Kubernetes (etcd's compaction interval). */
const TTL_MS = 5 * 60 * 1000;
/** Lists kept at a time; the oldest makes room. */
const CHUNKED_LISTS_MAX = 256;

export interface Kept {
  readonly items: readonly KeyValue[];
  readonly revision: number;
}

interface Entry extends Kept {
  readonly expiresMs: number;
}

export interface Token {
  /** Names the kept list; absent when the list goes on at the current revision. */
  readonly id?: string;
  readonly revision: number;
  /** Key after which the next chunk starts. */
  readonly after: string;
}

export class Chunks {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keeps a list and returns its name. */
  keep(list: Kept): string {
    this.#dropExpired();
    const id = randomUUID();
    this.#kept.set(id, { ...list, expiresMs: this.#clock.monotonic() + TTL_MS });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= CHUNKED_LISTS_MAX) break;
      this.#kept.delete(oldest);
    }
    return id;
  }

  /** The kept list of a token, undefined for tokens that go on at the current revision. Throws Expired. */
  find(token: Token): Kept | undefined {
    if (token.id === undefined) return undefined;
    this.#dropExpired();
    const kept = this.#kept.get(token.id);
    if (!kept) throw new ExpiredToken(token);
    return kept;
  }

  #dropExpired(): void {
    const now = this.#clock.monotonic();
    for (const [id, { expiresMs }] of this.#kept) {
      if (expiresMs > now) break; // In order of creation, so of expiry.
      this.#kept.delete(id);
    }
  }
}

/** An expired token; its Status carries a token with which the list goes on at the current revision. */
export class ExpiredToken extends StatusError {
  readonly continueAt: string;
  constructor(token: Token) {
    super(
      'Expired',
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    );
    this.continueAt = writeToken({ revision: 0, after: token.after });
  }

  override toStatus() {
    return { ...super.toStatus(), metadata: { continue: this.continueAt } };
  }
}

/** A continue token as clients see it. */
export function writeToken(token: Token): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', ...token })).toString('base64url');
}

/** Reads a continue token. Throws BadRequest. */
export function readToken(text: string): Token {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (isToken(value)) return value;
  } catch (error) {
    throw badRequest('continue key is not valid: it cannot be read', error);
  }
  throw badRequest('continue key is not valid: incorrect encoded version');
}

function isToken(value: unknown): value is Token {
  if (typeof value !== 'object' || value === null) return false;
  const { id, revision, after } = value as Record<string, unknown>;
  return (
    (id === undefined || typeof id === 'string') &&
    typeof revision === 'number' &&
    typeof after === 'string'
  );
}
