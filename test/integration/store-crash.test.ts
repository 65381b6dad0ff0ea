/** No acknowledged write is ever lost: SIGKILL at random moments under 64 writers, again and again, on one database. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { silent } from '../../pkg/log/log.ts';
import { openSqlite } from '../../pkg/store/sqlite.ts';
import { suite } from '../harness/suite.ts';

const ROUNDS = 50;
const RUN_MIN_MS = 20;
const RUN_SPREAD_MS = 150;
const TIMEOUT_MS = 180_000;
const WRITER = new URL('../harness/store-writer.ts', import.meta.url).pathname;

interface Round {
  readonly openedAt: number;
  /** Last acknowledged state of each key: its revision, and its value or '-' when deleted. */
  readonly acknowledged: Map<string, { revision: number; value: string }>;
  readonly seen: Map<string, number>;
  readonly greatest: number;
}

async function killedRound(file: string, round: number): Promise<Round> {
  const child = spawn(process.execPath, [WRITER, file, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8');
  const exited = new Promise((resolve) => child.once('close', resolve));
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: string) => {
      output += chunk;
      if (output.includes('\nack ')) resolve();
    });
    child.once('close', () => resolve());
  });
  await new Promise((resolve) => setTimeout(resolve, RUN_MIN_MS + Math.random() * RUN_SPREAD_MS));
  child.kill('SIGKILL');
  await exited;
  return parse(output);
}

function parse(output: string): Round {
  const acknowledged: Round['acknowledged'] = new Map();
  const seen = new Map<string, number>();
  let openedAt = -1;
  let greatest = 0;
  // The last line may be cut off by the kill.
  for (const line of output.split('\n').slice(0, -1)) {
    const [what, key = '', number = '', value = ''] = line.split(' ');
    const revision = Number(number);
    if (what === 'open') openedAt = Number(key);
    if (what === 'ack') acknowledged.set(key, { revision, value });
    if (what === 'seen') seen.set(key, revision);
    if (what !== 'open') greatest = Math.max(greatest, revision);
  }
  return { openedAt, acknowledged, seen, greatest };
}

/** Compares what a killed process reported with what is in its file; returns the number of comparisons. */
async function verify(file: string, { acknowledged, seen, greatest }: Round): Promise<number> {
  const store = await openSqlite({ file, log: silent });
  try {
    assert.ok(store.revision >= greatest, 'a revision would be used again');
    for (const [key, { revision, value }] of acknowledged) {
      const stored = store.get(key);
      if (stored && stored.revision > revision) continue; // A later write, not acknowledged any more.
      if (value === '-') assert.is(stored, undefined, `${key} was deleted at ${revision}`);
      else if (stored) assert.is(`${stored.revision} ${stored.value}`, `${revision} ${value}`);
      else assert.ok(await isDeletedAfter(store, key, revision), `${key} at ${revision} is lost`);
    }
    for (const [key, revision] of seen) {
      const stored = store.get(key);
      assert.ok(
        (stored && stored.revision >= revision) || (await isDeletedAfter(store, key, revision - 1)),
        `a watcher saw ${key} at ${revision}, which is gone`,
      );
    }
    return acknowledged.size + seen.size;
  } finally {
    await store.close();
  }
}

/** Whether the log has a deletion of this key after a revision: one that was durable but not acknowledged any more. */
async function isDeletedAfter(
  store: Awaited<ReturnType<typeof openSqlite>>,
  key: string,
  revision: number,
): Promise<boolean> {
  const watch = store.watch(key, revision);
  const marker = store.put(`${key}/marker`, () => Buffer.from('end'));
  for await (const batch of watch) {
    for (const event of batch) {
      if (event.current.key === key && event.type === 'delete') return true;
      if (event.current.key === `${key}/marker`) return false;
    }
  }
  await marker;
  return false;
}

suite('store crash', ({ test, cleanup }) => {
  test(
    `loses no acknowledged write over ${ROUNDS} SIGKILLs and uses no revision twice`,
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'mini-crash-'));
      cleanup(() => rmSync(dir, { recursive: true }));
      const file = join(dir, 'state.db');
      let greatest = 0;
      let checked = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const result = await killedRound(file, round);
        assert.ok(result.openedAt >= greatest, `round ${round} started below revision ${greatest}`);
        greatest = Math.max(greatest, result.greatest);
        checked += await verify(file, result);
      }
      assert.ok(checked > ROUNDS * 64, `only ${checked} keys were compared`);
    },
    TIMEOUT_MS,
  );
});
