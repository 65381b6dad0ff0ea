/** Sandboxes: namespaces that the containers of a pod share, pinned by the helper, with an address on the bridge. */

import type { Duplex } from 'node:stream';
import type { Logger } from '../log/log.ts';
import type { Network } from '../network/network.ts';
import type {
  ForeignRuntime,
  Runtime,
  Sandbox,
  SandboxInterface,
  SandboxSpec,
} from '../runtime/runtime.ts';
import { EngineError, type SandboxConfig, type SandboxInfo } from './engine.ts';
import type { Handlers } from './handlers.ts';
import { connectToHost } from './host-connect.ts';
import { freeRange, MAX_RANGES, mappingOf } from './id-ranges.ts';
import { KeyedQueue } from './keyed-queue.ts';
import { checkId, RecordDirectory, type SandboxRecord } from './records.ts';
import { toResources } from './spec.ts';

export interface SandboxParts {
  readonly runtime: Runtime;
  readonly network: Network;
  readonly handlers: Handlers;
  readonly log: Logger;
  readonly now: () => number;
}

/** What a container joins. */
export interface Joinable {
  readonly namespaces: Readonly<Record<string, string>>;
  /** First of the host's ids of its user namespace; undefined = it has the host's. */
  readonly firstId: number | undefined;
  /** What makes the container; undefined = the helper itself. */
  readonly runtime: ForeignRuntime | undefined;
}

interface Entry {
  readonly record: SandboxRecord;
  /** Undefined when its namespaces are gone, as after a restart of the host. */
  readonly namespaces: Readonly<Record<string, string>> | undefined;
}

export class Sandboxes {
  readonly #parts: SandboxParts;
  readonly #directory: RecordDirectory<SandboxRecord>;
  readonly #entries = new Map<string, Entry>();
  readonly #queue = new KeyedQueue();
  /** Those that are being made: their ids are taken already. */
  readonly #making = new Map<string, SandboxRecord>();
  /** What of those that could not be made may be left. */
  readonly #remains = new Set<string>();
  /** Those that are being removed: they take no new container. */
  readonly #leaving = new Set<string>();

  constructor(root: string, parts: SandboxParts) {
    this.#parts = parts;
    this.#directory = new RecordDirectory(root, 'sandbox.json');
  }

  /** Reads the records, and drops what the helper holds that no record names. */
  async recover(): Promise<void> {
    const { runtime, network, log } = this.#parts;
    const { records, broken } = await this.#directory.load(log);
    const live = new Map((await runtime.listSandboxes()).map((sandbox) => [sandbox.id, sandbox]));
    for (const [id, record] of records) {
      this.#entries.set(id, { record, namespaces: namespacesOf(record.config, live.get(id)) });
    }
    const strays = [...live.keys()].filter((id) => !records.has(id));
    for (const id of [...strays, ...broken]) await this.#dismantle(id);
    const addresses = [...records].flatMap(([id, { address }]) =>
      address === undefined ? [] : [[id, address] as const],
    );
    await network.restore(new Map(addresses));
    await network.releaseOthers([...records.keys()]);
    for (const [id, { record, namespaces }] of this.#entries) {
      const { hostPorts = [] } = record.config;
      if (namespaces !== undefined && hostPorts.length > 0) network.adopt(id, hostPorts);
    }
  }

  /** Throws NotFound or, when its namespaces are gone, Conflict. */
  joinable(id: string): Joinable {
    const { namespaces, record } = this.#wanted(id);
    const { firstId, config } = record;
    const runtime = this.#parts.handlers.get(config.handler);
    if (namespaces !== undefined) return { namespaces, firstId, runtime };
    throw new EngineError('Conflict', `sandbox ${id} is not ready: its namespaces are gone`);
  }

  /** Something in it was killed: so may have been what holds its pid namespace, and nothing can be born there any more. */
  async recheck(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry?.record.config.sharesProcesses || entry.namespaces === undefined) return;
    const live = (await this.#parts.runtime.listSandboxes()).find((one) => one.id === id);
    if (namespacesOf(entry.record.config, live) !== undefined) return;
    if (this.#entries.get(id) === entry) {
      this.#entries.set(id, { record: entry.record, namespaces: undefined });
    }
  }

  /** For a new container. Throws NotFound, also when the sandbox is being removed. */
  configFor(id: string): SandboxConfig & Pick<SandboxRecord, 'firstId'> {
    if (this.#leaving.has(id)) {
      throw new EngineError('NotFound', `sandbox ${id} is being removed`);
    }
    const { config, firstId } = this.#wanted(id).record;
    return firstId === undefined ? config : { ...config, firstId };
  }

  /** Its address on the bridge. */
  ip(id: string): string | undefined {
    return this.#parts.network.addressOf(id);
  }

  get(id: string): SandboxInfo | undefined {
    const entry = this.#entries.get(id);
    return entry && this.#info(entry);
  }

  list(): readonly SandboxInfo[] {
    return [...this.#entries.values()].map((entry) => this.#info(entry));
  }

  create(config: SandboxConfig, signal?: AbortSignal): Promise<SandboxInfo> {
    return this.#queue.run(config.id, async () => {
      if (this.#leaving.has(config.id)) {
        throw new EngineError('Conflict', `sandbox ${config.id} is being removed`);
      }
      const existing = this.#entries.get(config.id);
      return this.#info(existing ?? (await this.#make(config, signal)));
    });
  }

  /** Removes it once `empty` has removed its containers; no new one can come meanwhile. Idempotent. */
  async remove(id: string, empty: () => Promise<void>): Promise<void> {
    this.#leaving.add(id);
    try {
      await empty();
      await this.#queue.run(id, async () => {
        if (!this.#entries.has(id) && !this.#remains.has(id)) return;
        await this.#dismantle(id);
        this.#entries.delete(id);
        this.#remains.delete(id);
      });
    } finally {
      this.#leaving.delete(id);
    }
  }

  async connect(id: string, port: number): Promise<Duplex> {
    const { config } = this.#wanted(id).record;
    if (!config.isHostNetwork) return this.#parts.runtime.connect(id, port);
    return connectToHost(port);
  }

  async #make(config: SandboxConfig, signal?: AbortSignal): Promise<Entry> {
    checkId('sandbox', config.id);
    this.#parts.handlers.get(config.handler);
    const planned = this.#newRecord(config);
    this.#making.set(config.id, planned);
    try {
      await this.#directory.make(config.id);
      const bridged = config.isHostNetwork
        ? undefined
        : await this.#parts.network.attach(config.id);
      const record = { ...planned, ...(bridged && { address: bridged.address }) };
      const [sandbox] = await Promise.all([
        this.#pin(record, bridged, signal),
        this.#directory.save(config.id, () => record),
      ]);
      const { hostPorts = [] } = config;
      if (hostPorts.length > 0) await this.#parts.network.publish(config.id, hostPorts);
      const entry = { record, namespaces: sandbox.namespaces };
      this.#entries.set(config.id, entry);
      return entry;
    } catch (error) {
      await this.#dismantle(config.id).catch((cause: unknown) => {
        this.#remains.add(config.id);
        this.#parts.log.warn('Could not undo a sandbox', { sandbox: config.id, error: cause });
      });
      throw new EngineError('Internal', `cannot create sandbox ${config.id}`, error);
    } finally {
      this.#making.delete(config.id);
    }
  }

  #newRecord(config: SandboxConfig): SandboxRecord {
    const record = { config, createdAt: new Date(this.#parts.now()).toISOString() };
    if (!config.hasOwnUsers) return record;
    const others = [
      ...[...this.#entries.values()].map((one) => one.record),
      ...this.#making.values(),
    ];
    const firstId = freeRange(others.flatMap((one) => one.firstId ?? []));
    if (firstId !== undefined) return { ...record, firstId };
    throw new EngineError('Internal', `all ${MAX_RANGES} ranges of user ids are in use`);
  }

  async #pin(
    { config, firstId }: SandboxRecord,
    bridged: SandboxInterface | undefined,
    signal?: AbortSignal,
  ): Promise<Sandbox> {
    const { runtime, network } = this.#parts;
    const mappings = firstId === undefined ? undefined : mappingOf(firstId);
    const namespaces = ownNamespaces(config);
    const cgroup = config.cgroup && {
      path: config.cgroup.path,
      resources: toResources(config.cgroup.resources),
    };
    if (namespaces.length === 0) {
      if (cgroup) await runtime.keepCgroup(cgroup);
      return { id: config.id, namespaces: {} };
    }
    const spec: SandboxSpec = {
      id: config.id,
      hostname: config.hostname,
      namespaces,
      ...(mappings === undefined ? {} : { uidMappings: mappings, gidMappings: mappings }),
      ...(config.sysctls === undefined ? {} : { sysctls: config.sysctls }),
      ...(cgroup === undefined ? {} : { cgroup }),
    };
    if (bridged === undefined) return runtime.createSandbox(spec, signal);
    const attached = { ...spec, interface: bridged };
    try {
      return await runtime.createSandbox(attached, signal);
    } catch (error) {
      signal?.throwIfAborted();
      // Somebody may have removed the bridge; a second failure is told.
      this.#parts.log.warn('Retried a sandbox', { sandbox: config.id, error });
      await runtime.deleteSandbox(config.id);
      await network.repair();
      return runtime.createSandbox(attached, signal);
    }
  }

  /** The address is given back last: until then the sandbox may still answer on it. */
  async #dismantle(id: string): Promise<void> {
    const { runtime, network } = this.#parts;
    await this.#directory.forget(id);
    await runtime.deleteSandbox(id);
    await Promise.all([network.release(id), this.#directory.remove(id)]);
  }

  #info({ record, namespaces }: Entry): SandboxInfo {
    const { id, labels } = record.config;
    const ip = this.#parts.network.addressOf(id);
    return {
      id,
      labels,
      createdAt: record.createdAt,
      isReady: namespaces !== undefined,
      ...(ip === undefined ? {} : { ip }),
    };
  }

  #wanted(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new EngineError('NotFound', `no sandbox ${id}`);
    return entry;
  }
}

/** With the host's network goes the host's name. */
function ownNamespaces(config: SandboxConfig): SandboxSpec['namespaces'] {
  return [
    ...(config.isHostNetwork ? [] : (['net', 'uts'] as const)),
    ...(config.isHostIpc ? [] : (['ipc'] as const)),
    ...(config.hasOwnUsers ? (['user'] as const) : []),
    ...(config.sharesProcesses ? (['pid'] as const) : []),
  ];
}

/** Undefined unless all that the sandbox needs is there. */
function namespacesOf(
  config: SandboxConfig,
  live: Sandbox | undefined,
): Readonly<Record<string, string>> | undefined {
  const wanted = ownNamespaces(config);
  if (wanted.length === 0) return {};
  return wanted.every((name) => live?.namespaces[name] !== undefined)
    ? live?.namespaces
    : undefined;
}
