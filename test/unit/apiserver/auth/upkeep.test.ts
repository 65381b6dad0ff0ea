/** What the server does beside answering, with a store that fails at first and a clock that jumps. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import type { Event } from '../../../../pkg/api/generated/types.ts';
import { createAuthorizer } from '../../../../pkg/apiserver/auth/authorizer.ts';
import { newBootstrapSecret } from '../../../../pkg/apiserver/auth/bootstrap-tokens.ts';
import { cleanEvents } from '../../../../pkg/apiserver/clean-events.ts';
import { createRegistry } from '../../../../pkg/apiserver/registry.ts';
import { keepPki, keepUp } from '../../../../pkg/apiserver/upkeep.ts';
import { silent } from '../../../../pkg/log/log.ts';
import { LEAF_LIFETIME_MS } from '../../../../pkg/pki/key-pair.ts';
import { loadServerPki, type ServerPki } from '../../../../pkg/pki/server-pki.ts';
import { openMemory } from '../../../../pkg/store/memory.ts';
import { type Clock, systemClock } from '../../../../pkg/wait/clock.ts';
import { movableClock } from '../../../harness/movable-clock.ts';
import { suite } from '../../../harness/suite.ts';

suite('apiserver/upkeep', ({ test, cleanup }) => {
  test('writes the policy after a failure and removes ended tokens', async () => {
    const store = openMemory();
    const real = createRegistry({ store, clock: systemClock });
    let failures = 1;
    const registry: typeof real = {
      ...real,
      create: async (resource, draft) => {
        if (resource === 'clusterroles' && failures > 0) {
          failures -= 1;
          throw new Error('disk full');
        }
        return await real.create(resource, draft);
      },
    };
    const made = newBootstrapSecret({ now: Date.now(), ttlMs: -1_000 });
    await real.create('secrets', made.object);
    const abort = new AbortController();
    const { rbac } = createAuthorizer(registry);
    const running = keepUp({
      store,
      registry,
      rbac,
      clock: systemClock,
      log: silent,
      signal: abort.signal,
    });
    cleanup(async () => {
      abort.abort(new Error('test over'));
      await running;
      await store.close();
    });
    const isDone = () =>
      real.get('clusterroles', { name: 'view' }) !== undefined &&
      real.list('secrets').items.length === 0;
    while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.is(failures, 0);
  });

  test('hands over new certificates once they are due', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mini-upkeep-'));
    cleanup(() => rmSync(dir, { recursive: true }));
    let nowMs = Date.UTC(2026, 10, 22);
    // Each wait passes a tenth of a certificate's life.
    const clock: Clock = {
      now: () => nowMs,
      monotonic: () => nowMs,
      after(_delayMs, task) {
        nowMs += LEAF_LIFETIME_MS / 10;
        setImmediate(task);
        return () => undefined;
      },
    };
    const load = () => loadServerPki({ dir, names: ['a'], now: nowMs });
    const current = await load();
    const abort = new AbortController();
    const renewed = Promise.withResolvers<ServerPki>();
    const onRenewed = (pki: ServerPki) => {
      abort.abort(new Error('test over'));
      renewed.resolve(pki);
    };
    const running = keepPki({ current, load, onRenewed, clock, log: silent, signal: abort.signal });
    const next = await renewed.promise;
    await running;
    assert.is.not(next.server.certificate, current.server.certificate);
    assert.is(next.ca.certificate, current.ca.certificate);
  });

  test('an event goes an hour after its last change, whatever the clock says', async () => {
    const clock = movableClock();
    const store = openMemory();
    const registry = createRegistry({ store, clock });
    const abort = new AbortController();
    const running = cleanEvents({ store, registry, clock, log: silent, signal: abort.signal });
    cleanup(async () => {
      abort.abort(new Error('test over'));
      await running;
      await store.close();
    });
    const add = (name: string) =>
      registry.create<Event>('events', {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name, namespace: 'n' },
        involvedObject: { kind: 'Pod', name: 'p', namespace: 'n' },
      });
    const names = () => registry.list('events').items.map(({ metadata }) => metadata.name);
    await add('old');
    await add('touched');
    clock.move(5 * 3_600_000);
    await clock.pass(50 * 60_000);
    assert.equal(names(), ['old', 'touched']);
    await registry.modify<Event>('events', { namespace: 'n', name: 'touched' }, (event) => ({
      ...event,
      count: 2,
    }));
    clock.move(-9 * 3_600_000);
    await clock.pass(20 * 60_000);
    assert.equal(names(), ['touched']);
    await clock.pass(60 * 60_000);
    assert.equal(names(), []);
  });

  test('of more than 20,000 events the oldest go', async () => {
    const clock = movableClock();
    const store = openMemory();
    const registry = createRegistry({ store, clock });
    const abort = new AbortController();
    cleanup(() => store.close());
    const key = (at: number) => `/registry/core/events/n/${at}`;
    const put = (at: number) => {
      const event = (revision: number) => ({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: String(at), namespace: 'n', resourceVersion: String(revision) },
      });
      const encode = (revision: number) => Buffer.from(JSON.stringify(event(revision)));
      return store.put(key(at), encode, { isVolatile: true });
    };
    for (let at = 0; at < 20_002; at++) void put(at);
    await put(0);
    const running = cleanEvents({ store, registry, clock, log: silent, signal: abort.signal });
    while (store.get(key(2))) await nextTurn();
    const kept = [0, 1, 2, 3, 20_001].filter((at) => store.get(key(at)));
    abort.abort(new Error('test over'));
    await running;
    assert.equal(kept, [0, 3, 20_001]);
    assert.is(store.list('/registry/core/events/').items.length, 20_000);
  });
});
