/** What `mini agent` does: joins, keeps the tunnel up, opens runtime, images, network and engine, and runs the node. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, startAgent } from '../pkg/agent/agent.ts';
import { serveImages } from '../pkg/agent/image-api.ts';
import { joinCluster, type NodeCredentials, prepareJoin } from '../pkg/agent/join/join.ts';
import { JoinError } from '../pkg/agent/join/join-calls.ts';
import { createClient } from '../pkg/client/create-client.ts';
import { httpTransport } from '../pkg/client/http-transport.ts';
import type { Engine } from '../pkg/engine/engine.ts';
import { openEngine } from '../pkg/engine/open-engine.ts';
import { openImageStore } from '../pkg/image/store.ts';
import { createLogger, type Level, type Logger } from '../pkg/log/log.ts';
import { createNetwork, type Network } from '../pkg/network/network.ts';
import { tableName } from '../pkg/network/rules.ts';
import { createRuntime } from '../pkg/runtime/create-runtime.ts';
import { HostEvents } from '../pkg/runtime/host-events.ts';
import type { Runtime } from '../pkg/runtime/runtime.ts';
import { dialTunnel } from '../pkg/tunnel/dial.ts';
import { createTunnelAgent } from '../pkg/tunnel/http-agent.ts';
import type { Session } from '../pkg/tunnel/session.ts';
import { systemClock } from '../pkg/wait/clock.ts';
import { type Assets, findAssets, VERSION } from './assets.ts';
import { nodeFindings, requireHost } from './checks/host.ts';
import { type Flags, UsageError, UserError } from './command.ts';
import { importHello } from './hello-image.ts';
import { saveMemory } from './memory-mode.ts';
import { defaultNodeName } from './node-defaults.ts';
import { manifestPath, readNodeSettings, readToken, shutdownGroups } from './node-settings.ts';
import { claim } from './pid-file.ts';
import { type FoundRuntime, findRuntimes } from './runtimes.ts';
import { type Shutdown, shutdownSignal } from './shutdown.ts';

const CONNECT_PATH = '/v1-mini/connect';
/** Requests of the agent's client are HTTP inside the tunnel; the host name in them is never resolved. */
const TUNNEL_URL = 'http://kubernetes';
const HTTP_UNAUTHORIZED = 401;
const REGISTRIES = '/etc/mini/registries.yaml';

/** Runs until a signal ends it; resolves to the exit code. */
export async function runAgent(flags: Flags): Promise<number> {
  if (process.getuid?.() !== 0)
    throw new UserError('mini agent runs containers and must be started as root');
  if (flags.list('server').length === 0)
    throw new UsageError('A server to join is needed: --server https://<address>:6443');
  const log = createLogger(flags.text('log-level') as Level);
  const stopping = shutdownSignal();
  const dataDir = flags.text('data-dir');
  const runDir = flags.text('run-dir');
  const release = claim('agent', { '--data-dir': dataDir, '--run-dir': runDir });
  const assets = findAssets();
  const endSaving = saveMemory();
  try {
    const runtimes = await findRuntimes(flags);
    const findings = [...nodeFindings({ dataDir, runDir }), ...runtimes.findings];
    const degraded = requireHost(findings, log);
    // The helper is forked off while this process is small.
    const runtime = await createRuntime({
      helper: assets.helper,
      nft: assets.nft,
      runDir,
      log: log.with({ part: 'runtime' }),
    });
    try {
      const handlers = runtimes.found;
      await runNode({ flags, assets, runtime, handlers, dataDir, runDir, degraded, log, stopping });
    } finally {
      await runtime.close();
    }
  } finally {
    endSaving();
    release();
  }
  return 0;
}

interface NodeRun {
  readonly flags: Flags;
  readonly assets: Assets;
  readonly runtime: Runtime;
  readonly handlers: readonly FoundRuntime[];
  readonly dataDir: string;
  readonly runDir: string;
  readonly degraded: readonly string[];
  readonly log: Logger;
  readonly stopping: Shutdown;
}

async function runNode(run: NodeRun): Promise<void> {
  const { flags, dataDir, runDir, degraded, log, stopping } = run;
  const { signal } = stopping;
  const nodeName = flags.optional('node-name') ?? defaultNodeName();
  const joining = joinNode({ flags, nodeName, dataDir, log, stopping });
  joining.catch(() => undefined); // Told below, once the host is open.
  const host = await openHost(run);
  let credentials: NodeCredentials;
  try {
    credentials = await joining;
  } catch (error) {
    await host.close();
    if (signal.aborted) return;
    throw error;
  }
  host.network.setClusterCidr(credentials.cluster.clusterCidr);
  const agent = Promise.withResolvers<Agent>();
  const connected = Promise.withResolvers<void>();
  const tunnel = dialTunnel({
    servers: () => credentials.servers(),
    path: CONNECT_PATH,
    tls: () => credentials.tls(),
    log: log.with({ part: 'tunnel' }),
    signal,
    onSession: (session) => {
      serveNode(session, agent.promise);
      connected.resolve();
    },
    onRefused: ({ status }) => {
      if (status === HTTP_UNAUTHORIZED) void credentials.rejoin();
    },
  });
  const transport = httpTransport({
    servers: [TUNNEL_URL],
    agent: createTunnelAgent(() => tunnel.open({ kind: 'api' })),
  });
  // Its first requests would only fail before the tunnel stands. Static pods do not wait for it.
  if (!hasManifests(manifestPath(flags))) await Promise.race([connected.promise, stopping.asked]);
  const started = await startAgent({
    ...readNodeSettings(flags),
    nodeName,
    version: VERSION,
    degraded,
    client: createClient(transport),
    engine: host.engine,
    network: host.network,
    volumeHost: run.runtime,
    memoryEvents: host.events,
    handlers: run.handlers,
    dataDir,
    runDir,
    clusterDns: [],
    clusterDomain: credentials.cluster.clusterDomain,
    log: log.with({ part: 'agent' }),
    clock: systemClock,
    signal,
  });
  agent.resolve(started);
  const groups = shutdownGroups(flags);
  if (groups.length > 0) stopping.beforeTerm(() => started.shutDown(groups));
  void credentials.keepRenewed();
  log.info('Node runs', { node: nodeName, ms: Math.round(performance.now()) });
  await stopping.asked;
  log.info('Agent stops; containers go on');
  await started.close();
  transport.close();
  await host.close();
}

function hasManifests(directory: string): boolean {
  try {
    return readdirSync(directory).length > 0;
  } catch {
    return false; // Not made yet.
  }
}

/** Streams that the server opens go to the node's API, which may still be starting. */
function serveNode(session: Session, agent: Promise<Agent>): void {
  session.onStream = (header, stream) => {
    if (header.kind === 'node') void agent.then((started) => started.serveStream(stream));
    else stream.destroy(new Error(`a server opens no ${header.kind} streams`));
  };
}

interface OpenHost {
  readonly engine: Engine;
  readonly network: Network;
  readonly events: HostEvents;
  close(): Promise<void>;
}

/** Images, network and engine of this host, with the embedded image imported and `mini image` served. */
async function openHost({
  flags,
  assets,
  runtime,
  handlers,
  dataDir,
  runDir,
  log,
}: NodeRun): Promise<OpenHost> {
  const imageLog = log.with({ part: 'image' });
  const images = await openImageStore({ dataDir, runtime, log: imageLog, registries: REGISTRIES });
  const imageApi = await serveImages({ path: join(runDir, 'agent.sock'), images, log: imageLog });
  const bridge = flags.text('bridge');
  const network = await createNetwork({
    runtime,
    dataDir,
    log: log.with({ part: 'network' }),
    bridge,
  });
  const { containerLogs } = readNodeSettings(flags).limits;
  const engine = await openEngine({
    runtime,
    images,
    network,
    dataDir,
    handlers: new Map(handlers.map((handler) => [handler.name, handler])),
    log: log.with({ part: 'engine' }),
    logLimits: { maxBytes: containerLogs.maxBytes, maxFiles: containerLogs.maxFiles - 1 },
  });
  // The engine holds the images that are in use by now, so that the one this replaces may go.
  await importHello(images, assets.helloImage);
  const events = new HostEvents({
    watch: (memoryBytes) => runtime.watchHost(tableName(bridge), memoryBytes),
    log: log.with({ part: 'host' }),
  });
  events.onRules(() => network.restoreRules());
  return {
    engine,
    network,
    events,
    async close() {
      await events.close();
      network.close();
      await imageApi.close();
      await engine.close();
      await images.close();
    },
  };
}

interface Joining {
  readonly flags: Flags;
  readonly nodeName: string;
  readonly dataDir: string;
  readonly log: Logger;
  readonly stopping: Shutdown;
}

async function joinNode({
  flags,
  nodeName,
  dataDir,
  log,
  stopping,
}: Joining): Promise<NodeCredentials> {
  const { signal, goAhead, asked } = stopping;
  // A supervised agent is started before its server can answer.
  if (goAhead !== undefined) await prepareJoin(dataDir);
  const word = goAhead && (await Promise.race([goAhead, asked]));
  signal.throwIfAborted();
  const token = word ?? readToken(flags);
  try {
    return await joinCluster({
      servers: flags.list('server'),
      ...(token === undefined ? {} : { token }),
      nodeName,
      dataDir,
      signal,
      log: log.with({ part: 'join' }),
    });
  } catch (error) {
    if (error instanceof JoinError) throw new UserError(error.message, { cause: error.cause });
    throw error;
  }
}
