/** Carries out a plan for one pod: sandbox and volumes, then its containers one after another. */

import type { Container, Pod } from '../../api/generated/types.ts';
import type { SandboxConfig, SandboxInfo } from '../../engine/engine.ts';
import { describe } from '../../log/log.ts';
import type { NodeContext } from '../node-context.ts';
import { orAborted } from '../or-aborted.ts';
import type { Action, Hold, Plan, Waiting } from './decide.ts';
import type { RunHints } from './hints.ts';
import { Holds } from './holds.ts';
import { hostPortsOf } from './host-ports.ts';
import { podLabels, podText, sandboxId } from './labels.ts';
import type { PodEnd } from './pod-end.ts';
import { hostnameOf } from './pod-files.ts';
import { allContainers, type ContainerRecord, fieldOf, type PodView } from './records.ts';
import { cgroupParent, podResources } from './resources.ts';
import { handlerOf } from './runtime-handler.ts';
import { HookError, RunError, runContainer, startContainer } from './start-container.ts';
import { StartError } from './start-error.ts';
import { ToldError } from './sync-error.ts';

interface StartOptions {
  readonly context: NodeContext;
  readonly hints: RunHints;
  readonly end: PodEnd;
}

/** The pod now, with what the node has of it. */
interface Now {
  readonly pod: Pod;
  readonly view: PodView;
}

export class PodStart {
  readonly #options: StartOptions;
  readonly #holds: Holds;
  #volumes: ReadonlyMap<string, string> = new Map();
  /** Whether they must be written again; may become so while they are being written. */
  #isStale = true;
  /** What the volumes show of the pod itself. */
  #fields = '';
  #told: ReadonlyMap<string, Waiting> = new Map();
  #hasVolumes = false;

  constructor(options: StartOptions) {
    this.#options = options;
    this.#holds = new Holds(options.context.clock);
  }

  /** For the status. A container that an earlier agent made shows that the volumes are there. */
  facts(view: PodView): { readonly view: PodView; readonly hasVolumes: boolean } {
    return { view, hasVolumes: this.#hasVolumes || view.containers.size > 0 };
  }

  /** See Facts.hold in decide.ts. */
  hold(pod: Pod, container: Container, last: ContainerRecord | undefined): Hold | undefined {
    return this.#holds.get(pod, container, last);
  }

  /** The pod is now this one. */
  observe(pod: Pod): void {
    this.#holds.observe(pod);
  }

  /** Something that the pod refers to has changed: its volumes are written again. */
  referenceChanged(): void {
    this.#holds.clearConfigErrors();
    this.#isStale = true;
  }

  /** Rejects with a VolumeError, or whatever kept the sandbox from being made. */
  async perform({ pod, view }: Now, plan: Plan, signal: AbortSignal): Promise<void> {
    this.#tellBackoff(pod, plan.waiting);
    const making = plan.needsSandbox
      ? this.#makeSandbox({ pod, view }, signal)
      : Promise.resolve(view.sandbox);
    const volumes = this.#setUpVolumes(pod, making, signal);
    await Promise.allSettled([making, volumes]);
    const [sandbox] = await Promise.all([making, volumes]);
    if (!sandbox) return;
    for (const action of plan.actions) {
      signal.throwIfAborted();
      await this.#act({ pod, sandbox }, action, signal);
    }
  }

  async #makeSandbox({ pod, view }: Now, signal: AbortSignal): Promise<SandboxInfo> {
    const { engine, dns, events, networkReady, cgroupRoot, limits } = this.#options.context;
    if (!pod.spec.hostNetwork) await orAborted(networkReady, signal);
    const id = sandboxId(pod.metadata.uid);
    if (view.sandbox && !view.sandbox.isReady) {
      const message = 'Pod sandbox changed, it will be killed and re-created.';
      events.record(pod, { type: 'Normal', reason: 'SandboxChanged', message });
      await engine.removeSandbox(id);
      this.#isStale = true;
    }
    try {
      const handler = await handlerOf(this.#options.context, pod, signal);
      const resources = podResources(pod, limits.podPidsLimit);
      const cgroup = { path: cgroupParent(cgroupRoot, pod), resources };
      const config = sandboxConfig(pod, { hostname: hostnameOf(pod, dns.clusterDomain), cgroup });
      return await engine.createSandbox({ ...config, ...(handler && { handler }) }, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      const message = `Failed to create pod sandbox: ${describe(error)}`;
      events.record(pod, { type: 'Warning', reason: 'FailedCreatePodSandBox', message });
      throw new ToldError(message, { cause: error });
    }
  }

  async #setUpVolumes(
    pod: Pod,
    sandbox: Promise<SandboxInfo | undefined>,
    signal: AbortSignal,
  ): Promise<void> {
    const { volumes, node, clock } = this.#options.context;
    const refreshAtMs = volumes.refreshAtMs(pod.metadata.uid) ?? Number.POSITIVE_INFINITY;
    const fields = fieldsInVolumes(pod);
    if (!this.#isStale && refreshAtMs > clock.monotonic() && fields === this.#fields) return;
    this.#fields = fields;
    this.#isStale = false;
    try {
      const ip = usesPodIp(pod) ? (await sandbox)?.ip : undefined;
      const podIps = pod.spec.hostNetwork ? node.hostIps : ip ? [ip] : [];
      this.#volumes = await volumes.setUp({ pod, podIps, node }, signal);
      this.#hasVolumes = true;
    } catch (error) {
      this.#isStale = true;
      throw error;
    }
  }

  async #act(
    { pod, sandbox }: { readonly pod: Pod; readonly sandbox: SandboxInfo },
    action: Action,
    signal: AbortSignal,
  ): Promise<void> {
    const { context, end } = this.#options;
    const { container } = action;
    if (action.kind === 'kill') return end.killOne(pod, action);
    try {
      if (action.kind === 'resume') {
        return await runContainer(context, { pod, container, id: action.id }, signal);
      }
      const { attempt, epoch } = action;
      const volumes = this.#volumes;
      const request = { pod, container, attempt, epoch, sandbox, volumes };
      await startContainer(context, request, signal);
      this.#holds.started(container.name, attempt);
      await end.prune(pod, container);
    } catch (error) {
      if (signal.aborted || !(error instanceof StartError)) throw error;
      this.#onStartError(action, error);
    }
  }

  #onStartError(action: Action, error: StartError): void {
    const { hints } = this.#options;
    const { name } = action.container;
    if (!(error instanceof RunError || error instanceof HookError)) {
      this.#holds.failed(name, error);
      return;
    }
    if (error instanceof RunError) hints.setStartError(error.id, error.message);
    if (action.kind === 'start') this.#holds.started(name, action.attempt);
    this.#holds.failedToRun(name, error);
  }

  /** An event each time that a container begins to wait, not each time that somebody looks. */
  #tellBackoff(pod: Pod, waiting: ReadonlyMap<string, Waiting>): void {
    const before = this.#told;
    this.#told = waiting;
    for (const { name } of allContainers(pod)) {
      const { reason, message = '' } = waiting.get(name) ?? {};
      if (before.get(name)?.reason === reason) continue;
      const record = (type: 'Normal' | 'Warning', why: string, text: string) =>
        this.#options.context.events.record(pod, {
          type,
          reason: why,
          message: text,
          container: name,
          field: fieldOf(pod, name),
        });
      if (reason === 'ImagePullBackOff') {
        record('Normal', 'BackOff', message.replace(/: ErrImagePull.*/s, ''));
        record('Warning', 'Failed', `Error: ${reason}`);
      } else if (reason === 'CrashLoopBackOff') {
        const text = `Back-off restarting failed container ${name} in pod ${podText(pod)}`;
        record('Warning', 'BackOff', text);
      }
    }
  }
}

function sandboxConfig(pod: Pod, given: Pick<SandboxConfig, 'hostname' | 'cgroup'>): SandboxConfig {
  const { spec } = pod;
  const sysctls = (spec.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value]);
  return {
    ...given,
    id: sandboxId(pod.metadata.uid),
    labels: podLabels(pod),
    isHostNetwork: spec.hostNetwork === true,
    isHostIpc: spec.hostIPC === true,
    hasOwnUsers: spec.hostUsers === false,
    sharesProcesses: spec.shareProcessNamespace === true,
    hostPorts: hostPortsOf(pod),
    ...(sysctls.length > 0 ? { sysctls: Object.fromEntries(sysctls) } : {}),
  };
}

/** What of the pod may change while a volume of the downward API shows it. */
function fieldsInVolumes({ metadata, spec }: Pod): string {
  const { labels, annotations } = metadata;
  return JSON.stringify([labels, annotations, spec.containers.map(({ resources }) => resources)]);
}

/** Whether a volume of the pod holds its own address, so that it must wait for the sandbox. */
function usesPodIp(pod: Pod): boolean {
  const items = (pod.spec.volumes ?? []).flatMap(({ downwardAPI, projected }) => [
    ...(downwardAPI?.items ?? []),
    ...(projected?.sources ?? []).flatMap((source) => source.downwardAPI?.items ?? []),
  ]);
  return items.some(({ fieldRef }) => fieldRef?.fieldPath.startsWith('status.podIP') === true);
}
