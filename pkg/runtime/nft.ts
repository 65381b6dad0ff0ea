/** Runs nft on a script: each call is one transaction of the kernel, which takes all of it or nothing. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { RuntimeError } from './runtime.ts';
import { toRuntimeError } from './runtime-error.ts';

/** A table of thousands of ports takes less than a second. */
const TIMEOUT_MS = 30_000;
/** Of what nft complains about: each line names one rule. */
const MAX_MESSAGE = 500;

/** Rejects with RuntimeError, with what nft said. `command`: nft's command line up to its arguments. */
export async function runNft(command: readonly string[], script: string): Promise<void> {
  const [program, ...args] = command;
  if (program === undefined) throw new RuntimeError('ENOENT', 'there is no nft on this host');
  try {
    const child = spawn(program, [...args, '-f', '-'], {
      stdio: ['pipe', 'ignore', 'pipe'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      // A script means the same whatever the host's language is.
      env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    });
    child.stdin.on('error', () => undefined); // nft has ended: its exit code tells.
    child.stdin.end(script);
    const [said, [code, signal]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    if (code === 0) return;
    const why = said.trim().replaceAll(/\s*\n\s*/g, ' ') || `ended by ${signal}`;
    throw new RuntimeError('EHELPER', `nft: ${why.slice(0, MAX_MESSAGE)}`);
  } catch (error) {
    throw toRuntimeError('nft', error);
  }
}
