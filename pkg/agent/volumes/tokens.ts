/**
 * Tokens of service accounts for projected volumes: one request for each (pod, audience), kept until 80 % of its
 * life is over, then asked for anew; a timer tells the pod's worker when. Servers judge tokens by the wall clock, so
 * all are asked for anew after it was moved.
 */

import type { Pod, TokenRequest } from '../../api/generated/types.ts';
import type { Client } from '../../client/client.ts';
import type { Clock } from '../../wait/clock.ts';
import { clockOffset, JUMP_MIN_MS } from '../../wait/clock-jumps.ts';
import type { TokenRequestOptions } from './payload-of.ts';

const REFRESH_SHARE = 0.8;
/** Kubernetes renews at the latest after a day, however long the token lives. */
const MAX_AGE_MS = 24 * 3600 * 1000;

interface Entry {
  readonly token: string;
  /** By the monotonic clock. */
  readonly refreshAtMs: number;
  /** See clockOffset; when it was made. */
  readonly offsetMs: number;
}

interface TokensOptions {
  readonly client: Client;
  readonly clock: Clock;
}

export class Tokens {
  readonly #options: TokensOptions;
  readonly #entries = new Map<string, Map<string, Entry>>();

  constructor(options: TokensOptions) {
    this.#options = options;
  }

  async get(pod: Pod, options: TokenRequestOptions, signal: AbortSignal): Promise<string> {
    const { uid } = pod.metadata;
    const key = JSON.stringify(options);
    const mine = this.#entries.get(uid) ?? new Map<string, Entry>();
    const known = mine.get(key);
    if (known && this.#refreshAtMs(known) > this.#options.clock.monotonic()) return known.token;
    const entry = await this.#request(pod, options, signal);
    mine.set(key, entry);
    this.#entries.set(uid, mine);
    return entry.token;
  }

  /** When the first of the pod's tokens must be renewed, by the monotonic clock. */
  refreshAtMs(uid: string): number | undefined {
    const times = [...(this.#entries.get(uid)?.values() ?? [])].map((entry) =>
      this.#refreshAtMs(entry),
    );
    return times.length === 0 ? undefined : Math.min(...times);
  }

  forget(uid: string): void {
    this.#entries.delete(uid);
  }

  #refreshAtMs({ refreshAtMs, offsetMs }: Entry): number {
    const movedMs = Math.abs(clockOffset(this.#options.clock) - offsetMs);
    return movedMs >= JUMP_MIN_MS ? 0 : refreshAtMs;
  }

  async #request(pod: Pod, options: TokenRequestOptions, signal: AbortSignal): Promise<Entry> {
    const { namespace = '', name, uid } = pod.metadata;
    const { client, clock } = this.#options;
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: {},
      spec: {
        audiences: options.audience ? [options.audience] : [],
        expirationSeconds: options.expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    };
    const account = { namespace, name: pod.spec.serviceAccountName ?? 'default' };
    const answer = await client.createSub<TokenRequest>(
      'serviceaccounts',
      account,
      'token',
      body,
      signal,
    );
    const token = answer.status?.token;
    if (!token) throw new Error(`the server gave no token for service account ${account.name}`);
    const expiresMs = Date.parse(answer.status?.expirationTimestamp ?? '');
    const lifeMs = Number.isFinite(expiresMs)
      ? expiresMs - clock.now()
      : options.expirationSeconds * 1000;
    const keepMs = Math.min(lifeMs * REFRESH_SHARE, MAX_AGE_MS);
    return { token, refreshAtMs: clock.monotonic() + keepMs, offsetMs: clockOffset(clock) };
  }
}
