/**
 * Store figures: durable writes per second of 1.5 KB values at several numbers of concurrent writers, beside the
 * floor (one write per sync on the same file system, in the same run); delay of the event loop meanwhile; delivery
 * of one write to many watchers. Prints one JSON line a figure. Called by `npm run bench`.
 */

import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { silent } from '../../pkg/log/log.ts';
import type { Backend } from '../../pkg/store/backend.ts';
import { openSqlite } from '../../pkg/store/sqlite.ts';

const VALUE_BYTES = 1_536;
const RUN_MS = 3_000;
const WRITERS = [1, 64, 1_000];
const WATCHERS = 1_000;
const KEYS_PER_WRITER = 16;

function print(figure: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(figure)}\n`);
}

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

const dir = mkdtempSync(join(tmpdir(), 'mini-bench-'));
try {
  const perSync = floor(dir);
  print({ figure: 'one write per sync', perSecond: perSync });
  const store = await openSqlite({ file: join(dir, 'state.db'), log: silent });
  for (const writers of WRITERS) {
    const figure = await writes(store, writers);
    print({
      figure: 'durable writes',
      ...figure,
      ratioToOnePerSync: Number((figure.perSecond / perSync).toFixed(1)),
    });
  }
  print({ figure: 'watch delivery', ...(await delivery(store)) });
  await store.close();
} finally {
  rmSync(dir, { recursive: true });
}
