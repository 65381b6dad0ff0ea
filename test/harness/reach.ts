/** Lets a test reach a port of a host over TCP: the host's network is its own, its scratch directory is shared. */

import { existsSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Host } from './hosts.ts';

const START_TIMEOUT_MS = 60_000;
/** A host may be reached several times, one after the other. */
let serial = 0;

export interface Reached {
  /** On 127.0.0.1 of this machine. */
  readonly port: number;
  close(): Promise<void>;
}

/** Passes connections on to 127.0.0.1:`port` of the host, cuts included. The host's end goes with the host. */
export async function reach(host: Host, port: number): Promise<Reached> {
  serial += 1;
  const path = join(host.dir, `reach-${port}-${serial}.sock`);
  const program = join(host.dir, 'reach.cjs');
  writeFileSync(program, PROGRAM);
  const running = host.start([process.execPath, program, path, String(port)]);
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  while (!existsSync(path)) {
    if (Date.now() > deadlineMs) throw new Error(`Cannot reach ${host.name}: ${running.output()}`);
    await new Promise((next) => setTimeout(next, 10));
  }
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ path, allowHalfOpen: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = new Promise((done) => server.close(done));
      for (const socket of sockets) socket.destroy();
      await closed;
      await running.kill('SIGKILL');
    },
  };
}

const PROGRAM = `
const { connect, createServer } = require('node:net');
const [, , path, port] = process.argv;
createServer({ allowHalfOpen: true }, (near) => {
  const far = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
  for (const [from, to] of [[near, far], [far, near]]) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
}).listen(path);
`;
