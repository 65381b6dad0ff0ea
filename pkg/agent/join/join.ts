/**
 * The node's side of joining: fetches the CA without trust, compares it with the token's hash, and only then shows
 * the secret; keeps what it gets under <dataDir>/agent, so that a restart needs no token; renews it while running.
 */

import { X509Certificate } from 'node:crypto';
import { describe, type Logger } from '../../log/log.ts';
import type { ClusterSettings } from '../../pki/join-protocol.ts';
import { isRenewalDue, newKey, renewalTime } from '../../pki/key-pair.ts';
import { caHash, type JoinToken, parseToken } from '../../pki/token.ts';
import type { ClientTls } from '../../tunnel/dial-socket.ts';
import type { Environment } from '../../tunnel/proxy.ts';
import { Backoff } from '../../wait/backoff.ts';
import { type Clock, sleep, systemClock } from '../../wait/clock.ts';
import { fetchCa, JoinError, postJoin } from './join-calls.ts';
import {
  nodePassword,
  readCredentials,
  type StoredCredentials,
  writeCredentials,
} from './join-files.ts';

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;
/** A certificate that the server does not accept is replaced at most this often. */
const REJOIN_INTERVAL_MS = 60_000;
/** How long after a failed renewal the next attempt comes; renewal begins months before the end. */
const RENEWAL_RETRY_MS = 60 * 60_000;
/** Between two looks at when the certificate is due. */
const RENEWAL_LOOK_MS = 10 * 60_000;

export interface JoinOptions {
  /** URLs, tried in turn. */
  readonly servers: readonly string[];
  /** Needed only as long as the node has no credentials. */
  readonly token?: string;
  readonly nodeName: string;
  readonly dataDir: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly env?: Environment;
  /** Gives up on unreachable servers after this; absent = tries until the signal aborts. */
  readonly unreachableMs?: number;
}

/** What a node is let in with; the getters always give the latest, renewed ones included. */
export interface NodeCredentials {
  readonly nodeName: string;
  /** For dialTunnel: a function, so that a renewed certificate is used. */
  tls(): ClientTls;
  /** All servers known: those given first, then those the cluster told of. */
  servers(): readonly string[];
  readonly cluster: ClusterSettings;
  /** Renews the certificate whenever it is due, until the signal aborts. Never rejects. */
  keepRenewed(): Promise<void>;
  /**
   * Joins again with the token of the start, when the server does not accept the certificate any more. Without a
   * token it only says so. Never rejects; calls that come too soon after another do nothing.
   */
  rejoin(): Promise<void>;
}

/** Loads what a first join needs: for a caller that has time before it may join. */
export async function prepareJoin(dataDir: string): Promise<void> {
  if (!readCredentials(dataDir)) await import('../../pki/x509.ts');
}

/** Joins, or takes up where the last run stopped. Throws JoinError when that cannot work without a person. */
export async function joinCluster(options: JoinOptions): Promise<NodeCredentials> {
  const token = options.token === undefined ? undefined : parseOrRefuse(options.token);
  const stored = usable(options, token);
  const first = stored ?? (await joinWithToken(options, token));
  return credentialsOf(options, { first, token });
}

function parseOrRefuse(text: string): JoinToken {
  try {
    return parseToken(text);
  } catch (cause) {
    throw new JoinError('BadToken', describe(cause), { cause });
  }
}

function usable(options: JoinOptions, token: JoinToken | undefined): StoredCredentials | undefined {
  const { dataDir, nodeName, clock = systemClock } = options;
  const stored = readCredentials(dataDir);
  if (!stored) return undefined;
  if (token?.caHash !== undefined && token.caHash !== caHash(stored.ca)) {
    throw new JoinError(
      'OtherCluster',
      `${dataDir}/agent belongs to a cluster with another CA than the token's; remove it to join the new one`,
    );
  }
  // Under another name it is another node, which joins anew.
  const parsed = new X509Certificate(stored.certificate);
  const isSameName =
    parsed.subject.includes(`CN=system:node:${nodeName}`) && stored.nodeName === nodeName;
  return isSameName && Date.parse(parsed.validTo) > clock.now() ? stored : undefined;
}

async function joinWithToken(
  options: JoinOptions,
  token: JoinToken | undefined,
): Promise<StoredCredentials> {
  const { dataDir, nodeName, log, clock = systemClock } = options;
  if (!token) {
    throw new JoinError(
      'BadToken',
      'A token is needed to join (--token); the server keeps it in <data-dir>/server/node-token',
    );
  }
  if (token.caHash === undefined)
    log.warn('The token carries no CA hash, so the server cannot be verified');
  const key = newKey();
  const answer = await tryServers(options, async (server) => {
    const call = { server, ...pass(options) };
    const ca = await fetchCa({ ...call, now: clock.now() }, token.caHash);
    return await postJoin({
      ...call,
      tls: { ca },
      secret: token.secret,
      key,
      nodeName,
      nodePassword: nodePassword(dataDir),
      now: clock.now(),
    });
  });
  const stored = {
    ...answer,
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    nodeName,
  };
  writeCredentials(dataDir, stored);
  log.info('Joined cluster', { node: nodeName });
  return stored;
}

/** Asks one server after another until one answers; a refusal is final, silence is not. */
async function tryServers<T>(
  options: JoinOptions,
  ask: (server: string) => Promise<T>,
): Promise<T> {
  const {
    servers,
    signal,
    log,
    unreachableMs = Number.POSITIVE_INFINITY,
    clock = systemClock,
  } = options;
  const backoff = new Backoff({ firstMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS, jitter: 0.3 });
  const since = clock.monotonic();
  for (let turn = 0; ; turn += 1) {
    const server = servers[turn % servers.length];
    if (server === undefined) throw new JoinError('BadRequest', 'No server is given (--server)');
    try {
      return await ask(server);
    } catch (error) {
      throwIfFinal(error, signal);
      const isLast = (turn + 1) % servers.length === 0;
      if (isLast && clock.monotonic() - since >= unreachableMs) throw error;
      log.warn('Joining failed, will try again', { server, error: describe(error) });
      if (isLast) await sleep(backoff.next(), signal, clock);
    }
  }
}

function throwIfFinal(error: unknown, signal: AbortSignal): void {
  signal.throwIfAborted();
  if (!(error instanceof JoinError) || error.code !== 'Unreachable') throw error;
}

interface Start {
  readonly first: StoredCredentials;
  readonly token: JoinToken | undefined;
}

function credentialsOf(options: JoinOptions, { first, token }: Start): NodeCredentials {
  const { clock = systemClock, signal, log } = options;
  let current = first;
  let rejoinedMs = Number.NEGATIVE_INFINITY;
  return {
    nodeName: options.nodeName,
    tls: () => ({ ca: current.ca, cert: current.certificate, key: current.key }),
    servers: () => [...new Set([...options.servers, ...current.cluster.servers])],
    get cluster() {
      return current.cluster;
    },
    async keepRenewed() {
      while (!signal.aborted) {
        const dueMs = renewalTime(current.certificate) - clock.now();
        try {
          // The clock may be moved meanwhile, by years where it has no battery: it is looked at now and then.
          await sleep(Math.min(Math.max(dueMs, 0), RENEWAL_LOOK_MS), signal, clock);
          if (!isRenewalDue(current.certificate, clock.now())) continue;
          current = await renew(options, current);
        } catch (error) {
          if (signal.aborted) return;
          log.warn('Renewing the node certificate failed', { error: describe(error) });
          await sleep(RENEWAL_RETRY_MS, signal, clock).catch(() => undefined);
        }
      }
    },
    async rejoin() {
      if (clock.monotonic() - rejoinedMs < REJOIN_INTERVAL_MS) return;
      rejoinedMs = clock.monotonic();
      if (!token) {
        log.error(
          'The server does not accept the certificate of this node; start the agent with --token to join again',
        );
        return;
      }
      try {
        // The cluster is known: it must be the same one, whatever the token says of it.
        const caHashed = { ...token, caHash: caHash(current.ca) };
        current = await joinWithToken({ ...options, unreachableMs: 0 }, caHashed);
      } catch (error) {
        if (!signal.aborted) log.error('Joining again failed', { error: describe(error) });
      }
    },
  };
}

async function renew(options: JoinOptions, current: StoredCredentials): Promise<StoredCredentials> {
  const { dataDir, nodeName, log, clock = systemClock } = options;
  const key = newKey();
  const tls = { ca: current.ca, cert: current.certificate, key: current.key };
  const servers = [...new Set([...options.servers, ...current.cluster.servers])];
  const answer = await tryServers({ ...options, servers, unreachableMs: 0 }, (server) =>
    postJoin({
      server,
      ...pass(options),
      tls,
      key,
      nodeName,
      nodePassword: nodePassword(dataDir),
      now: clock.now(),
    }),
  );
  const renewed = {
    ...answer,
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    nodeName,
  };
  writeCredentials(dataDir, renewed);
  log.info('Renewed node certificate', { node: nodeName });
  return renewed;
}

function pass({ signal, env }: JoinOptions) {
  return { signal, ...(env ? { env } : {}) };
}
