/** What `mini server` does: settings from flags, keys, control plane, kubeconfig, the agent it supervises, shutdown. */

import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { createLogger, type Level } from '../pkg/log/log.ts';
import { readIfPresent, writePrivateFile } from '../pkg/pki/file.ts';
import { formatKubeconfig } from '../pkg/pki/kubeconfig.ts';
import { loadServerPki, type ServerPki } from '../pkg/pki/server-pki.ts';
import { caHash, formatToken, newPassword, parseToken } from '../pkg/pki/token.ts';
import { findAssets } from './assets.ts';
import { firstAddress } from './bootstrap-objects.ts';
import { type Flags, UserError } from './command.ts';
import { startControlPlane } from './control-plane.ts';
import { defaultNodeIp, defaultNodeName } from './node-defaults.ts';
import { writePidFile } from './pid-file.ts';
import { shutdownSignal } from './shutdown.ts';
import { superviseAgent } from './supervise-agent.ts';

/** The tenth service address answers DNS, as in k3s. */
const DNS_ADDRESS = 10;
const TOKEN_USER = 'server';

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
  const pki = await loadPki(settings, flags.list('tls-san'));
  const token = loadToken(settings.dataDir, pki, flags);
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
    passwords: passwords(token, flags),
    servers: settings.nodeIps.map((ip) => `https://${ip}:${settings.port}`),
    log,
    signal: stopping.signal,
  });
  const url = settings.localUrl(controlPlane.port);
  writeKubeconfig(flags, url, pki);
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
        token,
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
    firstAddress(serviceCidr);
    firstAddress(flags.text('cluster-cidr'));
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
    clusterDns: flags.optional('cluster-dns') ?? firstAddress(serviceCidr, DNS_ADDRESS),
    localUrl: (port) => `https://${local.includes(':') ? `[${local}]` : local}:${port}`,
  };
}

function loadPki(settings: Settings, extraNames: readonly string[]): Promise<ServerPki> {
  const names = [
    settings.nodeName,
    ...settings.nodeIps,
    firstAddress(settings.serviceCidr),
    ...extraNames,
  ];
  if (settings.host !== '0.0.0.0' && settings.host !== '::') names.push(settings.host);
  return loadServerPki({ dir: join(settings.dataDir, 'server', 'tls'), names, now: Date.now() });
}

/** The token under which nodes join: as given, as an earlier start left it, or a new one. Kept in server/node-token. */
function loadToken(dataDir: string, pki: ServerPki, flags: Flags): string {
  const path = join(dataDir, 'server', 'node-token');
  const given = flags.optional('token') ?? readTokenFile(flags);
  const kept = readIfPresent(path)?.trim();
  const password = given === undefined ? undefined : passwordOf(given);
  const token =
    password === undefined && kept
      ? kept
      : formatToken({
          caHash: caHash(pki.ca.certificate),
          secret: { kind: 'password', user: TOKEN_USER, password: password ?? newPassword() },
        });
  if (token !== kept) writePrivateFile(path, `${token}\n`);
  return token;
}

function readTokenFile(flags: Flags): string | undefined {
  const path = flags.optional('token-file');
  if (path === undefined) return undefined;
  const text = readIfPresent(path)?.trim();
  if (!text) throw new UserError(`Token file ${path} does not exist or is empty`);
  return text;
}

/** A plain secret is a password; a whole token brings its own. */
function passwordOf(token: string): string {
  if (!token.includes('::')) return token;
  const { secret } = parseToken(token);
  if (secret.kind !== 'password')
    throw new UserError('A server cannot be started with a bootstrap token: it is for agents');
  return secret.password;
}

function passwords(token: string, flags: Flags): Record<string, string> {
  const server = passwordOf(token);
  const agentToken = flags.optional('agent-token');
  return { [TOKEN_USER]: server, node: agentToken === undefined ? server : passwordOf(agentToken) };
}

function writeKubeconfig(flags: Flags, server: string, pki: ServerPki): void {
  const path = flags.text('write-kubeconfig');
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writePrivateFile(path, formatKubeconfig({ server, ca: pki.ca.certificate, client: pki.admin }));
}
