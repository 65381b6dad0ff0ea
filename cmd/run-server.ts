/** What `mini server` does: settings from flags, keys, control plane, kubeconfig, the agent it supervises, shutdown. */

import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { parseRange } from '../pkg/apiserver/admission/address-range.ts';
import { keepPki } from '../pkg/apiserver/upkeep.ts';
import { createLogger, type Level } from '../pkg/log/log.ts';
import { readIfPresent, writePrivateFile } from '../pkg/pki/file.ts';
import { formatKubeconfig } from '../pkg/pki/kubeconfig.ts';
import { loadServerPki, type ServerPki } from '../pkg/pki/server-pki.ts';
import { loadServerTokens, type ServerTokens } from '../pkg/pki/server-tokens.ts';
import { systemClock } from '../pkg/wait/clock.ts';
import { findAssets } from './assets.ts';
import { type Flags, UserError } from './command.ts';
import { startControlPlane } from './control-plane.ts';
import { defaultNodeIp, defaultNodeName } from './node-defaults.ts';
import { writePidFile } from './pid-file.ts';
import { shutdownSignal } from './shutdown.ts';
import { superviseAgent } from './supervise-agent.ts';

/** The tenth service address answers DNS, as in k3s. */
const DNS_ADDRESS = 10;

interface Settings {
  readonly dataDir: string;
  readonly runDir: string;
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly serviceCidr: string;
  readonly clusterDns: string;
  /** URL for clients on this host. */
  readonly localUrl: (port: number) => string;
}

/** Runs until a signal ends it; resolves to the exit code. */
export async function runServer(flags: Flags): Promise<number> {
  // Frees memory that a burst left behind; measured to halve what stays resident.
  setFlagsFromString('--memory-saver-mode');
  const log = createLogger(flags.text('log-level') as Level);
  const settings = readSettings(flags);
  const stopping = shutdownSignal();
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o755 });
  mkdirSync(settings.runDir, { recursive: true, mode: 0o755 });
  const removePidFile = writePidFile(settings.runDir, 'server');
  const load = () => loadPki(settings, flags.list('tls-san'));
  const pki = await load();
  const tokens = loadTokens(settings.dataDir, pki, flags);
  const controlPlane = await startControlPlane({
    assets: findAssets(),
    dataDir: settings.dataDir,
    pki,
    host: settings.host,
    port: settings.port,
    clusterCidr: flags.text('cluster-cidr'),
    serviceCidr: settings.serviceCidr,
    clusterDns: settings.clusterDns,
    clusterDomain: flags.text('cluster-domain'),
    passwords: tokens.passwords,
    addresses: settings.nodeIps,
    log,
    signal: stopping.signal,
  });
  const url = settings.localUrl(controlPlane.port);
  writeKubeconfig(flags, url, pki);
  void keepPki({
    current: pki,
    load,
    onRenewed: (renewed) => {
      controlPlane.renew(renewed);
      writeKubeconfig(flags, url, renewed);
    },
    clock: systemClock,
    log,
    signal: stopping.signal,
  });
  log.info('Server answers', {
    url,
    kubeconfig: flags.text('write-kubeconfig'),
    ms: Math.round(performance.now()),
  });
  const agent = flags.isSet('disable-agent')
    ? undefined
    : superviseAgent({
        flags,
        url,
        token: tokens.token,
        nodeName: settings.nodeName,
        nodeIps: settings.nodeIps,
        log,
        signal: stopping.signal,
      });
  await stopping.asked;
  log.info('Server stops; containers go on');
  await agent?.stopped;
  await controlPlane.close();
  removePidFile();
  log.info('Server stopped');
  return 0;
}

function readSettings(flags: Flags): Settings {
  const serviceCidr = flags.text('service-cidr');
  const host = flags.text('bind-address');
  try {
    for (const cidr of [serviceCidr, flags.text('cluster-cidr')]) {
      if (parseRange(cidr).size < DNS_ADDRESS) throw new Error(`${cidr} has too few addresses`);
    }
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error));
  }
  if (process.getuid?.() !== 0 && !flags.isSet('disable-agent')) {
    throw new UserError(
      'mini server runs containers and must be started as root (or with --disable-agent)',
    );
  }
  const local = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return {
    dataDir: flags.text('data-dir'),
    runDir: flags.text('run-dir'),
    nodeName: flags.optional('node-name') ?? defaultNodeName(),
    nodeIps: flags.list('node-ip').length > 0 ? flags.list('node-ip') : [defaultNodeIp()],
    host,
    port: flags.number('https-listen-port'),
    serviceCidr,
    clusterDns: flags.optional('cluster-dns') ?? parseRange(serviceCidr).at(DNS_ADDRESS),
    localUrl: (port) => `https://${local.includes(':') ? `[${local}]` : local}:${port}`,
  };
}

function loadPki(settings: Settings, extraNames: readonly string[]): Promise<ServerPki> {
  const names = [
    settings.nodeName,
    ...settings.nodeIps,
    parseRange(settings.serviceCidr).at(1),
    ...extraNames,
  ];
  if (settings.host !== '0.0.0.0' && settings.host !== '::') names.push(settings.host);
  return loadServerPki({ dir: join(settings.dataDir, 'server', 'tls'), names, now: Date.now() });
}

/** The tokens under which nodes join: as given, as an earlier start left them, or new ones. */
function loadTokens(dataDir: string, pki: ServerPki, flags: Flags): ServerTokens {
  const token = flags.optional('token') ?? readTokenFile(flags);
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

function readTokenFile(flags: Flags): string | undefined {
  const path = flags.optional('token-file');
  if (path === undefined) return undefined;
  const text = readIfPresent(path)?.trim();
  if (!text) throw new UserError(`Token file ${path} does not exist or is empty`);
  return text;
}

function writeKubeconfig(flags: Flags, server: string, pki: ServerPki): void {
  const path = flags.text('write-kubeconfig');
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writePrivateFile(path, formatKubeconfig({ server, ca: pki.ca.certificate, client: pki.admin }));
}
