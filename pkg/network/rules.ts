/** mini's own nftables table as text: ports of the host that lead to pods, and addresses that pods leave the node with. */

import ipaddr from 'ipaddr.js';

/** A port of the host that leads to a port of a sandbox. */
export interface HostPort {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  /** Only on this address of the host; absent = on all. */
  readonly hostIp?: string;
  readonly hostPort: number;
  readonly port: number;
}

export interface RuleFacts {
  readonly bridge: string;
  /** Addresses of this node's sandboxes. */
  readonly podCidr: string;
  /** Addresses that are reached as they are: the whole cluster's. */
  readonly clusterCidr: string;
  /** Ports of the host, each with the sandbox's address. */
  readonly ports: readonly (HostPort & { readonly address: string })[];
}

const ANY_ADDRESS = ['', '0.0.0.0'];

/** The one table that mini touches; each mini of a host has a bridge, and so a table, of its own. */
export function tableName(bridge: string): string {
  return `mini-${bridge}`;
}

function tableOf(bridge: string): string {
  return `inet ${tableName(bridge)}`;
}

/** Removes the table, whether it is there or not. */
export function removal(bridge: string): string {
  return `table ${tableOf(bridge)}\ndelete table ${tableOf(bridge)}\n`;
}

/** What a port is taken by: two sandboxes may not have it at once. */
export function keyOf({ protocol, hostIp = '', hostPort }: HostPort): string {
  return `${ANY_ADDRESS.includes(hostIp) ? '*' : hostIp}:${hostPort}/${protocol}`;
}

/** Throws when a port cannot be mapped here. */
export function checkHostPort({ hostIp = '', hostPort }: HostPort): void {
  if (ANY_ADDRESS.includes(hostIp) || ipaddr.IPv4.isValidFourPartDecimal(hostIp)) return;
  throw new Error(`host port ${hostPort}: "${hostIp}" is no IPv4 address; pods have IPv4 only`);
}

/**
 * Replaces the table in one transaction. Connections to an address of the host are led to the sandbox; those that
 * would be answered past the host (from the same bridge, or from 127.0.0.1) come from the bridge's own address, all
 * others keep theirs. Sandboxes leave the cluster with the host's address. What comes from the bridge never reaches
 * 127.0.0.0/8 of the host, though route_localnet, which the first needs, would let it.
 */
export function ruleset(facts: RuleFacts): string {
  const { bridge, podCidr, clusterCidr, ports } = facts;
  const any = ports.filter(({ hostIp = '' }) => ANY_ADDRESS.includes(hostIp));
  const addressed = ports.filter((port) => !any.includes(port));
  const target = ({ address, port }: RuleFacts['ports'][number]) => `${address} . ${port}`;
  const anyElements = any.map(
    (one) => `${one.protocol.toLowerCase()} . ${one.hostPort} : ${target(one)}`,
  );
  const addressedElements = addressed.map(
    (one) => `${one.hostIp} . ${one.protocol.toLowerCase()} . ${one.hostPort} : ${target(one)}`,
  );
  return `${removal(bridge)}table ${tableOf(bridge)} {
  map host_ports {
    type inet_proto . inet_service : ipv4_addr . inet_service
    ${elements(anyElements)}
  }
  map addressed_host_ports {
    type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
    ${elements(addressedElements)}
  }
  chain guard {
    type filter hook prerouting priority raw
    iifname "${bridge}" ip daddr 127.0.0.0/8 drop
    iifname "${bridge}" ip saddr 127.0.0.0/8 drop
  }
  chain publish {
    dnat ip to ip daddr . meta l4proto . th dport map @addressed_host_ports
    dnat ip to meta l4proto . th dport map @host_ports
  }
  chain arriving {
    type nat hook prerouting priority dstnat
    fib daddr type local jump publish
  }
  chain from_host {
    type nat hook output priority -100
    fib daddr type local jump publish
  }
  chain leaving {
    type nat hook postrouting priority srcnat
    oifname "${bridge}" ct status dnat ip saddr { 127.0.0.0/8, ${podCidr} } masquerade fully-random
    oifname != "${bridge}" ip saddr ${podCidr} ip daddr != ${clusterCidr} masquerade fully-random
  }
}
`;
}

function elements(list: readonly string[]): string {
  return list.length === 0 ? '' : `elements = { ${list.join(', ')} }`;
}
