/** Requests for certificates go some time after they were made. */

import * as assert from 'uvu/assert';
import { certificateCleaner } from '../../../pkg/controllers/certificate-cleaner.ts';
import type { Context } from '../../../pkg/controllers/controller.ts';
import { suite } from '../../harness/suite.ts';

const MADE_MS = Date.parse('2026-01-01T00:00:00Z');
const MINUTE_MS = 60_000;

suite('controllers: certificate cleaner', ({ test }) => {
  async function at(minutes: number) {
    const removed: unknown[] = [];
    const metadata = { name: 'r', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z' };
    const context = {
      cache: { get: () => ({ metadata }) },
      client: { remove: async (...args: unknown[]) => void removed.push(args.slice(0, 3)) },
      now: () => MADE_MS + minutes * MINUTE_MS,
    } as unknown as Context;
    const ref = { namespace: 'n', name: 'r' };
    const { signal } = new AbortController();
    return { removed, result: await certificateCleaner.reconcile(ref, context, signal) };
  }

  test('a request goes after a quarter of an hour, and not before', async () => {
    assert.equal(await at(10), { removed: [], result: { requeueAfterMs: 5 * MINUTE_MS } });
    const { removed, result } = await at(15);
    assert.equal(result, {});
    const ref = { namespace: 'n', name: 'r' };
    assert.equal(removed, [['podcertificaterequests', ref, { preconditions: { uid: 'u' } }]]);
  });
});
