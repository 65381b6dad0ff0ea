/** Opens the engine: takes over what an earlier one left, and joins sandboxes, containers and images into one. */

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { ImageStore } from '../image/image-store.ts';
import type { Logger } from '../log/log.ts';
import type { Network } from '../network/network.ts';
import type { ExecSession, ForeignRuntime, Runtime, Stdio } from '../runtime/runtime.ts';
import { type Clock, systemClock } from '../wait/clock.ts';
import { removeCgroup } from './cgroups.ts';
import { Containers } from './containers.ts';
import {
  type ContainerConfig,
  type ContainerInfo,
  type Engine,
  EngineError,
  type ExecOptions,
  type Resources,
  type SandboxConfig,
  type SandboxInfo,
} from './engine.ts';
import { Handlers } from './handlers.ts';
import type { LogLimits } from './launch.ts';
import { mergeEnv, userOf } from './process.ts';
import { Sandboxes } from './sandboxes.ts';
import { toResources } from './spec.ts';

export interface EngineOptions {
  readonly runtime: Runtime;
  readonly images: ImageStore;
  readonly network: Network;
  readonly dataDir: string;
  /** Other OCI runtimes by name. */
  readonly handlers?: ReadonlyMap<string, ForeignRuntime>;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Of each container's log; default 10 MiB and 4 rotated files beside it, as the kubelet has it. */
  readonly logLimits?: LogLimits;
}

const DEFAULT_LOG_LIMITS: LogLimits = { maxBytes: 10 * 1024 * 1024, maxFiles: 4 };

/** Opens the engine on `<dataDir>/containers` and `<dataDir>/sandboxes`; running containers are taken over. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { runtime, images, network, dataDir, log } = options;
  const clock = options.clock ?? systemClock;
  const handlers = new Handlers(options.handlers);
  const sandboxes = new Sandboxes(join(dataDir, 'sandboxes'), {
    runtime,
    network,
    handlers,
    log,
    now: () => clock.now(),
  });
  const listeners = new Set<(container: ContainerInfo) => void>();
  const containers = new Containers(join(dataDir, 'containers'), {
    runtime,
    images,
    sandboxes,
    log,
    clock,
    logLimits: options.logLimits ?? DEFAULT_LOG_LIMITS,
    emit: (container) => {
      for (const listener of listeners) {
        try {
          listener(container);
        } catch (error) {
          // A listener's fault must not fail the call that made the change, nor hide it from the others.
          log.error('A listener failed', { container: container.id, error });
        }
      }
    },
  });
  await containers.recover();
  await sandboxes.recover();
  await images.collect();
  return new LocalEngine({ runtime, images, sandboxes, containers, listeners });
}

interface Parts {
  readonly runtime: Runtime;
  readonly images: ImageStore;
  readonly sandboxes: Sandboxes;
  readonly containers: Containers;
  readonly listeners: Set<(container: ContainerInfo) => void>;
}

class LocalEngine implements Engine {
  readonly images: ImageStore;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.images = parts.images;
    this.#parts = parts;
  }

  setCgroup(path: string, resources: Resources): Promise<void> {
    return this.#parts.runtime.keepCgroup({ path, resources: toResources(resources) });
  }

  removeCgroup(path: string): Promise<void> {
    return removeCgroup(path);
  }

  createSandbox(config: SandboxConfig, signal?: AbortSignal): Promise<SandboxInfo> {
    return this.#parts.sandboxes.create(config, signal);
  }

  async removeSandbox(id: string): Promise<void> {
    const { containers, sandboxes } = this.#parts;
    await sandboxes.remove(id, async () => {
      await Promise.all(
        containers.list(id).map(async (container) => {
          await containers.stop(container.id, 0);
          await containers.remove(container.id, { isForced: true });
        }),
      );
    });
  }

  getSandbox(id: string): SandboxInfo | undefined {
    return this.#parts.sandboxes.get(id);
  }

  listSandboxes(): readonly SandboxInfo[] {
    return this.#parts.sandboxes.list();
  }

  createContainer(config: ContainerConfig, signal?: AbortSignal): Promise<ContainerInfo> {
    const { containers, sandboxes } = this.#parts;
    return containers.create(config, sandboxes.ip(config.sandboxId), signal);
  }

  startContainer(id: string): Promise<ContainerInfo> {
    return this.#parts.containers.start(id);
  }

  stopContainer(id: string, graceMs: number): Promise<void> {
    return this.#parts.containers.stop(id, graceMs);
  }

  killContainer(id: string, signal: string | number): Promise<void> {
    return this.#parts.containers.kill(id, signal);
  }

  async pauseContainer(id: string): Promise<void> {
    await this.#parts.containers.setPaused(id, true);
  }

  async resumeContainer(id: string): Promise<void> {
    await this.#parts.containers.setPaused(id, false);
  }

  updateContainer(id: string, resources: Resources): Promise<void> {
    return this.#parts.containers.update(id, resources);
  }

  removeContainer(id: string): Promise<void> {
    return this.#parts.containers.remove(id);
  }

  getContainer(id: string): ContainerInfo | undefined {
    return this.#parts.containers.get(id)?.info();
  }

  listContainers(sandboxId?: string): readonly ContainerInfo[] {
    return this.#parts.containers.list(sandboxId).map((container) => container.info());
  }

  async exec(id: string, options: ExecOptions, signal?: AbortSignal): Promise<ExecSession> {
    const { containers, runtime } = this.#parts;
    const { config, process, layers } = containers.running(id).record;
    if (options.args.length === 0) throw new EngineError('StartFailed', 'no command to execute');
    const roots = [join(containers.path(id), 'upper'), ...layers];
    const user =
      options.user === undefined
        ? process.user
        : userOf({ user: options.user }, { fallback: '', roots });
    const terminal = options.hasTerminal ? ['TERM=xterm'] : [];
    const size = options.terminalSize;
    const spec = {
      execId: randomBytes(8).toString('hex'),
      args: options.args,
      env: mergeEnv([...terminal, ...process.env, ...(options.env ?? [])]),
      cwd: options.workingDir ?? process.cwd,
      user,
      hasTerminal: options.hasTerminal,
      hasStdin: options.hasStdin,
      ...(size && { consoleSize: { height: size.rows, width: size.columns } }),
    };
    try {
      return await runtime.exec(id, spec, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw new EngineError(
        'StartFailed',
        error instanceof Error ? error.message : `cannot execute in container ${config.id}`,
        error,
      );
    }
  }

  async attach(id: string, options: { readonly hasStdin: boolean }): Promise<Stdio> {
    this.#parts.containers.running(id);
    return this.#parts.runtime.attach(id, options);
  }

  async reopenLog(id: string): Promise<void> {
    this.#parts.containers.running(id);
    await this.#parts.runtime.reopenLog(id);
  }

  connect(sandboxId: string, port: number): Promise<Duplex> {
    return this.#parts.sandboxes.connect(sandboxId, port);
  }

  onChange(listener: (container: ContainerInfo) => void): () => void {
    this.#parts.listeners.add(listener);
    return () => this.#parts.listeners.delete(listener);
  }

  close(): Promise<void> {
    return this.#parts.containers.close();
  }
}
