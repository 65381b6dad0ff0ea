/**
 * Puts the control plane together: store, API server, controllers, scheduler, all in this process and joined by
 * direct calls. Started by server.ts; everything ends with the signal.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createAdmissions } from '../pkg/apiserver/admission/admissions.ts';
import { createAuthenticator } from '../pkg/apiserver/auth/authenticator.ts';
import { createAuthorizer } from '../pkg/apiserver/auth/authorizer.ts';
import { bootstrapCluster } from '../pkg/apiserver/auth/bootstrap/cluster.ts';
import { createOidcHandlers } from '../pkg/apiserver/auth/oidc.ts';
import type { Rbac } from '../pkg/apiserver/auth/rbac.ts';
import { createReviewAnswerers } from '../pkg/apiserver/auth/reviews.ts';
import { createAccountTokens } from '../pkg/apiserver/auth/service-account-tokens.ts';
import { createTokenAnswerer } from '../pkg/apiserver/auth/token-request.ts';
import { createTokenSigner } from '../pkg/apiserver/auth/token-signer.ts';
import type { User } from '../pkg/apiserver/contract.ts';
import { createJoinHandlers } from '../pkg/apiserver/join.ts';
import { NodeSessions } from '../pkg/apiserver/nodes.ts';
import { nodeUpgradeHandler } from '../pkg/apiserver/peer-user.ts';
import { createRegistry, type StoredRegistry } from '../pkg/apiserver/registry.ts';
import { type ApiServer, createApiServer } from '../pkg/apiserver/server.ts';
import { keepUp } from '../pkg/apiserver/upkeep.ts';
import type { Logger } from '../pkg/log/log.ts';
import type { ServerPki } from '../pkg/pki/server-pki.ts';
import type { Backend } from '../pkg/store/backend.ts';
import { openSqlite } from '../pkg/store/sqlite.ts';
import { systemClock } from '../pkg/wait/clock.ts';
import { startActors } from './actors.ts';
import { type Assets, KUBERNETES_VERSION, VERSION } from './assets.ts';

export interface ControlPlaneOptions {
  readonly store: Backend;
  readonly pki: ServerPki;
  readonly host: string;
  readonly port: number;
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly clusterDns: string;
  readonly clusterDomain: string;
  /** Components not to run: `controllers`, `scheduler`, `local-storage`. */
  readonly disabled: readonly string[];
  /** Secrets that join a node, by user of the token. */
  readonly passwords: Readonly<Record<string, string>>;
  /** Addresses at which agents and pods reach this server. */
  readonly addresses: readonly string[];
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface ControlPlane {
  readonly port: number;
  readonly api: ApiServer;
  /** New connections use these certificates. */
  renew(pki: ServerPki): void;
  /** Ends what the signal does not: call it after the signal aborted. */
  close(): Promise<void>;
}

/** Actors in this process act as this user: bound to cluster-admin by its group, and never authenticated. */
const SYSTEM: User = { name: 'system:mini', groups: ['system:masters', 'system:authenticated'] };

/** Opens the store, which startControlPlane closes. */
export async function openStore(assets: Assets, dataDir: string, log: Logger): Promise<Backend> {
  const directory = join(dataDir, 'server', 'db');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return openSqlite({
    file: join(directory, 'state.db'),
    log: log.with({ part: 'store' }),
    ...(assets.store ? { bundle: assets.store } : {}),
  });
}

/** Serves the API; resolves when it answers. Controllers and scheduler start right after. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { store, pki, log, signal } = options;
  const registry = createRegistry({ store, clock: systemClock });
  const { api, nodes, rbac } = createServer(options, store, registry);
  await bootstrapCluster({
    registry,
    serviceCidr: options.serviceCidr,
    addresses: options.addresses,
    port: options.port,
    hasLocalStorage: !options.disabled.includes('local-storage'),
  });
  void keepUp({ store, registry, rbac, clock: systemClock, log, signal });
  const listening = await api.listen({ host: options.host, port: options.port, tls: tlsOf(pki) });
  startActors({
    api,
    user: SYSTEM,
    ca: pki.ca.certificate,
    clusterCidr: options.clusterCidr,
    disabled: options.disabled,
    log,
    signal,
  });
  return {
    port: listening.port,
    api,
    renew: (renewed) => listening.renew(tlsOf(renewed)),
    async close() {
      nodes.close();
      await listening.close();
      await api.close();
      await store.close();
    },
  };
}

interface Wired {
  readonly api: ApiServer;
  readonly nodes: NodeSessions;
  readonly rbac: Rbac;
}

function createServer(
  options: ControlPlaneOptions,
  store: Backend,
  registry: StoredRegistry,
): Wired {
  const { pki, log } = options;
  const now = () => systemClock.now();
  const signer = createTokenSigner({ ...pki.serviceAccountKey, now });
  const audiences = [signer.issuer];
  const accountTokens = createAccountTokens({ registry, signer, now });
  const authorizer = createAuthorizer(registry);
  const authenticator = createAuthenticator({ registry, accountTokens, audiences, now });
  const nodes: NodeSessions = new NodeSessions({
    log: log.with({ part: 'tunnel' }),
    serveStream: (stream, user) => api.serveStream(stream, user),
  });
  const api: ApiServer = createApiServer({
    registry,
    store,
    authenticator,
    authorizer,
    admissions: createAdmissions({
      authorizer,
      rbac: authorizer.rbac,
      serviceCidrs: options.serviceCidr.split(','),
      now,
    }),
    answerers: [
      ...createReviewAnswerers({ authorizer, rbac: authorizer.rbac, accountTokens, audiences }),
      createTokenAnswerer({ registry, signer, audiences, now }),
    ],
    nodes,
    log: log.with({ part: 'apiserver' }),
    clock: systemClock,
    version: {
      gitVersion: `v${KUBERNETES_VERSION}+mini`,
      gitCommit: VERSION,
      buildDate: '1970-01-01T00:00:00Z',
    },
    extraHandlers: [
      ...createJoinHandlers({
        registry,
        ca: pki.ca,
        passwords: () => options.passwords,
        cluster: () => clusterSettings(options),
        log: log.with({ part: 'join' }),
        now,
      }),
      ...createOidcHandlers({ signer, authenticator, authorizer }),
    ],
    upgradeHandlers: [nodeUpgradeHandler(nodes)],
  });
  return { api, nodes, rbac: authorizer.rbac };
}

function clusterSettings({
  clusterCidr,
  serviceCidr,
  clusterDns,
  clusterDomain,
  addresses,
  port,
}: ControlPlaneOptions) {
  const servers = addresses.map((ip) => `https://${ip.includes(':') ? `[${ip}]` : ip}:${port}`);
  return { clusterCidr, serviceCidr, clusterDns, clusterDomain, servers };
}

function tlsOf(pki: ServerPki) {
  return { cert: pki.server.certificate, key: pki.server.key, clientCa: pki.ca.certificate };
}
