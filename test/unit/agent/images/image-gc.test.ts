/** Which images are removed when, and what is told when that is not enough. */

import * as assert from 'uvu/assert';
import type { EventDetails } from '../../../../pkg/agent/events.ts';
import { ImageGc } from '../../../../pkg/agent/images/image-gc.ts';
import { followPull } from '../../../../pkg/agent/images/pull-progress.ts';
import type { Image } from '../../../../pkg/image/image-store.ts';
import { silent } from '../../../../pkg/log/log.ts';
import { handClock } from '../../../harness/hand-clock.ts';
import { rejects, suite } from '../../../harness/suite.ts';

const MINUTE = 60_000;
const POLICY = { highPercent: 85, lowPercent: 80, minAgeMs: 2 * MINUTE, maxAgeMs: 0 };

suite('image collection', ({ test, cleanup }) => {
  function open(policy: Partial<typeof POLICY> = {}) {
    const clock = handClock(1_000_000);
    const there = new Map<string, { isPinned: boolean; isInUse: boolean }>();
    const disk = { capacityBytes: 1000, availableBytes: 500 };
    const events: EventDetails[] = [];
    const images = {
      list: () =>
        [...there].map(([id, { isPinned }]) => ({ id, tags: [], isPinned }) as unknown as Image),
      isInUse: (id: string) => there.get(id)?.isInUse === true,
      async remove(id: string) {
        there.delete(id);
        disk.availableBytes += 30;
      },
    };
    const gc = new ImageGc({
      engine: { images } as never,
      policy: { ...POLICY, ...policy },
      clock,
      log: silent,
      disk: async () => ({ ...disk }),
      record: (details) => void events.push(details),
    });
    cleanup(() => gc.close());
    const add = (id: string, more: { isPinned?: boolean; isInUse?: boolean } = {}) =>
      there.set(id, { isPinned: false, isInUse: false, ...more });
    const ids = () => [...there.keys()];
    return { gc, clock, disk, events, add, ids, there };
  }

  test('removes what is unused for longest until the disk is below the low threshold', async () => {
    const { gc, clock, disk, add, ids, there, events } = open();
    for (const id of ['a', 'b', 'c']) add(id, { isInUse: true });
    add('pinned', { isPinned: true });
    add('used', { isInUse: true });
    await gc.collect();
    for (const id of ['b', 'a', 'c']) {
      clock.pass(MINUTE);
      await gc.collect();
      there.set(id, { isPinned: false, isInUse: false });
    }
    clock.pass(MINUTE);
    disk.availableBytes = 150;
    await gc.collect();
    assert.equal(ids(), ['c', 'pinned', 'used'], 'two were enough: b, then a');
    assert.equal(events, []);
  });

  test('leaves a disk alone that is not too full, and images that are too young', async () => {
    const { gc, clock, disk, add, ids } = open();
    add('a');
    disk.availableBytes = 160;
    clock.pass(10 * MINUTE);
    await gc.collect();
    disk.availableBytes = 100;
    add('b');
    await rejects(gc.collect());
    assert.equal(ids(), ['a', 'b'], 'seen for the first time a moment ago');
    clock.pass(2 * MINUTE);
    await rejects(gc.collect());
    assert.equal(ids(), []);
  });

  test('tells what could not be freed, and when it fails again', async () => {
    const { clock, disk, events, gc } = open();
    await gc.collect();
    disk.availableBytes = 10;
    assert.match(
      String(await rejects(gc.collect())),
      'Attempted to free 190 bytes, but only found 0 bytes eligible to free.',
    );
    assert.is(events.at(-1)?.reason, 'FreeDiskSpaceFailed');
    for (let at = 0; at < 2; at += 1) {
      clock.pass(5 * MINUTE);
      await gc.collect().catch(() => undefined);
      await new Promise((next) => setImmediate(next));
    }
    assert.ok(events.some(({ reason }) => reason === 'ImageGCFailed'));
  });

  test('removes what nobody has used for an age, and all that is unused when asked to', async () => {
    const { gc, clock, add, ids } = open({ maxAgeMs: 60 * MINUTE });
    add('old');
    add('used', { isInUse: true });
    await gc.collect();
    clock.pass(59 * MINUTE);
    await gc.collect();
    assert.equal(ids(), ['old', 'used']);
    clock.pass(2 * MINUTE);
    await gc.collect();
    assert.equal(ids(), ['used']);
    add('new');
    await gc.freeAll();
    assert.equal(ids(), ['used', 'new'], 'too young');
    clock.pass(3 * MINUTE);
    await gc.freeAll();
    assert.equal(ids(), ['used']);
  });
});

suite('progress of a pull', ({ test }) => {
  test('is told ever less often, and not after the end', () => {
    const clock = handClock(1_000_000);
    const told: string[] = [];
    const record = ({ message }: { readonly message: string }) => void told.push(message);
    const pull = followPull({ image: 'r.io/app:1', clock, record });
    pull.update({ layer: 'a', doneBytes: 1_000_000, totalBytes: 4_000_000 });
    pull.update({ layer: 'b', doneBytes: 500_000, totalBytes: 2_000_000 });
    for (let second = 0; second < 240; second += 1) clock.pass(1000);
    assert.is(told.length, 4, 'after 15, 45, 105 and 225 s');
    assert.is(told[0], 'Still pulling image "r.io/app:1": 1.5 of 6.0 MB');
    pull.end();
    clock.pass(3600_000);
    assert.is(told.length, 4);
  });
});
