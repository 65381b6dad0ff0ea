/** Addresses of one pod CIDR: who has which, and which was free for longest. Pure. */

import ipaddr from 'ipaddr.js';

export interface AddressState {
  readonly cidr: string;
  /** Address by owner. */
  readonly inUse: Readonly<Record<string, string>>;
  /** Freed addresses, the one that was freed first, first. */
  readonly released: readonly string[];
  /** Offset in the CIDR of the first address that nobody had yet. */
  readonly nextOffset: number;
}

/** Offset 0 names the network and 1 is the gateway. */
const FIRST_OFFSET = 2;
const SHORTEST_PREFIX = 8;
const LONGEST_PREFIX = 29;

export class AddressPool {
  readonly cidr: string;
  readonly #base: number;
  readonly #size: number;
  readonly #inUse: Map<string, string>;
  readonly #released: string[];
  #nextOffset: number;

  /** A pool for a CIDR, with what an earlier one of the same CIDR had. Throws when it is no IPv4 CIDR of /8 to /29. */
  constructor(cidr: string, state?: AddressState) {
    const { base, prefix } = parseCidr(cidr);
    this.cidr = cidr;
    this.#base = base;
    this.#size = 2 ** (32 - prefix);
    const kept = state?.cidr === cidr ? state : undefined;
    this.#inUse = new Map(Object.entries(kept?.inUse ?? {}));
    this.#released = [...(kept?.released ?? [])];
    this.#nextOffset = kept?.nextOffset ?? FIRST_OFFSET;
  }

  /** `10.42.0.1`. */
  get gateway(): string {
    return toText(this.#base + 1);
  }

  get prefixLength(): number {
    return 32 - Math.log2(this.#size);
  }

  get(owner: string): string | undefined {
    return this.#inUse.get(owner);
  }

  owners(): readonly string[] {
    return [...this.#inUse.keys()];
  }

  /** The owner's address, or a new one: never used before if there is one, else the one free for longest. */
  allocate(owner: string): string {
    const own = this.#inUse.get(owner);
    if (own !== undefined) return own;
    const address = this.#unused() ?? this.#released.shift();
    if (address === undefined) {
      throw new Error(`all ${this.#size - FIRST_OFFSET - 1} addresses of ${this.cidr} are in use`);
    }
    this.#inUse.set(owner, address);
    return address;
  }

  /** Notes an address that its owner is known to have; false when it is not of this CIDR, or another's. */
  keep(owner: string, address: string): boolean {
    if (this.#inUse.get(owner) === address) return true;
    const offset = offsetOf(address, this.#base);
    const isTaken = [...this.#inUse.values()].includes(address);
    if (isTaken || this.#inUse.has(owner)) return false;
    if (offset < FIRST_OFFSET || offset >= this.#size - 1) return false;
    for (; this.#nextOffset < offset; this.#nextOffset += 1)
      this.#released.push(toText(this.#base + this.#nextOffset));
    this.#nextOffset = Math.max(this.#nextOffset, offset + 1);
    const released = this.#released.indexOf(address);
    if (released >= 0) this.#released.splice(released, 1);
    this.#inUse.set(owner, address);
    return true;
  }

  /** Frees the owner's address; false when it had none. */
  release(owner: string): boolean {
    const address = this.#inUse.get(owner);
    if (address === undefined) return false;
    this.#inUse.delete(owner);
    this.#released.push(address);
    return true;
  }

  snapshot(): AddressState {
    return {
      cidr: this.cidr,
      inUse: Object.fromEntries(this.#inUse),
      released: [...this.#released],
      nextOffset: this.#nextOffset,
    };
  }

  /** The last address of a CIDR is its broadcast address. */
  #unused(): string | undefined {
    if (this.#nextOffset >= this.#size - 1) return undefined;
    const address = toText(this.#base + this.#nextOffset);
    this.#nextOffset += 1;
    return address;
  }
}

/** Reads what a file held; undefined when it held nothing. Throws when it is of another shape. */
export function decodeAddressState(value: unknown): AddressState | undefined {
  if (value === undefined) return undefined;
  const state = value as Partial<AddressState> | null;
  const isWhole =
    typeof state?.cidr === 'string' &&
    typeof state.inUse === 'object' &&
    state.inUse !== null &&
    Array.isArray(state.released) &&
    typeof state.nextOffset === 'number';
  if (!isWhole) throw new Error('not a list of addresses');
  return state as AddressState;
}

function parseCidr(cidr: string): { base: number; prefix: number } {
  // The library takes short forms such as 10.1/16 too, which mean different things to different programs.
  if (!/^\d+(\.\d+){3}\/\d+$/.test(cidr) || !ipaddr.IPv4.isValidCIDR(cidr)) {
    throw new Error(`pod CIDR "${cidr}" is not an IPv4 CIDR; IPv6 is not supported`);
  }
  const [address, prefix] = ipaddr.IPv4.parseCIDR(cidr);
  if (prefix < SHORTEST_PREFIX || prefix > LONGEST_PREFIX) {
    throw new Error(
      `pod CIDR "${cidr}" must be between /${SHORTEST_PREFIX} and /${LONGEST_PREFIX}`,
    );
  }
  const bytes = address.toByteArray();
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return { base: value - (value % 2 ** (32 - prefix)), prefix };
}

/** The CIDR that an address with its prefix length (`10.42.0.5/24`) is of. */
export function cidrOf(address: string): string {
  const { base, prefix } = parseCidr(address);
  return `${toText(base)}/${prefix}`;
}

function offsetOf(address: string, base: number): number {
  return address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0) - base;
}

function toText(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
