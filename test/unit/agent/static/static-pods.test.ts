import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { StaticPods } from '../../../../pkg/agent/static/static-pods.ts';
import type { Pod } from '../../../../pkg/api/generated/types.ts';
import type { Client } from '../../../../pkg/client/client.ts';
import { silent } from '../../../../pkg/log/log.ts';
import { movableClock } from '../../../harness/movable-clock.ts';
import { suite } from '../../../harness/suite.ts';

const MANIFEST = `apiVersion: v1
kind: Pod
metadata: { name: web }
spec: { containers: [{ name: c, image: "known:1" }] }
`;
const KEY = 'default/web-n1';
/** Longer than the name of a deleted mirror stays free. */
const A_WHILE_MS = 10_000;

const settled = () => new Promise((resolve) => setImmediate(resolve));

suite('agent/static-pods', ({ test, cleanup }) => {
  const start = async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mini-static-'));
    await writeFile(join(directory, 'web.yaml'), MANIFEST);
    const calls: string[] = [];
    const created: Pod[] = [];
    /** The three calls that mirrors need. */
    const client: Pick<Client, 'get' | 'create' | 'remove'> = {
      get: async () => ({ metadata: { name: 'n1', uid: 'n' } }) as never,
      create: async (_resource, draft) => {
        calls.push('create');
        const { metadata } = draft as unknown as Pod;
        created.push({
          ...draft,
          metadata: { ...metadata, uid: `mirror-${created.length}` },
        } as never);
        return draft as never;
      },
      remove: async () => {
        calls.push('remove');
        return {} as never;
      },
    };
    const clock = movableClock();
    const pods = new StaticPods({
      directory,
      nodeName: 'n1',
      client: client as Client,
      events: { record: () => assert.unreachable('nothing is wrong with the file') } as never,
      runner: { addStatic() {}, removeStatic() {}, mirrored() {} },
      clock,
      log: silent,
    });
    cleanup(async () => {
      await pods.close();
      await rm(directory, { recursive: true });
    });
    await pods.settled;
    pods.synced();
    await settled();
    const [mirror] = created;
    assert.ok(mirror);
    pods.onMirror(KEY, mirror);
    return { pods, mirror, calls, clock };
  };

  test('the name of a mirror that somebody deleted stays free for a moment', async () => {
    const { pods, mirror, calls, clock } = await start();
    const metadata = { ...mirror.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
    pods.onMirror(KEY, { ...mirror, metadata });
    await settled();
    assert.equal(calls, ['create', 'remove']);
    pods.onMirror(KEY, undefined);
    await settled();
    await clock.pass(1_000);
    await settled();
    assert.equal(calls, ['create', 'remove']);
    await clock.pass(A_WHILE_MS);
    await settled();
    assert.equal(calls, ['create', 'remove', 'create']);
  });

  test('a mirror that is gone at once, as by force, is made again at once', async () => {
    const { pods, calls } = await start();
    pods.onMirror(KEY, undefined);
    await settled();
    assert.equal(calls, ['create', 'create']);
  });
});
