/** Gives every node its share of the cluster's pod addresses: the lowest /22 that no other node has. */

import type { Node } from '../api/generated/types.ts';
import { type Controller, DONE } from './controller.ts';

/** Prefix length of a node's share: 1,021 pods, which is as many as one bridge can have ports (BR_MAX_PORTS). */
const NODE_BITS = 22;
/** Of a range too small for that; as Kubernetes' and k3s' default. */
const SMALL_NODE_BITS = 24;
/** A range is shared out in large parts when it has so many of them. */
const LARGE_SHARES_MIN_BITS = 4;

/** An IPv4 range as numbers. */
interface Range {
  readonly base: number;
  readonly bits: number;
}

/** Reads `10.42.0.0/16`. Throws on anything else than an IPv4 range that holds at least one small share. */
export function parseClusterCidr(text: string): Range {
  const [address = '', bitsText = ''] = text.split('/');
  const parts = address.split('.').map(Number);
  const bits = Number(bitsText);
  const isAddress =
    parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256);
  if (!isAddress || !/^\d+$/.test(bitsText) || bits > SMALL_NODE_BITS) {
    throw new Error(
      `Invalid cluster CIDR "${text}": an IPv4 range of /${SMALL_NODE_BITS} or larger is needed`,
    );
  }
  const base = parts.reduce((sum, part) => sum * 256 + part, 0);
  const size = 2 ** (32 - bits);
  return { base: Math.floor(base / size) * size, bits };
}

/** The lowest share that overlaps with none that is taken; undefined when there is none left. */
export function freeShare(range: Range, taken: ReadonlySet<string>): string | undefined {
  const isLarge = NODE_BITS - range.bits >= LARGE_SHARES_MIN_BITS;
  const bits = isLarge ? NODE_BITS : SMALL_NODE_BITS;
  const size = 2 ** (32 - bits);
  const others = [...taken].map(boundsOf);
  for (let i = 0; i < 2 ** (bits - range.bits); i += 1) {
    const from = range.base + i * size;
    const isFree = others.every(({ first, end }) => end <= from || first >= from + size);
    if (isFree) return `${dotted(from)}/${bits}`;
  }
  return undefined;
}

/** The addresses of a share; a cluster of an earlier version may have shares of another size. */
function boundsOf(share: string): { readonly first: number; readonly end: number } {
  const [address = '', bits = ''] = share.split('/');
  const first = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return { first, end: first + 2 ** (32 - Number(bits)) };
}

function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** Makes the controller. Throws on a CIDR that it cannot share out. */
export function nodeIpam(clusterCidr: string): Controller {
  const range = parseClusterCidr(clusterCidr);
  return {
    name: 'node-ipam',
    // One at a time: two nodes must not be given the same share.
    concurrency: 1,
    watches: { primary: 'nodes' },
    async reconcile(ref, { cache, client, events }, signal) {
      const node = cache.get<Node>('nodes', ref);
      if (!node || node.metadata.deletionTimestamp || node.spec?.podCIDR) return DONE;
      const taken = new Set(cache.list<Node>('nodes').flatMap(({ spec }) => spec?.podCIDRs ?? []));
      const podCIDR = freeShare(range, taken);
      if (!podCIDR) {
        events.warning(node, 'CIDRNotAvailable', `No share of ${clusterCidr} is left`);
        throw new Error(`No share of ${clusterCidr} is left for node ${ref.name}`);
      }
      const { resourceVersion } = node.metadata;
      const patch = { metadata: { resourceVersion }, spec: { podCIDR, podCIDRs: [podCIDR] } };
      await client.patch('nodes', ref, patch, { type: 'merge' }, signal);
      return DONE;
    },
  };
}
