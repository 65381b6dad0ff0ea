/** What a node is called and where it is reached when no flag says it. */

import { hostname, networkInterfaces } from 'node:os';

const LOOPBACK = '127.0.0.1';
/** Interfaces that containers and overlays made: their addresses are no address of the host. */
const VIRTUAL = /^(mini|mv|veth|docker|br-|cni|flannel|virbr|tunl|wg|tun|tap)/;

export function defaultNodeName(): string {
  return hostname().toLowerCase();
}

/** The first IPv4 address that is not loopback nor a container network's; loopback when there is no other. */
export function defaultNodeIp(): string {
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    if (VIRTUAL.test(name)) continue;
    const found = addresses.find(({ family, internal }) => family === 'IPv4' && !internal);
    if (found) return found.address;
  }
  return LOOPBACK;
}
