/**
 * What the server itself does beside answering: default RBAC, the authorizer's index, aggregated roles, the status
 * of quotas, the end of bootstrap tokens and old events, and renewal of its own certificates.
 */

import { describe, type Logger } from '../log/log.ts';
import type { ServerPki } from '../pki/server-pki.ts';
import type { Backend } from '../store/backend.ts';
import { Backoff } from '../wait/backoff.ts';
import { type Clock, sleep } from '../wait/clock.ts';
import { followQuotas } from './admission/follow-quotas.ts';
import { reconcileBootstrapPolicy } from './auth/bootstrap/reconcile.ts';
import { cleanTokens } from './auth/clean-tokens.ts';
import { followRbac } from './auth/follow-rbac.ts';
import type { Rbac } from './auth/rbac.ts';
import { cleanEvents } from './clean-events.ts';
import type { Registry } from './contract.ts';

/** Certificates are renewed months before their end, but a clock without a battery is put right long after the start. */
const CERTIFICATE_CHECK_MS = 10 * 60_000;

export interface UpkeepOptions {
  readonly store: Backend;
  readonly registry: Registry;
  readonly rbac: Rbac;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Runs until the signal aborts; never rejects. */
export async function keepUp(options: UpkeepOptions): Promise<void> {
  await ensurePolicy(options);
  await Promise.all([
    followRbac(options),
    followQuotas(options),
    cleanTokens(options),
    cleanEvents(options),
  ]);
}

async function ensurePolicy({ registry, clock, log, signal }: UpkeepOptions): Promise<void> {
  const backoff = new Backoff({ firstMs: 100, maxMs: 10_000, jitter: 0.2 });
  while (!signal.aborted) {
    try {
      await reconcileBootstrapPolicy(registry);
      return;
    } catch (error) {
      log.warn('Writing the default RBAC objects failed', { error: describe(error) });
      await sleep(backoff.next(), signal, clock).catch(() => undefined);
    }
  }
}

export interface KeepPkiOptions {
  /** What loadServerPki made at start. */
  readonly current: ServerPki;
  /** loadServerPki with the options of the start and the time of now. */
  readonly load: () => Promise<ServerPki>;
  /** Called with new certificates; pass them to Listening.renew and into the kubeconfig. */
  readonly onRenewed: (pki: ServerPki) => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Renews the server's certificates while it runs, until the signal aborts; never rejects. */
export async function keepPki(options: KeepPkiOptions): Promise<void> {
  const { load, onRenewed, clock, log, signal } = options;
  let { server, admin } = options.current;
  while (!signal.aborted) {
    await sleep(CERTIFICATE_CHECK_MS, signal, clock).catch(() => undefined);
    if (signal.aborted) return;
    try {
      const pki = await load();
      const isNew =
        pki.server.certificate !== server.certificate ||
        pki.admin.certificate !== admin.certificate;
      ({ server, admin } = pki);
      if (!isNew) continue;
      onRenewed(pki);
      log.info('Renewed the certificates of the server');
    } catch (error) {
      log.error('Renewing the certificates of the server failed', { error: describe(error) });
    }
  }
}
