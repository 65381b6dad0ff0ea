/**
 * The node's agent: registers the node, runs the pods that are bound to it, reports their state, and serves the
 * node's own API (logs, exec, attach, port-forward). It reaches the cluster through the client alone, so it runs the
 * same in the server's process and on any other node.
 */

import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Pod, Service, Taint } from '../api/generated/types.ts';
import { LOCAL_PATH } from '../api/volume-binding.ts';
import type { Client } from '../client/client.ts';
import type { Engine, VolumeHost } from '../engine/engine.ts';
import { Limiter } from '../image/limiter.ts';
import type { Logger } from '../log/log.ts';
import type { Clock } from '../wait/clock.ts';
import { NodeEvents } from './events.ts';
import type { Sensors } from './eviction/manager.ts';
import type { MemoryEvents } from './eviction/memory-watch.ts';
import { workingSet } from './eviction/usage.ts';
import { ImageAccess } from './images/image-access.ts';
import { startImageGc } from './images/start-image-gc.ts';
import { readHost } from './node/host.ts';
import { type NodeLimits, parseKubeletArgs } from './node/kubelet-args.ts';
import type { NodeOptions, RuntimeHandler } from './node/node-object.ts';
import { openNodeResources } from './node/node-resources.ts';
import { type PodNetwork, preparePodNetwork } from './node/pod-network.ts';
import { Registration } from './node/registration.ts';
import { allocatableOf, podsCgroup } from './node/reservations.ts';
import type { ShutdownGroup } from './node/shutdown.ts';
import { createNodeApi } from './node-api.ts';
import type { NodeContext } from './node-context.ts';
import { shutDown } from './node-shutdown.ts';
import { ObjectWatch } from './object-watch.ts';
import { orAborted } from './or-aborted.ts';
import type { Paths } from './paths.ts';
import { Admission } from './pod/admission.ts';
import { Pace } from './pod/pace.ts';
import { Pods } from './pod/pods.ts';
import { References } from './references.ts';
import { StaticPods } from './static/static-pods.ts';
import { measuredEngine, NodeMetrics } from './stats/node-metrics.ts';
import { Claims } from './volumes/claims.ts';
import { storageDirectory } from './volumes/local-path.ts';
import { PodCertificates } from './volumes/pod-certificates.ts';
import { Tokens } from './volumes/tokens.ts';
import { Volumes } from './volumes/volumes.ts';

export interface AgentOptions {
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  /** Added to the labels that every node has. */
  readonly labels: Readonly<Record<string, string>>;
  /** Given to the Node when it is first registered. */
  readonly taints: readonly Taint[];
  readonly client: Client;
  readonly engine: Engine;
  readonly network: PodNetwork;
  /** Mounts and limits volumes. */
  readonly volumeHost: VolumeHost;
  readonly dataDir: string;
  readonly runDir: string;
  /** Default: `<dataDir>/pods-logs`. */
  readonly podLogDir?: string;
  readonly clusterDns: readonly string[];
  /** Default: cluster.local. */
  readonly clusterDomain?: string;
  /** Directory of static pods' manifests. Default: `<dataDir>/agent/pod-manifests`. */
  readonly podManifestPath?: string;
  /** Cgroup of all pods; different for several minis on one host. Default: /mini. */
  readonly cgroupRoot?: string;
  /** Default: the kubelet's, with 500 pods. */
  readonly limits?: NodeLimits;
  /** OCI runtimes that the engine has besides its own. */
  readonly handlers?: readonly RuntimeHandler[];
  /** How the node's resources are measured; default: as the kernel tells. */
  readonly sensors?: Partial<Sensors>;
  /** How the kernel tells that memory gets short; absent = it is looked at now and then. */
  readonly memoryEvents?: MemoryEvents;
  readonly version: string;
  /** Features that the host lacks, each as a sentence with the way to mend it. */
  readonly degraded?: readonly string[];
  readonly log: Logger;
  readonly clock: Clock;
  /** Closes the agent when it aborts. */
  readonly signal?: AbortSignal;
}

export interface Agent {
  /** Serves the node's own API on a stream that the tunnel brought. */
  serveStream(stream: Duplex): void;
  /** Resolves once the pods that were there at start are looked after. */
  readonly synced: Promise<void>;
  /** The host goes down: takes no more pods and ends those there are, in this order. Never rejects. */
  shutDown(groups: readonly ShutdownGroup[]): Promise<void>;
  /** Stops looking after the node; its containers go on. */
  close(): Promise<void>;
}

const DEFAULT_CGROUP_ROOT = '/mini';
const DEFAULT_DOMAIN = 'cluster.local';

export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { client, engine, clock, log, nodeName } = options;
  await mkdir(options.runDir, { recursive: true, mode: 0o755 });
  const degraded = [...(options.degraded ?? []), ...(await memoryLack(options.runDir))];
  const node = nodeOptions({ ...options, degraded });
  const host = await readHost(options.dataDir);
  const network = Promise.withResolvers<void>();
  const events = new NodeEvents({ client, nodeName, log, clock });
  const services = watchServices(options);
  const onChange = (uid: string) => pods.referenceChanged(uid);
  const references = new References({ client, log, clock, onChange });
  const cgroupRoot = options.cgroupRoot ?? DEFAULT_CGROUP_ROOT;
  const cgroups = { engine, clock, log, cgroupRoot, whole: podsCgroup(node.limits, host) };
  const resources = await openNodeResources(() => context, cgroups);
  const allocatable = allocatableOf(node.limits, host);
  const admission = new Admission({ allocatable, node: () => registration.node });
  const context = await makeContext(options, {
    events,
    references,
    onChange,
    networkReady: network.promise,
    services: (signal) => synced(services, signal),
    memoryCapacityBytes: host.memoryBytes,
    limits: node.limits,
    pressure: resources.pressure,
    allocatedPods: () => pods.allocated(),
    memoryUsage: options.sensors?.memoryUsage ?? workingSet,
    cgroupRoot,
    node: { hostIps: options.nodeIps, allocatable },
    admission,
  });
  const pods = new Pods(context);
  const statics = staticPods(options, { events, pods });
  const onNetwork = { events, degraded, ready: () => network.resolve() };
  const setPodCidr = preparePodNetwork(options, onNetwork);
  const [{ images }, { pressure }] = [engine, resources];
  const parts = { client, images, host, clock, log, events, pressure, setPodCidr };
  const registration = new Registration({ ...parts, options: node });
  const imageGc = startImageGc(options, { events, limits: node.limits });
  const { sensors, memoryEvents } = options;
  const hooks = { reclaimDisk: [imageGc.freeAll], onPressure: () => registration.report() };
  const care = resources.start({ nodeName, pods, sensors, memoryEvents, ...hooks });
  const podWatch = watchPods(options, (key, pod) => {
    if (pods.onPod(key, pod)) statics.onMirror(key, pod);
    pods.retryResizes();
    care.podsChanged();
  });
  const api = createNodeApi({ nodeName, context, pods });

  const close = once(async () => {
    events.close();
    api.close();
    await Promise.all([care.close(), podWatch.close(), registration.close(), imageGc.close()]);
    await Promise.all([services.close(), statics.close()]);
    await pods.close();
    await context.volumes.close();
    await references.close();
  });
  options.signal?.addEventListener('abort', () => void close(), { once: true });
  return {
    serveStream: (stream) => api.serve(stream),
    synced: settle(podWatch, statics, pods),
    close,
    shutDown: (groups) => shutDown(context, { groups, pods, registration }),
  };
}

/** Once all pods of this node are known, from both sources, what belongs to none is removed. */
async function settle(podWatch: ObjectWatch<Pod>, statics: StaticPods, pods: Pods): Promise<void> {
  await Promise.all([podWatch.synced, statics.settled]);
  statics.synced();
  await pods.removeOrphans();
}

function staticPods(
  { client, clock, log, nodeName, dataDir, podManifestPath }: AgentOptions,
  { events, pods }: { readonly events: NodeEvents; readonly pods: Pods },
): StaticPods {
  const directory = podManifestPath ?? join(dataDir, 'agent', 'pod-manifests');
  return new StaticPods({ directory, nodeName, client, events, runner: pods, clock, log });
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}

function watchPods(
  { client, clock, log, nodeName }: AgentOptions,
  onChange: (key: string, pod: Pod | undefined) => void,
): ObjectWatch<Pod> {
  const query = { fieldSelector: `spec.nodeName=${nodeName}` };
  return new ObjectWatch<Pod>({ client, clock, log, resource: 'pods', query, onChange });
}

function watchServices({ client, clock, log }: AgentOptions): ObjectWatch<Service> {
  return new ObjectWatch<Service>({ client, clock, log, resource: 'services', query: {} });
}

type Made = Pick<
  NodeContext,
  | 'events'
  | 'references'
  | 'networkReady'
  | 'services'
  | 'memoryCapacityBytes'
  | 'limits'
  | 'pressure'
  | 'allocatedPods'
  | 'memoryUsage'
  | 'cgroupRoot'
  | 'admission'
  | 'node'
> & { onChange(uid: string): void };

async function makeContext(
  options: AgentOptions,
  { onChange, ...made }: Made,
): Promise<NodeContext> {
  const { client, clock, log, dataDir, runDir } = options;
  const metrics = new NodeMetrics();
  const podLogDir = options.podLogDir ?? join(dataDir, 'pods-logs');
  const paths: Paths = { dataDir, runDir, podLogDir };
  for (const path of Object.values(paths)) await mkdir(path, { recursive: true, mode: 0o755 });
  // Volumes hold secrets and tokens: no other user of the host may look into them.
  for (const path of [dataDir, runDir])
    await mkdir(join(path, 'pods'), { recursive: true, mode: 0o750 });
  const tokens = new Tokens({ client, clock });
  const { nodeName, volumeHost: host } = options;
  const record = made.events.record.bind(made.events);
  const certificates = new PodCertificates({ client, log, clock, nodeName, record, onChange });
  const claims = new Claims({ host, client, nodeName, dataDir, clock, log });
  return {
    ...made,
    client,
    engine: measuredEngine(options.engine, metrics),
    metrics,
    pace: new Pace(),
    clock,
    log,
    paths,
    volumes: new Volumes({
      paths,
      references: made.references,
      tokens,
      certificates,
      host,
      claims,
      images: options.engine.images,
    }),
    handlers: options.handlers ?? [],
    pulls: new Limiter(made.limits.parallelPulls),
    imageAccess: await ImageAccess.open({ dataDir, images: options.engine.images, log }),
    dns: {
      clusterDns: options.clusterDns,
      clusterDomain: options.clusterDomain ?? DEFAULT_DOMAIN,
      hostResolver: made.limits.resolvConf,
    },
  };
}

function nodeOptions(options: AgentOptions): NodeOptions {
  return {
    nodeName: options.nodeName,
    nodeIps: options.nodeIps,
    labels: options.labels,
    annotations: { [LOCAL_PATH]: storageDirectory(options.dataDir) },
    taints: options.taints,
    limits: options.limits ?? parseKubeletArgs([]),
    handlers: options.handlers ?? [],
    version: options.version,
    degraded: options.degraded ?? [],
  };
}

/** Source: linux/magic.h. */
const TMPFS_MAGIC = 0x01021994;

/** What to say when the run directory, which holds secrets and memory-backed volumes, is not in memory. */
async function memoryLack(runDir: string): Promise<readonly string[]> {
  const { type } = await statfs(runDir);
  if (type === TMPFS_MAGIC) return [];
  return [
    `secrets, tokens and memory-backed volumes of pods lie on a disk: ${runDir} is no tmpfs, choose another --run-dir`,
  ];
}

async function synced(
  watch: ObjectWatch<Service>,
  signal: AbortSignal,
): Promise<readonly Service[]> {
  await orAborted(watch.synced, signal);
  return watch.list();
}
