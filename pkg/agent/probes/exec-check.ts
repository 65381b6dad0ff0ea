/** A command in the container: passes with exit code 0. */

import { describe } from '../../log/log.ts';
import { orAborted } from '../or-aborted.ts';
import { CannotCheck, type CheckResult, type CheckTarget } from './target.ts';

/** How much of a failed probe's output goes into the event. */
const MAX_OUTPUT_BYTES = 1024;

/** Rejects with CannotCheck when it cannot be run, with something else when the signal aborts. */
export async function execCheck(
  target: CheckTarget,
  args: readonly string[],
  signal: AbortSignal,
): Promise<CheckResult> {
  const session = await target.engine
    .exec(target.containerId, { args, hasTerminal: false, hasStdin: false }, signal)
    .catch((error: unknown) => {
      if (signal.aborted) throw error;
      throw new CannotCheck(describe(error), { cause: error });
    });
  const chunks: Buffer[] = [];
  let size = 0;
  const collect = (chunk: Buffer) => {
    if (size < MAX_OUTPUT_BYTES) chunks.push(chunk);
    size += chunk.length;
  };
  const outputs: readonly NodeJS.ReadableStream[] = [
    session.stdout,
    ...(session.stderr ? [session.stderr] : []),
  ];
  const read = Promise.all(
    outputs.map((output) => {
      const ended = new Promise<void>((resolve) => output.once('end', resolve));
      output.on('data', collect).on('error', () => undefined);
      return ended;
    }),
  );
  try {
    const exit = await orAborted(session.exited, signal);
    if (exit.exitCode === 0) return { isOk: true, message: '' };
    // It has failed in any case; a child of it that holds its output open only costs the rest of the message.
    await orAborted(read, signal).catch(() => undefined);
    const message = Buffer.concat(chunks).toString('utf8', 0, MAX_OUTPUT_BYTES);
    return { isOk: false, message, exitCode: exit.exitCode };
  } finally {
    session.close();
  }
}
