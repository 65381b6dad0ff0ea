/** exec, attach and port-forward: chooses the protocol that the client asks for and hands the connection over. */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { NodeContext } from '../node-context.ts';
import type { Pods } from '../pod/pods.ts';
import type { NodeRequest } from './request.ts';

export interface StreamingOptions {
  readonly context: NodeContext;
  readonly pods: Pods;
  readonly request: NodeRequest;
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

export function serveStreaming({ socket }: StreamingOptions): void {
  socket.end('HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}
