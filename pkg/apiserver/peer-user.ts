/** The user of a client certificate that TLS has verified on a connection. */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { UpgradeHandler, User } from './contract.ts';
import { CONNECT_PATH, type NodeSessions } from './nodes.ts';

/** The subject of a verified client certificate; undefined without one. CN is the name, each O a group. */
export function peerUser({ socket }: { readonly socket: Socket }): User | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { CN, O } = socket.getPeerCertificate().subject ?? {};
  const [name] = [CN ?? []].flat();
  return name ? { name, groups: [O ?? []].flat() } : undefined;
}

/** OpenSSL's word for what is wrong with the certificate that a peer sent; undefined for a good one or none. */
function certificateProblem({ socket }: { readonly socket: Socket }): string | undefined {
  if (!(socket instanceof TLSSocket) || socket.authorized) return undefined;
  const hasSent = Object.keys(socket.getPeerCertificate()).length > 0;
  return hasSent ? String(socket.authorizationError) : undefined;
}

/** The WebSocket endpoint of the nodes' tunnels. */
export function nodeUpgradeHandler(nodes: NodeSessions): UpgradeHandler {
  const nobody: User = { name: 'system:anonymous', groups: [] };
  return {
    path: CONNECT_PATH,
    handle(request: IncomingMessage, socket, head) {
      const problem = certificateProblem(request);
      const user = peerUser(request) ?? nobody;
      nodes.handleUpgrade({ request, socket, head, user, ...(problem ? { problem } : {}) });
    },
  };
}
