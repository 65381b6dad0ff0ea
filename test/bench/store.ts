/**
 * Store figures: durable writes per second of 1.5 KB values at several numbers of concurrent writers, beside the
 * floor (one write per sync on the same file system, in the same run); delay of the event loop meanwhile; delivery
 * of one write to many watchers. Prints one JSON line for each figure. Run by test/bench/run.ts.
 */

import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { silent } from '../../pkg/log/log.ts';
import type { Backend } from '../../pkg/store/backend.ts';
import { openSqlite } from '../../pkg/store/sqlite.ts';
import { print } from './report.ts';

const VALUE_BYTES = 1_536;
const RUN_MS = 3_000;
const WRITERS = [1, 64, 1_000];
const WATCHERS = 1_000;
const KEYS_PER_WRITER = 16;
const MANY_WRITERS = 64;
const WRITES_GOAL = 20_000;
const RATIO_GOAL = 10;
const DELAY_GOAL_MS = 5;

function perSecond(count: number, sinceMs: number): number {
  return Math.round(count / ((performance.now() - sinceMs) / 1000));
}

/** Appends of one value with a sync each: what a store without group commit is bound by. */
function floor(dir: string): number {
  const fd = openSync(join(dir, 'floor'), 'w');
  const value = Buffer.alloc(VALUE_BYTES, 'v');
  const start = performance.now();
  let count = 0;
  for (; performance.now() - start < RUN_MS; count++) {
    writeSync(fd, value);
    fdatasyncSync(fd);
  }
  closeSync(fd);
  return perSecond(count, start);
}

async function writes(store: Backend, writers: number) {
  const value = Buffer.alloc(VALUE_BYTES, 'v');
  const latencies: number[] = [];
  let errors = 0;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  const write = async (writer: number) => {
    for (let i = 0; performance.now() - start < RUN_MS; i++) {
      const at = performance.now();
      await store
        .put(`/bench/${writer}/${i % KEYS_PER_WRITER}`, () => Buffer.from(value))
        .catch(() => {
          errors += 1;
        });
      latencies.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  delay.disable();
  latencies.sort((a, b) => a - b);
  const at = (share: number) =>
    Number((latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(2));
  return {
    writers,
    perSecond: perSecond(latencies.length - errors, start),
    errors,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    // The monitor's own resolution of 1 ms is part of each sample.
    loopDelayP99Ms: Number((delay.percentile(99) / 1e6 - 1).toFixed(2)),
  };
}

async function delivery(store: Backend) {
  const watches = Array.from({ length: WATCHERS }, () => store.watch('/watched/', store.revision));
  const rounds = 50;
  let received = 0;
  const all = watches.map(async (watch) => {
    let count = 0;
    for await (const batch of watch) {
      count += batch.length;
      received += batch.length;
      if (count >= rounds) break;
    }
  });
  const start = performance.now();
  for (let i = 0; i < rounds; i++) await store.put('/watched/key', () => Buffer.from(String(i)));
  await Promise.all(all);
  return { watchers: WATCHERS, eventsPerSecond: perSecond(received, start) };
}

type Writes = Awaited<ReturnType<typeof writes>>;

/** The goals are for many writers; a single one is bound by the sync. */
function printWrites(
  { writers, perSecond, errors, p50Ms, p99Ms, loopDelayP99Ms }: Writes,
  floor: number,
): void {
  const isMany = writers >= MANY_WRITERS;
  const title = `durable writes, ${writers} writers`;
  print({
    name: title,
    value: perSecond,
    unit: '/s',
    ...(isMany ? { atLeast: WRITES_GOAL } : {}),
    note: `p50 ${p50Ms} ms, p99 ${p99Ms} ms, ${errors} errors`,
  });
  if (!isMany) return;
  print({
    name: `${title}: to one a sync`,
    value: perSecond / floor,
    unit: 'x',
    atLeast: RATIO_GOAL,
  });
  print({ name: `${title}: errors`, value: errors, unit: '', atMost: 0 });
  print({
    name: `${title}: event-loop delay p99`,
    value: loopDelayP99Ms,
    unit: 'ms',
    atMost: DELAY_GOAL_MS,
  });
}

const dir = mkdtempSync(join(tmpdir(), 'mini-bench-'));
try {
  const perSync = floor(dir);
  print({
    name: 'floor: one write a sync',
    value: perSync,
    unit: '/s',
    note: 'plain appends to a file; etcd: 12,900 writes/s of 64 clients on such a machine',
  });
  const store = await openSqlite({ file: join(dir, 'state.db'), log: silent });
  for (const writers of WRITERS) printWrites(await writes(store, writers), perSync);
  const { watchers, eventsPerSecond } = await delivery(store);
  print({
    name: `watch delivery to ${watchers} watchers`,
    value: eventsPerSecond,
    unit: 'events/s',
  });
  await store.close();
} finally {
  rmSync(dir, { recursive: true });
}
