/**
 * The only way to declare tests. Wraps uvu because uvu 0.5.6 exits 0 when a before or each-hook
 * throws, when run() is forgotten and when no file matches; has no timeout, no assert.rejects.
 */

import { suite as uvuSuite } from 'uvu';
import * as assert from 'uvu/assert';

/** Ends what hangs; nothing is said about speed. */
const TIMEOUT_MS = 60_000;

type Body = () => void | Promise<void>;

export interface Declare {
  /** Registers a test, which fails when it takes longer than `timeoutMs` (default TIMEOUT_MS). */
  test(name: string, body: Body, timeoutMs?: number): void;
  /** Registers a test that cannot run here. Throws under CI: a skip there is a failure. */
  skip(name: string, reason: string): void;
  /** Called inside a test: runs after it, last registered first, whether it passed or not. */
  cleanup(undo: Body): void;
}

/** Declares and runs a suite; `body` registers its tests. Throws if it registers none. */
export function suite(name: string, body: (declare: Declare) => void): void {
  const inner = uvuSuite(name);
  let count = 0;
  let undos: Body[] = [];
  body({
    test(title, run, timeoutMs = TIMEOUT_MS) {
      count += 1;
      inner(title, async () => {
        undos = [];
        try {
          await withTimeout(run, { title, timeoutMs });
        } catch (error) {
          throw printable(error);
        } finally {
          for (const undo of undos.reverse()) await undo();
        }
      });
    },
    skip(title, reason) {
      count += 1;
      if (process.env['CI']) throw new Error(`Cannot skip "${title}" under CI: ${reason}`);
      inner.skip(`${title}: ${reason}`);
    },
    cleanup: (undo) => void undos.push(undo),
  });
  if (count === 0) throw new Error(`Suite "${name}" declares no tests`);
  inner.run();
}

/** uvu takes an error's `details` for text and breaks off the whole suite when it is an object (a StatusError's is). */
function printable(error: unknown): unknown {
  if (!(error instanceof Error) || !('details' in error)) return error;
  if (typeof error.details === 'string' || error.details === undefined) return error;
  return new Error(error.stack ?? error.message, { cause: error });
}

async function withTimeout(
  run: Body,
  { title, timeoutMs }: { title: string; timeoutMs: number },
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`"${title}" took over ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([run(), expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves to what `work` rejects with; fails the test when it resolves instead. */
export async function rejects(work: Promise<unknown>): Promise<unknown> {
  const settled = await work.then(
    () => ({ rejected: false, error: undefined }),
    (error: unknown) => ({ rejected: true, error }),
  );
  assert.ok(settled.rejected, 'Expected a rejection');
  return settled.error;
}
