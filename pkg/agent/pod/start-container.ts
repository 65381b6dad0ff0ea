/** Starts one container of a pod: image, environment, mounts, create, start, and the events of each step. */

import { randomBytes } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ConfigMap, Container, Pod, Secret, Service } from '../../api/generated/types.ts';
import { type ContainerConfig, EngineError, type SandboxInfo } from '../../engine/engine.ts';
import { readRootedFile } from '../../engine/rooted-file.ts';
import type { Image } from '../../image/image-store.ts';
import type { EventDetails } from '../events.ts';
import { imagesOf } from '../images/pod-images.ts';
import { ensureImage } from '../images/pull-image.ts';
import { mountImageVolumes } from '../images/volume-images.ts';
import type { NodeContext } from '../node-context.ts';
import { logPath, messagePath, podDir } from '../paths.ts';
import { isStatic } from '../static/annotations.ts';
import { containerDevices } from '../volumes/devices.ts';
import { containerMounts } from '../volumes/mounts.ts';
import { containerConfig } from './container-config.ts';
import { containerEnv } from './env.ts';
import { type HookTarget, postStart } from './hooks.ts';
import { CONTAINER_NAME } from './labels.ts';
import { hostnameOf, writePodFiles } from './pod-files.ts';
import { ephemeralContainers, fieldOf } from './records.ts';
import { cgroupParent, containerResources, oomScoreAdj } from './resources.ts';
import { seccompFor } from './seccomp.ts';
import { ConfigError, StartError } from './start-error.ts';

export interface StartRequest {
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: number;
  readonly epoch: number;
  readonly sandbox: SandboxInfo;
  /** Host path of each volume by name. */
  readonly volumes: ReadonlyMap<string, string>;
}

/** A container that exists but whose program could not be executed. */
export class RunError extends StartError {
  readonly id: string;
  constructor(id: string, message: string, cause: unknown) {
    super('RunContainerError', message, cause);
    this.id = id;
  }
}

/** A container that was started, and ended as its postStart hook had failed. */
export class HookError extends StartError {
  constructor(message: string) {
    super('PostStartHookError', message);
  }
}

const DEFAULT_MESSAGE_PATH = '/dev/termination-log';
/** Kubernetes' default of terminationGracePeriodSeconds. */
const DEFAULT_GRACE_SECONDS = 30;

/** Rejects with a StartError (reason for the status), a RunError when it was created but did not start. */
export async function startContainer(
  context: NodeContext,
  request: StartRequest,
  signal: AbortSignal,
): Promise<void> {
  const { pod, container } = request;
  const record = recorder(context, pod, container);
  const image = await bringImage(context, request, signal);
  const tell = ({ type, reason, message }: EventDetails) => record(type, reason, message);
  await mountImageVolumes(context, request, tell, signal);
  const config = await configOf(context, { request, image }, signal).catch((error: unknown) => {
    if (error instanceof StartError) record('Warning', 'Failed', `Error: ${error.message}`);
    throw error;
  });
  try {
    await context.engine.createContainer(config, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    record('Warning', 'Failed', `Error: ${messageOf(error)}`);
    throw new StartError('CreateContainerError', messageOf(error), error);
  }
  record('Normal', 'Created', 'Container created');
  await runContainer(context, { pod, container, id: config.id }, signal);
}

/** Starts a created container. Rejects with a RunError, or a HookError. */
export async function runContainer(
  context: NodeContext,
  target: HookTarget,
  signal: AbortSignal,
): Promise<void> {
  const { pod, container, id } = target;
  const record = recorder(context, pod, container);
  try {
    await context.engine.startContainer(id);
  } catch (error) {
    record('Warning', 'Failed', `Error: ${messageOf(error)}`);
    if (error instanceof EngineError && error.code === 'NotFound') {
      throw new StartError('RunContainerError', messageOf(error), error);
    }
    throw new RunError(id, messageOf(error), error);
  }
  record('Normal', 'Started', 'Container started');
  const why = await postStart(context, target, signal);
  if (why === undefined) return;
  // What the hook has answered may be a secret: the status and the log have it, no event.
  context.log.info('A postStart hook failed', { container: container.name, why });
  record('Warning', 'FailedPostStartHook', 'PostStartHook failed');
  const graceSeconds = pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
  record('Normal', 'Killing', 'FailedPostStartHook');
  await context.engine.stopContainer(id, graceSeconds * 1000);
  throw new HookError(why);
}

function recorder({ events }: NodeContext, pod: Pod, container: Container) {
  const field = fieldOf(pod, container.name);
  return (type: 'Normal' | 'Warning', reason: string, message: string) =>
    events.record(pod, { type, reason, message, container: container.name, field });
}

async function bringImage(
  context: NodeContext,
  { pod, container }: StartRequest,
  signal: AbortSignal,
): Promise<Image> {
  const record = recorder(context, pod, container);
  const images = await imagesOf(context, pod, signal);
  const tell = ({ type, reason, message }: EventDetails) => record(type, reason, message);
  return ensureImage(container, { ...images, record: tell }, signal);
}

function lookupIn({ references }: NodeContext, pod: Pod, signal: AbortSignal) {
  const namespace = pod.metadata.namespace ?? '';
  return (kind: 'configmaps' | 'secrets', name: string) =>
    references.get<ConfigMap | Secret>({ kind, ref: { namespace, name } }, signal);
}

async function configOf(
  context: NodeContext,
  { request, image }: { readonly request: StartRequest; readonly image: Image },
  signal: AbortSignal,
): Promise<ContainerConfig> {
  const { pod, container, attempt, epoch, sandbox, volumes } = request;
  const pidOfContainer = targetOf(context, request);
  const { paths, node, dns, cgroupRoot, memoryCapacityBytes } = context;
  const podIps = pod.spec.hostNetwork ? node.hostIps : sandbox.ip ? [sandbox.ip] : [];
  const env = await containerEnv(container, {
    pod,
    podIps,
    node,
    services: await servicesFor(context, pod, signal),
    lookup: lookupIn(context, pod, signal),
    readFile: (volume, path) => readRootedFile([volumes.get(volume) ?? '/dev/null'], path),
  });
  const own = join(podDir(paths, pod.metadata.uid));
  const warn = (message: string) =>
    context.events.record(pod, { type: 'Warning', reason: 'DNSConfigForming', message });
  const files = new Map(await writePodFiles(own, { pod, podIps, dns, warn }));
  const run = { container: container.name, attempt };
  files.set(
    container.terminationMessagePath ?? DEFAULT_MESSAGE_PATH,
    await makeMessageFile(context, pod, run),
  );
  const mounts = await containerMounts({ pod, container, volumes, env, files });
  const log = logPath(paths, pod, run);
  await mkdir(dirname(log), { recursive: true, mode: 0o755 });
  return containerConfig({
    id: randomBytes(32).toString('hex'),
    sandboxId: sandbox.id,
    pod,
    container,
    attempt,
    epoch,
    ...(pidOfContainer === undefined ? {} : { pidOfContainer }),
    image,
    env: withHostname(env, pod, dns.clusterDomain),
    mounts,
    devices: containerDevices({ pod, container, volumes }),
    resources: containerResources(pod, container),
    oomScoreAdj: oomScoreAdj(pod, container, memoryCapacityBytes),
    cgroupParent: cgroupParent(cgroupRoot, pod),
    logPath: log,
    seccomp: await seccompFor(pod, container, paths.dataDir),
  });
}

/** A static pod does not wait for the API: it is told of the services that are known. */
function servicesFor(
  { services }: NodeContext,
  pod: Pod,
  signal: AbortSignal,
): Promise<readonly Service[]> {
  if (!isStatic(pod)) return services(signal);
  const known = new Promise<readonly Service[]>((resolve) => setImmediate(resolve, []));
  return Promise.race([services(signal), known]);
}

/** The container whose processes an ephemeral one is to see. Throws a ConfigError when it does not run. */
function targetOf({ engine }: NodeContext, { pod, container, sandbox }: StartRequest) {
  const ephemeral = ephemeralContainers(pod).find(({ name }) => name === container.name);
  const target = ephemeral?.targetContainerName;
  if (!target) return undefined;
  const found = engine
    .listContainers(sandbox.id)
    .find(({ status, labels }) => status === 'running' && labels[CONTAINER_NAME] === target);
  if (!found) throw new ConfigError(`unable to find target container ${target}`);
  return found.id;
}

/** Every container is told its host name, as container runtimes do. */
function withHostname(
  env: ReadonlyMap<string, string>,
  pod: Pod,
  clusterDomain: string,
): ReadonlyMap<string, string> {
  if (env.has('HOSTNAME')) return env;
  return new Map([['HOSTNAME', hostnameOf(pod, clusterDomain)], ...env]);
}

async function makeMessageFile(
  { paths }: NodeContext,
  pod: Pod,
  run: { readonly container: string; readonly attempt: number },
): Promise<string> {
  const path = messagePath(paths, pod.metadata.uid, run);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, '', { mode: 0o666 });
  // Whatever user the container runs as may write it; umask would take that away.
  await chmod(path, 0o666);
  return path;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
