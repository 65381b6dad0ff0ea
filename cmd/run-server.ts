/** What `mini server` does: settings from flags, keys, control plane, kubeconfig, the agent it supervises, shutdown. */

import { chmodSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { keepPki } from '../pkg/apiserver/upkeep.ts';
import { createLogger, type Level, type Logger } from '../pkg/log/log.ts';
import { writePrivateFile } from '../pkg/pki/file.ts';
import { formatKubeconfig } from '../pkg/pki/kubeconfig.ts';
import { loadServerPki, type ServerPki } from '../pkg/pki/server-pki.ts';
import { loadServerTokens, type ServerTokens } from '../pkg/pki/server-tokens.ts';
import { systemClock } from '../pkg/wait/clock.ts';
import { type Assets, findAssets } from './assets.ts';
import { requireHost, serverFindings } from './checks/host.ts';
import { portProblem } from './checks/system.ts';
import { type Flags, UserError } from './command.ts';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  openStore,
  startControlPlane,
} from './control-plane.ts';
import { saveMemory } from './memory-mode.ts';
import { readToken, shutdownGroups } from './node-settings.ts';
import { claim } from './pid-file.ts';
import { readSettings, type Settings } from './server-settings.ts';
import { shutdownSignal } from './shutdown.ts';
import { superviseAgent } from './supervise-agent.ts';

/** Runs until a signal ends it; resolves to the exit code. */
export async function runServer(flags: Flags): Promise<number> {
  const log = createLogger(flags.text('log-level') as Level);
  const settings = readSettings(flags);
  const stopping = shutdownSignal();
  const { dataDir, runDir } = settings;
  requireHost(serverFindings(settings), log);
  const release = claim('server', { '--data-dir': dataDir, '--run-dir': runDir });
  const assets = findAssets();
  const endSaving = saveMemory();
  const failed = new AbortController();
  const signal = AbortSignal.any([stopping.signal, failed.signal]);
  const answering = Promise.withResolvers<string>();
  const agent = flags.isSet('disable-agent')
    ? undefined
    : superviseAgent({
        flags,
        url: settings.url,
        token: answering.promise,
        nodeName: settings.nodeName,
        nodeIps: settings.nodeIps,
        log,
        signal,
      });
  if (agent && shutdownGroups(flags).length > 0) stopping.beforeTerm(() => agent.shutDown());
  try {
    const { controlPlane, token } = await serve({ flags, settings, assets, log, signal });
    answering.resolve(token);
    await stopping.asked;
    log.info('Server stops; containers go on');
    await agent?.stopped;
    await controlPlane.close();
  } catch (error) {
    failed.abort(error);
    await agent?.stopped;
    throw error;
  } finally {
    endSaving();
    release();
  }
  log.info('Server stopped');
  return 0;
}

interface Serving {
  readonly flags: Flags;
  readonly settings: Settings;
  readonly assets: Assets;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Resolves when the API answers: to the control plane and the token under which nodes join. */
async function serve(serving: Serving) {
  const { settings, assets, log } = serving;
  // The store opens in its own thread while keys are made in this one.
  const opening = openStore(assets, settings.dataDir, log);
  const [loaded] = await Promise.allSettled([loadPki(settings), opening]);
  const store = await opening;
  let close = () => store.close();
  try {
    if (loaded.status === 'rejected') throw loaded.reason;
    const pki = loaded.value;
    const tokens = loadTokens(settings.dataDir, pki, serving.flags);
    const controlPlane = await start(serving, { store, pki, passwords: tokens.passwords });
    close = () => controlPlane.close();
    keepCertificates(serving, controlPlane, pki);
    return { controlPlane, token: tokens.token };
  } catch (error) {
    // What is open would keep the process alive.
    await close();
    throw error;
  }
}

type Opened = Pick<ControlPlaneOptions, 'store' | 'pki' | 'passwords'>;

async function start(
  { flags, settings, log, signal }: Serving,
  opened: Opened,
): Promise<ControlPlane> {
  const options = {
    ...opened,
    host: settings.host,
    port: settings.port,
    clusterCidr: settings.clusterCidr,
    serviceCidr: settings.serviceCidr,
    clusterDns: settings.clusterDns,
    clusterDomain: flags.text('cluster-domain'),
    disabled: flags.list('disable'),
    addresses: settings.nodeIps,
    log,
    signal,
  };
  try {
    return await startControlPlane(options);
  } catch (error) {
    if (!isListenError(error)) throw error;
    const { text, mend } = portProblem(error, options);
    throw new UserError(`${text}: ${mend}`);
  }
}

/** Writes the kubeconfig, now and whenever the certificates are renewed. */
function keepCertificates(
  { flags, settings, log, signal }: Serving,
  controlPlane: ControlPlane,
  pki: ServerPki,
): void {
  const { url } = settings;
  writeKubeconfig(flags, url, pki);
  void keepPki({
    current: pki,
    load: () => loadPki(settings),
    onRenewed: (renewed) => {
      controlPlane.renew(renewed);
      writeKubeconfig(flags, url, renewed);
    },
    clock: systemClock,
    log,
    signal,
  });
  log.info('Server answers', {
    url,
    kubeconfig: flags.text('write-kubeconfig'),
    ms: Math.round(performance.now()),
  });
}

function isListenError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen';
}

function loadPki({ dataDir, certificateNames }: Settings): Promise<ServerPki> {
  const dir = join(dataDir, 'server', 'tls');
  return loadServerPki({ dir, names: certificateNames, now: Date.now() });
}

/** The tokens under which nodes join: as given, as an earlier start left them, or new ones. */
function loadTokens(dataDir: string, pki: ServerPki, flags: Flags): ServerTokens {
  const token = readToken(flags);
  const agentToken = flags.optional('agent-token');
  try {
    return loadServerTokens({
      dir: join(dataDir, 'server'),
      ca: pki.ca.certificate,
      ...(token === undefined ? {} : { token }),
      ...(agentToken === undefined ? {} : { agentToken }),
    });
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error));
  }
}

function writeKubeconfig(flags: Flags, server: string, pki: ServerPki): void {
  const path = flags.text('write-kubeconfig');
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writePrivateFile(path, formatKubeconfig({ server, ca: pki.ca.certificate, client: pki.admin }));
  chmodSync(path, Number.parseInt(flags.text('write-kubeconfig-mode'), 8));
}
