/** More connections than the process may have files: refused, told once in a while, taken again when others go. */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import * as assert from 'uvu/assert';
import { limitConnections } from '../../../pkg/apiserver/connection-limit.ts';
import { createLogger } from '../../../pkg/log/log.ts';
import { movableClock } from '../../harness/movable-clock.ts';
import { suite } from '../../harness/suite.ts';

/** However it closes. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

suite('connection limit', ({ test, cleanup }) => {
  const start = async (files: string) => {
    const lines: string[] = [];
    const clock = movableClock();
    const server = createServer((socket) => socket.on('error', () => undefined).write('hello'));
    const log = createLogger('warn', (line) => lines.push(line));
    limitConnections(server, { log, clock }, `Max open files   ${files}   20000   files\n`);
    cleanup(() => void server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const open = () => {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      cleanup(() => void socket.destroy());
      // What a socket does not read, it does not hear the end of.
      return socket.resume();
    };
    return { server, lines, clock, open };
  };

  test('leaves descriptors to others', async () => {
    assert.is((await start('20000')).server.maxConnections, 19_872);
    assert.is((await start('200')).server.maxConnections, 100);
    assert.is((await start('unlimited')).server.maxConnections, undefined);
  });

  test('refuses, tells, and takes connections again', async () => {
    const { lines, clock, open } = await start('2');
    const first = open();
    const [text] = await once(first, 'data');
    assert.is(String(text), 'hello');
    for (const count of [1, 1]) {
      const refused = open();
      await closed(refused);
      assert.is(lines.length, count);
    }
    assert.match(lines[0] ?? '', /Refused connections.* limit=1 mend=.*ulimit -n/);
    await clock.pass(60_000);
    const later = open();
    await closed(later);
    assert.is(lines.length, 2);
    first.destroy();
    // The server learns of the end in its own time.
    for (let isTaken = false; !isTaken; ) {
      const next = open();
      isTaken = await new Promise((resolve) => {
        next.once('data', () => resolve(true)).once('close', () => resolve(false));
      });
      next.destroy();
    }
  });
});
