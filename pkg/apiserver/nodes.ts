/**
 * The live sessions of nodes: their WebSocket endpoint, the streams that they open to the API, and the way from
 * the API to them. One session a node: a new one replaces the old, which is a cut that the server has not noticed.
 */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { unavailable } from '../api/errors.ts';
import type { Logger } from '../log/log.ts';
import type { Session } from '../tunnel/session.ts';
import { acceptSession, MAX_MESSAGE_BYTES } from '../tunnel/web-socket-session.ts';
import type { NodeConnector, User } from './contract.ts';

/** Where nodes connect; a request for it must be an upgrade. */
export const CONNECT_PATH = '/v1-mini/connect';
export const NODE_USER_PREFIX = 'system:node:';
export const NODES_GROUP = 'system:nodes';
/** Sessions at once; far above what one server of this kind serves. */
const MAX_NODES = 1_000;

export interface NodeSessionsOptions {
  readonly log: Logger;
  /** Serves HTTP/1.1 of the API on this stream as this user (already authenticated by the session). */
  readonly serveStream: (stream: Duplex, user: User) => void;
  /** Called when a node's session comes or goes. */
  readonly onChange?: (nodeName: string, isConnected: boolean) => void;
}

/** What an HTTP server's 'upgrade' event brings, and who asks. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly user: User;
  /** Why TLS did not accept the peer's certificate, if it sent one. */
  readonly problem?: string;
}

/** The name of the node that this user is, or undefined for everybody else. */
export function nodeNameOf(user: User): string | undefined {
  const isNode = user.name.startsWith(NODE_USER_PREFIX) && user.groups.includes(NODES_GROUP);
  return isNode ? user.name.slice(NODE_USER_PREFIX.length) : undefined;
}

export class NodeSessions implements NodeConnector {
  readonly #options: NodeSessionsOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    clientTracking: false,
  });
  #isClosed = false;

  constructor(options: NodeSessionsOptions) {
    this.#options = options;
  }

  /** Names of the nodes whose session stands. */
  get connected(): readonly string[] {
    return [...this.#sessions.keys()];
  }

  connect(nodeName: string): Duplex {
    const session = this.#sessions.get(nodeName);
    if (!session) throw unavailable(`node "${nodeName}" is not connected to this server`);
    try {
      return session.open({ kind: 'node' });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw unavailable(`node "${nodeName}" cannot be reached: ${why}`, cause);
    }
  }

  /** Handles an upgrade of CONNECT_PATH; answers 403 to anybody but a node with its own certificate. */
  handleUpgrade({ request, socket, head, user, problem }: Upgrade): void {
    socket.on('error', () => socket.destroy());
    const nodeName = nodeNameOf(user);
    if (this.#isClosed) {
      refuse(socket, 503, 'the server shuts down');
    } else if (problem !== undefined) {
      refuse(socket, 401, `the node's certificate is not accepted: ${problem}`);
    } else if (!nodeName) {
      refuse(socket, 403, `user "${user.name}" is not a node`);
    } else if (this.#sessions.size >= MAX_NODES && !this.#sessions.has(nodeName)) {
      refuse(socket, 503, `${MAX_NODES} nodes are connected, which is the limit`);
    } else {
      this.#server.handleUpgrade(request, socket, head, (webSocket) =>
        this.#accept({ nodeName, user, webSocket, connection: socket }),
      );
    }
  }

  /** Ends all sessions; the nodes connect again to whichever server answers. */
  close(): void {
    this.#isClosed = true;
    for (const session of this.#sessions.values())
      session.close(new Error('the server shuts down'));
    this.#server.close();
  }

  #accept(accepted: {
    readonly nodeName: string;
    readonly user: User;
    readonly webSocket: WebSocket;
    readonly connection: Duplex;
  }): void {
    const { log, serveStream, onChange } = this.#options;
    const { nodeName, user, webSocket, connection } = accepted;
    const session = acceptSession(webSocket, { connection });
    session.onStream = (header, stream) => {
      if (header.kind === 'api') serveStream(stream, user);
      else stream.destroy(new Error('a node opens only streams to the API'));
    };
    const old = this.#sessions.get(nodeName);
    this.#sessions.set(nodeName, session);
    old?.close(new Error('the node connected again'));
    log.info('Connected node', { node: nodeName });
    onChange?.(nodeName, true);
    void session.closed.then((reason) => {
      if (this.#sessions.get(nodeName) !== session) return;
      this.#sessions.delete(nodeName);
      log.info('Disconnected node', { node: nodeName, reason: reason?.message });
      onChange?.(nodeName, false);
    });
  }
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  503: 'Service Unavailable',
};

function refuse(socket: Duplex, status: number, message: string): void {
  const body = Buffer.from(`${message}\n`);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_TEXT[status]}\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}
