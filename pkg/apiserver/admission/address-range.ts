/** A range of IP addresses as numbers: membership, the nth address, and how many there are. IPv4 and IPv6. */

import ipaddr from 'ipaddr.js';

type Family = 'IPv4' | 'IPv6';

export interface AddressRange {
  readonly family: Family;
  /** Addresses that may be given out: all but the first, and for IPv4 the last. */
  readonly size: number;
  /** The nth, from 1: 10.43.0.1 is the first of 10.43.0.0/16. */
  at(n: number): string;
  contains(address: string): boolean;
}

/** Ranges larger than this are used only in part, so that counting stays exact. */
const MAX_BITS = 20;

/** Reads a CIDR. Throws an Error that names it. */
export function parseRange(cidr: string): AddressRange {
  if (!ipaddr.isValidCIDR(cidr))
    throw new Error(`"${cidr}" is not an address range such as 10.43.0.0/16`);
  const [address, bits] = ipaddr.parseCIDR(cidr);
  const isV4 = address.kind() === 'ipv4';
  const hostBits = Math.min((isV4 ? 32 : 128) - bits, MAX_BITS);
  const base = toNumber(address.toByteArray()) & ~((1n << BigInt((isV4 ? 32 : 128) - bits)) - 1n);
  return {
    family: isV4 ? 'IPv4' : 'IPv6',
    size: Math.max(2 ** hostBits - (isV4 ? 2 : 1), 0),
    at: (n) => toText(base + BigInt(n), isV4 ? 4 : 16),
    contains(text) {
      if (!ipaddr.isValid(text)) return false;
      const parsed = ipaddr.parse(text);
      return parsed.kind() === address.kind() && parsed.match(address, bits);
    },
  };
}

/** One spelling for an address. */
export function canonicalAddress(text: string): string {
  return ipaddr.isValid(text) ? ipaddr.parse(text).toString() : text;
}

function toNumber(bytes: readonly number[]): bigint {
  return bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

function toText(value: bigint, size: number): string {
  const bytes = Array.from({ length: size }, (_, index) =>
    Number((value >> BigInt(8 * (size - 1 - index))) & 0xffn),
  );
  return ipaddr.fromByteArray(bytes).toString();
}
