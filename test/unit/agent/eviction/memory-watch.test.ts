/** The level of memory use at which the kernel is to tell. */

import * as assert from 'uvu/assert';
import { MemoryLevel } from '../../../../pkg/agent/eviction/memory-watch.ts';
import { parseKubeletArgs } from '../../../../pkg/agent/node/kubelet-args.ts';
import { suite } from '../../../harness/suite.ts';

const MIB = 2 ** 20;

suite('eviction/memory level', ({ test }) => {
  const start = (...args: readonly string[]) => {
    const levels: number[] = [];
    const events = {
      onMemory: () => () => undefined,
      setMemoryLevel: (bytes: number) => levels.push(bytes / MIB),
    };
    const level = new MemoryLevel(events, parseKubeletArgs(args));
    const look = (reclaimable: number) =>
      level.follow(
        new Map([
          [
            'memory.available',
            { available: 500 * MIB, capacity: 1000 * MIB, reclaimable: reclaimable * MIB },
          ],
        ]),
      );
    return { levels, look };
  };

  test('is where the first threshold is crossed, and follows the page cache by large steps', () => {
    const { levels, look } = start(
      'eviction-hard=memory.available<100Mi',
      'eviction-soft=memory.available<20%',
      'eviction-soft-grace-period=memory.available=1m',
    );
    for (const cache of [0, 5, 8, 50, 52, 10]) look(cache);
    assert.equal(levels, [800, 850, 810]);
  });

  test('is not set without a threshold for memory', () => {
    const { levels, look } = start('eviction-hard=pid.available<10');
    look(0);
    assert.equal(levels, []);
  });
});
