/** The contract of runtime.ts over the C helper: the serve daemon for requests, shims for stdio. */

import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Logger } from '../log/log.ts';
import { type Clock, systemClock } from '../wait/clock.ts';
import { Daemon } from './daemon.ts';
import { decodeDevice, decodeList, decodePid, decodeSandbox, decodeState } from './decode.ts';
import { Exits } from './exits.ts';
import { Makes } from './makes.ts';
import { runNft } from './nft.ts';
import { runIdOf } from './run-id.ts';
import type { ContainerState, Runtime } from './runtime.ts';
import { toRuntimeError } from './runtime-error.ts';
import { askShim, attachShim, execShim } from './shim-session.ts';
import type { VolumeHost } from './volume-host.ts';

export interface RuntimeOptions {
  /** Path of the `mini-runtime` executable. */
  readonly helper: string;
  readonly runDir: string;
  /** Command line of nft up to its arguments; absent = there is none. */
  readonly nft?: readonly string[];
  readonly log: Logger;
  readonly clock?: Clock;
}

/** Starts the daemon and resolves once it answers. */
export async function createRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { helper, runDir, log, clock = systemClock } = options;
  const daemon = new Daemon({ helper, runDir, log, clock });
  const makes = new Makes(daemon);
  const exits = new Exits({ runDir, log });
  // Spawned first: a fork copies the page tables of all that the process has by then.
  await daemon.start();
  await exits.start();
  return {
    runId: await runIdOf(runDir),
    ...sandboxCalls(daemon, makes),
    ...containerCalls(daemon, makes),
    ...shimCalls(runDir),
    ...hostCalls(daemon),
    ...volumeCalls(daemon),
    nft: (script) => runNft(options.nft ?? [], script),
    onExit: (listener) => exits.add(listener),
    async close() {
      exits.close();
      await daemon.close();
    },
  };
}

type SandboxCalls = 'createSandbox' | 'deleteSandbox' | 'listSandboxes' | 'connect';

function sandboxCalls(daemon: Daemon, makes: Makes): Pick<Runtime, SandboxCalls> {
  return {
    async createSandbox(spec, signal) {
      return decodeSandbox(await makes.createSandbox(spec, signal));
    },
    async deleteSandbox(id) {
      await daemon.call({ verb: 'sandbox-delete', id });
    },
    async listSandboxes() {
      return decodeList(await daemon.call({ verb: 'sandbox-list' }), decodeSandbox);
    },
    async connect(sandboxId, port, signal) {
      const { socket, rest } = await daemon.open({ verb: 'connect', id: sandboxId, port }, signal);
      if (rest.length > 0) socket.unshift(rest);
      return socket;
    },
  };
}

type ContainerCalls =
  | 'create'
  | 'start'
  | 'run'
  | 'kill'
  | 'pause'
  | 'resume'
  | 'update'
  | 'delete'
  | 'state'
  | 'list'
  | 'processes';

function containerCalls(daemon: Daemon, makes: Makes): Pick<Runtime, ContainerCalls> {
  const forState = async (call: Promise<unknown>): Promise<ContainerState> =>
    decodeState(await call);
  return {
    create: (spec, signal) => forState(makes.create(spec, signal)),
    run: (spec, signal) => forState(makes.run(spec, signal)),
    start: (id) => forState(makes.start(id)),
    async kill(id, signal, { isForAll = false } = {}) {
      await daemon.call({ verb: 'kill', id, signal, isForAll });
    },
    async pause(id) {
      await daemon.call({ verb: 'pause', id });
    },
    async resume(id) {
      await daemon.call({ verb: 'resume', id });
    },
    async update(id, resources) {
      await daemon.call({ verb: 'update', id, resources });
    },
    async delete(id, { isForced = false } = {}) {
      await daemon.call({ verb: 'delete', id, isForced });
    },
    state: (id) => makes.state(id),
    async list() {
      return decodeList(await daemon.call({ verb: 'list' }), decodeState);
    },
    async processes(id) {
      return decodeList(await daemon.call({ verb: 'processes', id }), decodePid);
    },
  };
}

function shimCalls(runDir: string): Pick<Runtime, 'exec' | 'attach' | 'reopenLog'> {
  const socketOf = (id: string) => join(runDir, 'containers', id, 'shim.sock');
  return {
    exec: (id, spec, signal) => execShim(socketOf(id), { op: 'exec', ...spec }, signal),
    attach: (id, options) => attachShim(socketOf(id), options),
    reopenLog: (id) => askShim(socketOf(id), { op: 'reopen' }),
  };
}

type HostCalls =
  | 'keepCgroup'
  | 'unpack'
  | 'ensureBridge'
  | 'deleteInterface'
  | 'setRoutes'
  | 'forgetFlows'
  | 'watchHost';

function hostCalls(daemon: Daemon): Pick<Runtime, HostCalls> {
  return {
    async unpack({ directory, source }, signal) {
      const socket = await daemon.begin({ verb: 'unpack', directory }, signal);
      // The helper answers early when it gives up; the rest of the stream is then of no use.
      const answered = daemon.answer(socket, 'unpack', signal, 0);
      const sent = pipeline(source, socket, { signal }).catch((error: unknown) => error);
      try {
        await answered;
      } finally {
        socket.destroy();
      }
      const failure = await sent;
      if (failure instanceof Error) throw toRuntimeError('unpack', failure);
    },
    async keepCgroup(cgroup) {
      await daemon.call({ verb: 'cgroup-keep', ...cgroup });
    },
    async ensureBridge(bridge) {
      await daemon.call({ verb: 'bridge-ensure', ...bridge });
    },
    async deleteInterface(name) {
      await daemon.call({ verb: 'interface-delete', name });
    },
    async setRoutes(routes) {
      await daemon.call({ verb: 'routes-set', routes });
    },
    async forgetFlows(ports) {
      await daemon.call({ verb: 'flows-forget', ports });
    },
    async watchHost(table, memoryBytes) {
      const { socket, rest } = await daemon.open({ verb: 'host-watch', table, memoryBytes });
      if (rest.length > 0) socket.unshift(rest);
      return socket;
    },
  };
}

function volumeCalls(daemon: Daemon): VolumeHost {
  return {
    async mountMemory(path, bytes = 0) {
      await daemon.call({ verb: 'volume-memory', path, bytes });
    },
    async mountHugePages(path, pageBytes) {
      await daemon.call({ verb: 'volume-huge', path, pageBytes });
    },
    async makeImage(path, bytes) {
      await daemon.call({ verb: 'volume-image', path, bytes });
    },
    async mountImage(image, path) {
      await daemon.call({ verb: 'volume-mount', image, path });
    },
    async mountLayers(path, layers) {
      await daemon.call({ verb: 'volume-layers', path, layers });
    },
    async growImage(image, path, bytes) {
      await daemon.call({ verb: 'volume-grow', image, path, bytes });
    },
    async makeDisk(path, bytes) {
      await daemon.call({ verb: 'disk-make', path, bytes });
    },
    async attachDisk(path) {
      return decodeDevice(await daemon.call({ verb: 'disk-attach', path }));
    },
    async detachDisk(path) {
      await daemon.call({ verb: 'disk-detach', path });
    },
    async unmount(path) {
      await daemon.call({ verb: 'volume-unmount', path });
    },
    async setQuota(path, bytes) {
      await daemon.call({ verb: 'volume-quota', path, bytes });
    },
    async removeTree(path) {
      await daemon.call({ verb: 'remove-tree', path });
    },
    async ownTree(path, group, { isReadOnly = false } = {}) {
      await daemon.call({ verb: 'tree-own', path, group, isReadOnly });
    },
  };
}
