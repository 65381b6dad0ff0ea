/** What the helper's watch says, how it is told what to watch for, and that it is started again. */

import { PassThrough } from 'node:stream';
import * as assert from 'uvu/assert';
import { silent } from '../../../pkg/log/log.ts';
import { HostEvents } from '../../../pkg/runtime/host-events.ts';
import { movableClock } from '../../harness/movable-clock.ts';
import { suite } from '../../harness/suite.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

suite('runtime/host events', ({ test, cleanup }) => {
  function start() {
    const clock = movableClock();
    const sockets: PassThrough[] = [];
    const levels: number[] = [];
    const written: string[] = [];
    const watch = async (memoryBytes: number) => {
      levels.push(memoryBytes);
      const socket = new PassThrough();
      // A duplex of two ends would echo: what is written is noted instead.
      socket._write = (chunk, _encoding, done) => {
        written.push(String(chunk));
        done();
      };
      sockets.push(socket);
      return socket;
    };
    const events = new HostEvents({ watch, log: silent, clock });
    cleanup(() => events.close());
    const heard: string[] = [];
    events.onMemory(() => heard.push('memory'));
    const endRules = events.onRules(() => heard.push('rules'));
    return { clock, sockets, levels, written, events, heard, endRules };
  }

  test('passes words on, whole or in pieces, until a listener ends', async () => {
    const { sockets, heard, endRules } = start();
    await turn();
    sockets[0]?.push('memory\nru');
    await turn();
    assert.equal(heard, ['memory']);
    sockets[0]?.push('les\nother\n');
    await turn();
    assert.equal(heard, ['memory', 'rules']);
    endRules();
    sockets[0]?.push('rules\nmemory\nmemory\n');
    await turn();
    assert.equal(heard, ['memory', 'rules', 'memory'], 'a burst is one event');
  });

  test('starts a watch that ended again with the level of now, and takes it for an event', async () => {
    const { clock, sockets, levels, written, events, heard } = start();
    await turn();
    events.setMemoryLevel(7.4);
    assert.equal(written, ['7\n']);
    sockets[0]?.push(null);
    await turn();
    await clock.pass(500);
    await turn();
    assert.equal(levels, [0, 7]);
    assert.equal(heard, ['memory', 'rules']);
  });
});
