/**
 * An engine with the real helper, in a scratch directory and a network namespace of its own: the helper is started
 * inside it, so that bridges, addresses and "the host's" network are those of the namespace.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import * as assert from 'uvu/assert';
import type { ContainerConfig, ContainerInfo, Engine } from '../../pkg/engine/engine.ts';
import { openEngine } from '../../pkg/engine/open-engine.ts';
import type { ImageStore } from '../../pkg/image/image-store.ts';
import { openImageStore } from '../../pkg/image/store.ts';
import { createLogger, type Logger, silent } from '../../pkg/log/log.ts';
import { createNetwork, type Network } from '../../pkg/network/network.ts';
import { createRuntime } from '../../pkg/runtime/create-runtime.ts';
import type { Runtime } from '../../pkg/runtime/runtime.ts';
import { busyboxImage, ociFiles, tarOf } from './images.ts';

const HELPER = resolve(process.env['MINI_RUNTIME'] ?? 'dist/mini-runtime');
const CGROUPS = '/sys/fs/cgroup';
export const BUSYBOX = 'docker.io/test/busybox:latest';

/** One life of the engine. */
interface Life {
  readonly engine: Engine;
  readonly runtime: Runtime;
  readonly images: ImageStore;
  readonly network: Network;
  /** Ends it as a crash would: nothing is told to the containers. */
  end(): Promise<void>;
}

export interface EngineHost {
  readonly directory: string;
  readonly runDir: string;
  readonly dataDir: string;
  readonly netns: string;
  readonly cgroupParent: string;
  /** Begins a life; the one before must have ended. */
  begin(): Promise<Life>;
  /** Runs a command in the host's network namespace. */
  inNetns(command: string, ...args: readonly string[]): string;
  /** Removes everything. Throws when a container, mount or interface is left. */
  close(): Promise<void>;
}

/** Makes the host; its image store holds busybox. */
export async function makeEngineHost(): Promise<EngineHost> {
  if (!existsSync(HELPER)) throw new Error(`${HELPER} is missing: make -C runtime`);
  const directory = await mkdtemp(join(tmpdir(), 'mini-engine-'));
  const name = `mini-e${Math.random().toString(36).slice(2, 8)}`;
  const cgroupParent = `/${name}`;
  execFileSync('ip', ['netns', 'add', name]);
  const netns = `/run/netns/${name}`;
  execFileSync('nsenter', [`--net=${netns}`, 'ip', 'link', 'set', 'lo', 'up']);
  const helper = join(directory, 'helper');
  await writeFile(helper, `#!/bin/sh\nexec nsenter --net=${netns} ${HELPER} "$@"\n`);
  await chmod(helper, 0o755);
  const runDir = join(directory, 'run');
  const dataDir = join(directory, 'data');
  const lives = new Set<Life>();
  return {
    directory,
    runDir,
    dataDir,
    netns,
    cgroupParent,
    inNetns: (command, ...args) =>
      execFileSync('nsenter', [`--net=${netns}`, command, ...args], { encoding: 'utf8' }),
    async begin() {
      const life = await beginLife({ helper, runDir, dataDir });
      lives.add(life);
      return { ...life, end: () => end(lives, life) };
    },
    async close() {
      try {
        const [last = await beginLife({ helper, runDir, dataDir })] = lives;
        for (const { id } of last.engine.listSandboxes()) await last.engine.removeSandbox(id);
        await end(lives, last);
      } finally {
        execFileSync('ip', ['netns', 'del', name]);
        removeCgroups(name);
        const mounts = await readFile('/proc/self/mounts', 'utf8');
        await rm(directory, { recursive: true, force: true });
        const left = mounts.split('\n').filter((line) => line.includes(directory));
        assert.equal(left, [], 'left mounted');
      }
    },
  };
}

/** A container that runs a shell script in busybox. */
export function shell(
  host: EngineHost,
  script: string,
  more: Partial<ContainerConfig> & Pick<ContainerConfig, 'id' | 'sandboxId'>,
): ContainerConfig {
  return {
    labels: {},
    image: BUSYBOX,
    command: ['/bin/sh', '-c', script],
    env: [],
    mounts: [],
    resources: {},
    security: {},
    cgroupParent: host.cgroupParent,
    logPath: join(host.directory, 'logs', `${more.id}.log`),
    hasTerminal: false,
    hasStdin: false,
    isStdinOnce: false,
    ...more,
  };
}

/** Resolves with the container once it has exited. */
export function exited(engine: Engine, id: string): Promise<ContainerInfo> {
  return new Promise((resolve) => {
    const check = () => {
      const container = engine.getContainer(id);
      if (container?.status !== 'exited') return;
      stop();
      resolve(container);
    };
    const stop = engine.onChange(check);
    check();
  });
}

async function beginLife(paths: {
  readonly helper: string;
  readonly runDir: string;
  readonly dataDir: string;
}): Promise<Life> {
  const { helper, runDir, dataDir } = paths;
  const log = process.env['MINI_TEST_LOG'] ? createLogger('debug') : silent;
  const runtime = await createRuntime({ helper, runDir, log });
  try {
    return await openAll(runtime, { dataDir, log });
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

async function openAll(
  runtime: Runtime,
  { dataDir, log }: { readonly dataDir: string; readonly log: Logger },
): Promise<Life> {
  const images = await openImageStore({ dataDir, runtime, log });
  if (images.get(BUSYBOX) === undefined) {
    await images.import(Readable.from([await tarOf(ociFiles([await busyboxImage()]))]));
  }
  const podCidr = '10.98.0.0/24';
  const network = await createNetwork({ runtime, dataDir, log, podCidr });
  const engine = await openEngine({ runtime, images, network, dataDir, log });
  return {
    engine,
    runtime,
    images,
    network,
    async end() {
      network.close();
      await engine.close();
      await images.close();
      await runtime.close();
    },
  };
}

async function end(lives: Set<Life>, life: Life): Promise<void> {
  lives.delete(life);
  await life.end();
}

function removeCgroups(name: string): void {
  const controllers = readdirSync(CGROUPS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(CGROUPS, entry.name, name));
  for (const path of [join(CGROUPS, name), ...controllers]) {
    // The agent keeps these two for its next start; anything in them is a leak.
    for (const kept of [join(path, 'burstable'), join(path, 'besteffort'), path])
      if (existsSync(kept)) rmdirSync(kept);
  }
}
