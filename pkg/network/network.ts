/**
 * The network of one host: a bridge with the first address of the pod CIDR, and one address for each sandbox, kept
 * in `<dataDir>/network/addresses.json`, so that a restarted agent gives no address out twice.
 */

import { createHash } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../log/log.ts';
import { readStateFile, StateFile } from '../runtime/atomic-file.ts';
import type { Runtime, SandboxInterface } from '../runtime/runtime.ts';
import { AddressPool, type AddressState, cidrOf, decodeAddressState } from './addresses.ts';
import { HostRules } from './host-rules.ts';
import type { HostPort } from './rules.ts';

export interface NetworkOptions {
  readonly runtime: Pick<Runtime, 'ensureBridge' | 'nft' | 'forgetFlows'>;
  readonly dataDir: string;
  readonly log: Logger;
  /** Another name for each mini of a host; at most 15 bytes. */
  readonly bridge?: string;
  /** Absent until the server has said it: setPodCidr. */
  readonly podCidr?: string;
  readonly mtu?: number;
}

export interface Network {
  readonly bridge: string;
  readonly podCidr: string | undefined;
  /** First address of the pod CIDR: the bridge's own. */
  readonly gateway: string | undefined;
  /** Why pods have no ports on the host and no way to other networks; undefined when they have. */
  readonly problem: string | undefined;
  /** Calls back when `problem` has changed. */
  onProblem(listener: () => void): void;
  /** Addresses that pods reach with their own: the cluster's. Unless told, the node's own pod CIDR. */
  setClusterCidr(cidr: string): void;
  /** Sets the CIDR, makes the bridge, writes the nftables table. Rejects while sandboxes have addresses of another CIDR. */
  setPodCidr(cidr: string): Promise<void>;
  /** Takes what sandboxes are known to have (`10.42.0.5/24` by id), should the list on disk have been lost. */
  restore(addresses: ReadonlyMap<string, string>): Promise<void>;
  /** The sandbox's address and interface; the same again for the same sandbox. On disk when it answers. */
  attach(sandboxId: string): Promise<SandboxInterface>;
  /** Leads ports of the host to the sandbox, which is attached. Rejects when one is taken or nftables does not work. */
  publish(sandboxId: string, ports: readonly HostPort[]): Promise<void>;
  /** Says what ports a sandbox of an earlier agent has. */
  adopt(sandboxId: string, ports: readonly HostPort[]): void;
  /** The sandbox's address, if it has one. */
  addressOf(sandboxId: string): string | undefined;
  /** Gives the sandbox's address and ports back. Idempotent. */
  release(sandboxId: string): Promise<void>;
  /** Gives back what sandboxes have that are not among these; returns whose. */
  releaseOthers(sandboxIds: readonly string[]): Promise<readonly string[]>;
  /** Others have removed rules of the nftables table. */
  restoreRules(): void;
  /** Makes the bridge again, if somebody removed it. */
  repair(): Promise<void>;
  /** Ends what is still to be tried again; what was made stays. */
  close(): void;
}

const DEFAULT_BRIDGE = 'mini0';
const DEFAULT_MTU = 1500;
/** IFNAMSIZ without its final zero. */
const MAX_INTERFACE_NAME = 15;
const VETH_PREFIX = 'mv';
const INSIDE_NAME = 'eth0';

/** Opens the address file, sets a damaged one aside; makes the bridge when the CIDR is known already. */
export async function createNetwork(options: NetworkOptions): Promise<Network> {
  const bridge = options.bridge ?? DEFAULT_BRIDGE;
  if (!/^[A-Za-z][A-Za-z0-9_.-]*$/.test(bridge) || bridge.length > MAX_INTERFACE_NAME) {
    throw new Error(
      `bridge name "${bridge}" must be 1 to ${MAX_INTERFACE_NAME} letters, digits, - _ .`,
    );
  }
  const directory = join(options.dataDir, 'network');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'addresses.json');
  const state = await readAddresses(path, options.log);
  const network = new BridgeNetwork({ ...options, bridge }, { path, state });
  const cidr = options.podCidr;
  if (cidr !== undefined) await network.setPodCidr(cidr);
  return network;
}

/** Name of the host's end of a sandbox's veth pair: the same for the same sandbox, on the same bridge. */
export function vethName(bridge: string, sandboxId: string): string {
  const hash = createHash('sha256').update(`${bridge}/${sandboxId}`).digest('hex');
  return VETH_PREFIX + hash.slice(0, MAX_INTERFACE_NAME - VETH_PREFIX.length);
}

/** A power cut may leave an empty file: the sandboxes' own records say the same, see `restore`. */
async function readAddresses(path: string, log: Logger): Promise<AddressState | undefined> {
  try {
    return decodeAddressState(await readStateFile(path));
  } catch (error) {
    const aside = `${path}.damaged`;
    log.warn('Set a damaged list of addresses aside', { path: aside, error });
    await rm(aside, { recursive: true, force: true });
    await rename(path, aside);
    return undefined;
  }
}

class BridgeNetwork implements Network {
  readonly bridge: string;
  readonly #options: NetworkOptions;
  readonly #file: StateFile;
  readonly #rules: HostRules;
  #pool: AddressPool | undefined;
  #clusterCidr: string | undefined;
  #ready: Promise<void> | undefined;
  #isLocalhostRouted = false;
  readonly #listeners = new Set<() => void>();

  constructor(
    options: NetworkOptions & { readonly bridge: string },
    file: { readonly path: string; readonly state: AddressState | undefined },
  ) {
    this.bridge = options.bridge;
    this.#options = options;
    this.#file = new StateFile(file.path, { isDurable: false });
    const { runtime, log } = options;
    this.#rules = new HostRules({
      runtime,
      log,
      bridge: this.bridge,
      cidrs: () => this.#cidrs,
      onChange: () => this.#onRules(),
    });
    if (file.state !== undefined) this.#pool = new AddressPool(file.state.cidr, file.state);
  }

  get podCidr(): string | undefined {
    return this.#pool?.cidr;
  }

  get gateway(): string | undefined {
    return this.#pool?.gateway;
  }

  get problem(): string | undefined {
    return this.#rules.problem;
  }

  onProblem(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Ports that wait for the table are led to once it is written. */
  #onRules(): void {
    const { bridge, log } = this.#options;
    this.#routeLocalhost().catch((error: unknown) =>
      log.warn('Could not lead ports of 127.0.0.1 to pods', { bridge, error }),
    );
    for (const listener of this.#listeners) listener();
  }

  get #cidrs() {
    const { podCidr } = this;
    return podCidr === undefined
      ? undefined
      : { podCidr, clusterCidr: this.#clusterCidr ?? podCidr };
  }

  setClusterCidr(cidr: string): void {
    this.#clusterCidr = cidr;
  }

  async setPodCidr(cidr: string): Promise<void> {
    const old = this.#pool;
    if (old?.cidr !== cidr) {
      const owners = old?.owners() ?? [];
      if (owners.length > 0) {
        throw new Error(
          `the pod CIDR changes from ${old?.cidr} to ${cidr} while ${owners.length} sandboxes have addresses; remove them first`,
        );
      }
      this.#pool = new AddressPool(cidr);
      this.#ready = undefined;
      await this.#save();
    }
    await this.#ensureBridge();
    // Pods run without, and `problem` says so.
    await this.#rules.apply().catch(() => undefined);
    await this.#routeLocalhost();
  }

  async restore(addresses: ReadonlyMap<string, string>): Promise<void> {
    const [first] = addresses.values();
    if (first === undefined) return;
    this.#pool ??= new AddressPool(cidrOf(first));
    let isChanged = false;
    for (const [id, address] of addresses) {
      if (this.#pool.get(id) !== undefined || cidrOf(address) !== this.#pool.cidr) continue;
      isChanged = this.#pool.keep(id, address.replace(/\/.*/, '')) || isChanged;
    }
    if (isChanged) await this.#save();
  }

  async publish(sandboxId: string, ports: readonly HostPort[]): Promise<void> {
    const address = this.addressOf(sandboxId);
    if (address === undefined) throw new Error(`sandbox ${sandboxId} has no address`);
    await this.#rules.publish(sandboxId, { address, ports });
    await this.#routeLocalhost();
  }

  adopt(sandboxId: string, ports: readonly HostPort[]): void {
    const address = this.addressOf(sandboxId);
    if (address !== undefined) this.#rules.adopt(sandboxId, { address, ports });
  }

  async attach(sandboxId: string): Promise<SandboxInterface> {
    const pool = this.#pool;
    if (pool === undefined) throw new Error('the pod CIDR of this node is not known yet');
    const isNew = pool.get(sandboxId) === undefined;
    const address = pool.allocate(sandboxId);
    await Promise.all([isNew ? this.#save() : undefined, this.#ensureBridge()]);
    return {
      hostName: vethName(this.bridge, sandboxId),
      name: INSIDE_NAME,
      bridge: this.bridge,
      address: `${address}/${pool.prefixLength}`,
      gateway: pool.gateway,
      mtu: this.#mtu,
    };
  }

  addressOf(sandboxId: string): string | undefined {
    return this.#pool?.get(sandboxId);
  }

  async release(sandboxId: string): Promise<void> {
    await this.#rules.unpublish(sandboxId);
    if (this.#pool?.release(sandboxId)) await this.#save();
  }

  async releaseOthers(sandboxIds: readonly string[]): Promise<readonly string[]> {
    const kept = new Set(sandboxIds);
    const gone = (this.#pool?.owners() ?? []).filter((owner) => !kept.has(owner));
    for (const owner of gone) this.#pool?.release(owner);
    if (gone.length > 0) await this.#save();
    return gone;
  }

  restoreRules(): void {
    this.#rules.restore();
  }

  async repair(): Promise<void> {
    this.#ready = undefined;
    await this.#ensureBridge();
    await this.#rules.apply().catch(() => undefined);
  }

  close(): void {
    this.#rules.close();
  }

  /** Only once the table keeps pods from the host's 127.0.0.1. */
  async #routeLocalhost(): Promise<void> {
    if (this.#isLocalhostRouted || !this.#rules.hasPorts || !this.#rules.isWritten) return;
    await this.#makeBridge();
  }

  /** Once; again after a failure. */
  #ensureBridge(): Promise<void> {
    this.#ready ??= this.#makeBridge().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #makeBridge(): Promise<void> {
    const pool = this.#pool;
    if (pool === undefined) return;
    const address = `${pool.gateway}/${pool.prefixLength}`;
    const isLocalhostRouted = this.#rules.isWritten && this.#rules.hasPorts;
    await this.#options.runtime.ensureBridge({
      name: this.bridge,
      address,
      mtu: this.#mtu,
      isLocalhostRouted,
    });
    this.#isLocalhostRouted = isLocalhostRouted;
    this.#options.log.info('Set up bridge', { bridge: this.bridge, address });
  }

  get #mtu(): number {
    return this.#options.mtu ?? DEFAULT_MTU;
  }

  #save(): Promise<void> {
    return this.#file.save(() => this.#pool?.snapshot());
  }
}
