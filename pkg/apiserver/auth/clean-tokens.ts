/** Removes bootstrap tokens after their end; until then an expired one is refused all the same. */

import { describe, type Logger } from '../../log/log.ts';
import { type Clock, sleep } from '../../wait/clock.ts';
import type { Registry } from '../contract.ts';
import { deleteExpiredTokens } from './bootstrap-tokens.ts';

const INTERVAL_MS = 60 * 60_000;

export interface CleanTokensOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Runs until the signal aborts; never rejects. */
export async function cleanTokens({
  registry,
  clock,
  log,
  signal,
}: CleanTokensOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      const count = await deleteExpiredTokens(registry, clock.now());
      if (count > 0) log.info('Deleted expired bootstrap tokens', { count });
    } catch (error) {
      log.warn('Deleting expired bootstrap tokens failed', { error: describe(error) });
    }
    await sleep(INTERVAL_MS, signal, clock).catch(() => undefined);
  }
}
