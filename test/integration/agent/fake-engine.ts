/**
 * An engine without a kernel: containers are entries that run until told to end, logs are real files, what is kept
 * survives "closing" the agent. Programs are chosen by the container's command: `exit N`, `hang`, `fail-start`.
 */

import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import {
  type ContainerConfig,
  type ContainerInfo,
  type Engine,
  EngineError,
  type ExecOptions,
  type Resources,
  type SandboxConfig,
  type SandboxInfo,
} from '../../../pkg/engine/engine.ts';
import { type Image, ImageError, type ImageStore } from '../../../pkg/image/image-store.ts';
import type { ExecSession, Exit, Stdio } from '../../../pkg/runtime/runtime.ts';

const KNOWN = 'docker.io/library/known:1';

const knownImage: Image = {
  id: `sha256:${'a'.repeat(64)}`,
  tags: [KNOWN],
  digests: [],
  sizeBytes: 1234,
  createdAt: '2026-01-01T00:00:00Z',
  config: {
    entrypoint: [],
    cmd: ['/known'],
    env: [],
    workingDir: '/',
    user: '',
    exposedPorts: [],
    volumes: [],
    labels: {},
  },
  layers: [],
  isPinned: true,
};

export interface FakeEngine extends Engine {
  readonly configs: ReadonlyMap<string, ContainerConfig>;
  /** Cgroups above those of containers, by path. */
  readonly cgroups: ReadonlyMap<string, Resources>;
  /** Limits that running containers were given, in order. */
  readonly updates: readonly { readonly id: string; readonly resources: Resources }[];
  /** Why updates fail; empty = they do not. */
  updateError: string;
  readonly pulls: string[];
  /** Graces and signals that containers were stopped with. */
  readonly stops: { readonly id: string; readonly graceMs: number }[];
  /** Ends a running container. */
  exit(id: string, exitCode: number, options?: { readonly isOomKilled?: boolean }): void;
  /** A container writes a line. */
  write(id: string, line: string): void;
  /** What the next execs do with their stdio. */
  onExec: (options: ExecOptions, session: FakeExec) => void;
  /** What a connection to a pod's port is met with. */
  onConnect: (port: number) => Duplex;
  /** References that can be pulled. */
  readonly pullable: Set<string>;
}

export interface FakeExec {
  /** What the client wrote. */
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  readonly stderr: PassThrough;
  readonly sizes: { readonly columns: number; readonly rows: number }[];
  exit(exitCode: number): void;
}

export function createFakeEngine(): FakeEngine {
  const sandboxes = new Map<string, SandboxInfo>();
  const containers = new Map<string, ContainerInfo>();
  const configs = new Map<string, ContainerConfig>();
  const cgroups = new Map<string, Resources>();
  const updates: { id: string; resources: Resources }[] = [];
  const listeners = new Set<(container: ContainerInfo) => void>();
  const waiters = new Map<string, () => void>();
  const stops: { id: string; graceMs: number }[] = [];
  const pulls: string[] = [];
  const pullable = new Set<string>();
  let address = 1;

  const change = (info: ContainerInfo) => {
    containers.set(info.id, info);
    for (const listener of listeners) listener(info);
  };
  const need = (id: string): ContainerInfo => {
    const info = containers.get(id);
    if (!info) throw new EngineError('NotFound', `no container ${id}`);
    return info;
  };
  const exit: FakeEngine['exit'] = (id, exitCode, { isOomKilled = false } = {}) => {
    const info = need(id);
    const at = new Date().toISOString();
    const ended: Exit = {
      id,
      exitCode,
      isOomKilled,
      startedAt: info.startedAt ?? at,
      finishedAt: at,
    };
    change({ ...info, status: 'exited', exit: ended });
    waiters.get(id)?.();
  };

  const engine: FakeEngine = {
    images: createImages(pulls, pullable),
    configs,
    cgroups,
    updates,
    updateError: '',
    pulls,
    stops,
    pullable,
    exit,
    onExec: (_options, session) => session.exit(0),
    onConnect: () => new PassThrough(),
    write(id, line) {
      const path = need(id).logPath ?? '';
      mkdirSync(dirname(path), { recursive: true });
      appendFileSync(
        path,
        `${new Date().toISOString().replace('Z', '000000Z')} stdout F ${line}\n`,
      );
    },
    async setCgroup(path, resources) {
      cgroups.set(path, resources);
    },
    async removeCgroup(path) {
      cgroups.delete(path);
    },
    async createSandbox(config: SandboxConfig) {
      const existing = sandboxes.get(config.id);
      if (existing) return existing;
      const info: SandboxInfo = {
        id: config.id,
        labels: config.labels,
        createdAt: new Date().toISOString(),
        isReady: true,
        ...(config.isHostNetwork ? {} : { ip: `10.42.0.${++address}` }),
      };
      sandboxes.set(config.id, info);
      if (config.cgroup) cgroups.set(config.cgroup.path, config.cgroup.resources);
      return info;
    },
    async removeSandbox(id) {
      for (const info of [...containers.values()]) {
        if (info.sandboxId === id) containers.delete(info.id);
      }
      sandboxes.delete(id);
    },
    getSandbox: (id) => sandboxes.get(id),
    listSandboxes: () => [...sandboxes.values()],
    async createContainer(config) {
      if (!sandboxes.has(config.sandboxId)) throw new EngineError('NotFound', 'no sandbox');
      configs.set(config.id, config);
      const info: ContainerInfo = {
        id: config.id,
        sandboxId: config.sandboxId,
        labels: config.labels,
        image: config.image,
        imageId: knownImage.id,
        user: { uid: 0, gid: 0, additionalGids: [] },
        status: 'created',
        createdAt: new Date().toISOString(),
        ...(config.logPath ? { logPath: config.logPath } : {}),
      };
      change(info);
      return info;
    },
    async startContainer(id) {
      const info = need(id);
      const [program, argument] = configs.get(id)?.command ?? [];
      if (program === 'fail-start') {
        throw new EngineError(
          'StartFailed',
          'exec: "fail-start": executable file not found in $PATH',
        );
      }
      change({ ...info, status: 'running', pid: 4242, startedAt: new Date().toISOString() });
      if (program === 'exit') queueMicrotask(() => exit(id, Number(argument)));
      return need(id);
    },
    async stopContainer(id, graceMs) {
      stops.push({ id, graceMs });
      const info = containers.get(id);
      if (info?.status !== 'running') return;
      if (configs.get(id)?.command?.[0] === 'hang') {
        await new Promise<void>((resolve) => waiters.set(id, resolve));
        return;
      }
      exit(id, 143);
    },
    async killContainer(id) {
      exit(id, 137);
    },
    async pauseContainer() {},
    async resumeContainer() {},
    async updateContainer(id, resources) {
      updates.push({ id, resources });
      if (engine.updateError) throw new Error(engine.updateError);
    },
    async removeContainer(id) {
      containers.delete(id);
    },
    getContainer: (id) => containers.get(id),
    listContainers: (sandboxId) =>
      [...containers.values()].filter(
        (one) => sandboxId === undefined || one.sandboxId === sandboxId,
      ),
    async exec(id, options) {
      if (need(id).status !== 'running') throw new EngineError('Conflict', 'not running');
      const { fake, session } = createSession(options);
      if (options.args[0] === 'missing')
        throw new EngineError('StartFailed', 'exec: "missing": executable file not found in $PATH');
      engine.onExec(options, fake);
      return session;
    },
    async attach(id, { hasStdin }): Promise<Stdio> {
      need(id);
      const { fake, session } = createSession({ args: [], hasTerminal: false, hasStdin });
      engine.onExec({ args: ['attach'], hasTerminal: false, hasStdin }, fake);
      return session;
    },
    async reopenLog() {},
    async connect(_sandboxId, port) {
      return engine.onConnect(port);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async close() {},
  };
  return engine;
}

function createSession(options: ExecOptions): {
  readonly fake: FakeExec;
  readonly session: ExecSession;
} {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const sizes: { columns: number; rows: number }[] = [];
  const exited = Promise.withResolvers<Exit>();
  const both = Duplex.from({ writable: stdin, readable: stdout } as unknown as Duplex);
  const fake: FakeExec = {
    stdin,
    stdout,
    stderr,
    sizes,
    exit(exitCode) {
      stdout.end();
      stderr.end();
      const at = new Date().toISOString();
      exited.resolve({ id: 'x', exitCode, isOomKilled: false, startedAt: at, finishedAt: at });
    },
  };
  const session: ExecSession = {
    stdout: both,
    ...(options.hasTerminal ? {} : { stderr }),
    pid: 1,
    exited: exited.promise,
    resize: (size) => void sizes.push(size),
    close: () => undefined,
  };
  return { fake, session };
}

function createImages(pulls: string[], pullable: ReadonlySet<string>): ImageStore {
  const refuse = () => Promise.reject(new Error('not in this engine'));
  return {
    get(reference) {
      return reference === 'known:1' || reference === knownImage.id ? knownImage : undefined;
    },
    list: () => [knownImage],
    async pull(reference) {
      pulls.push(reference);
      if (pullable.has(reference)) return knownImage;
      throw new ImageError('NotFound', `${reference}: not found`);
    },
    import: refuse,
    export: () => new PassThrough(),
    tag: refuse,
    remove: refuse,
    retain: () => () => undefined,
    isInUse: () => false,
    onChange: () => () => undefined,
    collect: refuse,
    close: () => Promise.resolve(),
  };
}
