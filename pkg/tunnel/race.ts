/**
 * Connects to whichever of several servers answers first. Each is tried again and again on its own, so that one that
 * swallows packets for its whole deadline does not keep the others waiting.
 */

import { Backoff } from '../wait/backoff.ts';
import { type Clock, sleep } from '../wait/clock.ts';

const FIRST_RETRY_MS = 200;
/** A server that is back is found again within this. */
const MAX_RETRY_MS = 3_000;
/** Each server has this head start over the next one. */
const HEAD_START_MS = 300;

export interface RaceOptions<T> {
  /** In order of preference. */
  readonly servers: readonly string[];
  /** Must reject soon after its signal aborts. */
  readonly connect: (server: string, signal: AbortSignal) => Promise<T>;
  /** For a connection that came when another had won. */
  readonly discard: (late: T) => void;
  readonly onFailure: (server: string, error: unknown) => void;
  /** Asked before each attempt; false ends the race without a winner. */
  readonly isCurrent: () => boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface Winner<T> {
  readonly server: string;
  readonly connection: T;
}

/** Resolves to the first connection that stands; undefined once the signal aborted or the race is not current. */
export async function firstToAnswer<T>(options: RaceOptions<T>): Promise<Winner<T> | undefined> {
  const { servers, connect, discard, onFailure, isCurrent, clock } = options;
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const won: Winner<T>[] = [];
  const tryServer = async (server: string, index: number) => {
    const backoff = new Backoff({ firstMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS, jitter: 0.5 });
    await sleep(index * HEAD_START_MS, signal, clock).catch(() => undefined);
    while (!signal.aborted && isCurrent()) {
      try {
        const connection = await connect(server, signal);
        if (won.length > 0) return discard(connection);
        won.push({ server, connection });
      } catch (error) {
        if (signal.aborted) return;
        onFailure(server, error);
        await sleep(backoff.next(), signal, clock).catch(() => undefined);
        continue;
      }
      break;
    }
    over.abort(new Error('the race is over'));
  };
  await Promise.all(servers.map(tryServer));
  return won[0];
}
