/** Connections to ports of the host itself, for sandboxes that share its network. */

import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { EngineError } from './engine.ts';

const HOSTS = ['127.0.0.1', '::1'];

/** Rejects with an EngineError when nothing answers at this port. */
export async function connectToHost(port: number): Promise<Duplex> {
  const failures: unknown[] = [];
  for (const host of HOSTS) {
    try {
      return await connectTo(host, port);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new EngineError('Internal', `cannot connect to port ${port} of the host`, failures[0]);
}

function connectTo(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
