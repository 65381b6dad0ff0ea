/** The manager's own promises, on a real API server: no key before its own writes show, backoff, one run per key. */

import * as assert from 'uvu/assert';
import type { ConfigMap } from '../../pkg/api/generated/types.ts';
import { type Controller, DONE } from '../../pkg/controllers/controller.ts';
import { sleep } from '../../pkg/wait/clock.ts';
import { suite } from '../harness/suite.ts';
import { eventually, startControlPlane } from './control-plane.ts';

const REF = { namespace: 'default', name: 'subject' };

function configMap(name: string, data: Readonly<Record<string, string>> = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default', name }, data };
}

suite('manager', ({ test, cleanup }) => {
  const run = async (controller: Controller) => {
    const plane = await startControlPlane();
    cleanup(() => plane.close());
    await plane.client.create<ConfigMap>('configmaps', configMap('subject', { wanted: '5' }));
    await plane.run([controller], { scheduler: false });
    return plane;
  };

  test('a key never runs on a cache without the last writes of its controller', async () => {
    let stale = 0;
    let runs = 0;
    const written = new Map<string, string>();
    const controller: Controller = {
      name: 'counting',
      watches: { primary: 'configmaps' },
      async reconcile(ref, { cache, client }, signal) {
        const found = cache.get<ConfigMap>('configmaps', ref);
        if (!found) return DONE;
        runs += 1;
        const last = written.get(ref.name);
        if (last !== undefined && Number(found.metadata.resourceVersion) < Number(last)) stale += 1;
        const count = Number(found.data?.['count'] ?? 0);
        if (count >= 200) return DONE;
        const next = { ...found, data: { ...found.data, count: String(count + 1) } };
        const answer = await client.update<ConfigMap>('configmaps', next, signal);
        written.set(ref.name, answer.metadata.resourceVersion);
        // At once, before any event can have come.
        return { requeueAfterMs: 0 };
      },
    };
    const plane = await run(controller);
    await eventually(async () => {
      const { data } = await plane.client.get<ConfigMap>('configmaps', REF);
      return data?.['count'] === '200';
    });
    assert.is(stale, 0);
    assert.ok(runs <= 210, `${runs} runs`);
  });

  test('nor without its last deletions', async () => {
    let twice = 0;
    const deleted = new Set<string>();
    const controller: Controller = {
      name: 'deleting',
      concurrency: 1,
      watches: { primary: 'configmaps' },
      async reconcile(ref, { cache, client }, signal) {
        const found = cache.get<ConfigMap>('configmaps', ref);
        if (!found || ref.name === 'subject') return DONE;
        if (deleted.has(found.metadata.uid)) twice += 1;
        deleted.add(found.metadata.uid);
        await client.remove('configmaps', ref, {}, signal);
        return { requeueAfterMs: 0 };
      },
    };
    const plane = await run(controller);
    const names = Array.from({ length: 50 }, (_, i) => `victim${i}`);
    await Promise.all(
      names.map((name) => plane.client.create<ConfigMap>('configmaps', configMap(name))),
    );
    await eventually(() => plane.informers.list('configmaps', 'default').length === 1);
    assert.equal([deleted.size, twice], [50, 0]);
  });

  test('a key that fails is run again, later each time, and never twice at once', async () => {
    const times: number[] = [];
    let running = 0;
    let most = 0;
    const controller: Controller = {
      name: 'failing',
      watches: { primary: 'configmaps' },
      async reconcile(ref) {
        if (ref.name !== 'subject' || times.length >= 6) return DONE;
        running += 1;
        most = Math.max(most, running);
        times.push(performance.now());
        await sleep(1);
        running -= 1;
        throw new Error('not yet');
      },
    };
    const plane = await run(controller);
    await plane.client.patch('configmaps', REF, { data: { more: 'x' } }, { type: 'merge' });
    await eventually(() => times.length === 6);
    assert.is(most, 1);
  });
});
