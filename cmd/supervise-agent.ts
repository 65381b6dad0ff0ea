/**
 * The server's own node: a `mini agent` process like any other node's, started by the server and again when it ends.
 * It ends with the server (its standard input is the lifeline); its containers do not. It is started at once, so that
 * it makes its host ready while the server starts; the join token, written to the lifeline, is its word to go on.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import type { Logger } from '../pkg/log/log.ts';
import { Backoff } from '../pkg/wait/backoff.ts';
import { systemClock } from '../pkg/wait/clock.ts';
import { findAssets } from './assets.ts';
import type { Flags } from './command.ts';
import { NODE_FLAGS } from './server-flags.ts';

export interface SuperviseOptions {
  readonly flags: Flags;
  readonly url: string;
  /** The token to join with, once the server answers. */
  readonly token: Promise<string>;
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface SupervisedAgent {
  /** Resolves after the signal aborted, when the agent has ended. */
  readonly stopped: Promise<void>;
  /** The host goes down: resolves when the agent has ended its pods and itself. It is not started again. */
  shutDown(): Promise<void>;
}

const BACKOFF = { firstMs: 100, maxMs: 10_000 };
/** An agent that ran this long starts again at once. */
const STABLE_MS = 10_000;
/** A stopping agent has this long before it is killed. */
const STOP_TIMEOUT_MS = 10_000;

/** Starts the agent and keeps it running until the signal aborts. */
export function superviseAgent(options: SuperviseOptions): SupervisedAgent {
  const running: Running = { child: undefined, isLast: false };
  const stopped = supervise(options, running);
  return {
    stopped,
    async shutDown() {
      running.isLast = true;
      running.child?.kill('SIGTERM');
      await stopped;
    },
  };
}

interface Running {
  child: ChildProcess | undefined;
  /** It is not started again. */
  isLast: boolean;
}

async function supervise(options: SuperviseOptions, running: Running): Promise<void> {
  const { log, signal } = options;
  const backoff = new Backoff(BACKOFF);
  while (!signal.aborted && !running.isLast) {
    const startedMs = systemClock.monotonic();
    const code = await runOnce(options, running);
    if (signal.aborted || running.isLast) return;
    log.warn('Agent ended; starting it again', { code });
    if (systemClock.monotonic() - startedMs > STABLE_MS) backoff.reset();
    await new Promise<void>((resolve) => {
      const cancel = systemClock.after(backoff.next(), resolve);
      signal.addEventListener('abort', () => {
        cancel();
        resolve();
      });
    });
  }
}

function runOnce(options: SuperviseOptions, running: Running): Promise<number | string> {
  const { signal, log } = options;
  const [program, ...before] = findAssets().self;
  const child = spawn(program, [...before, 'agent', ...agentArguments(options)], {
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, MINI_LIFELINE: '1' },
  });
  running.child = child;
  child.stdin.on('error', (error) => log.debug('The agent ended before it was told', { error }));
  // A server that cannot start stops its agent by the signal.
  options.token.then((token) => child.stdin.write(`${token}\n`)).catch(() => undefined);
  const onAbort = () => stop(child);
  signal.addEventListener('abort', onAbort, { once: true });
  return new Promise((resolve) => {
    child.once('error', (error) => {
      log.error('Could not start the agent', { error });
      resolve('error');
    });
    child.once('exit', (code, killedBy) => {
      signal.removeEventListener('abort', onAbort);
      resolve(code ?? killedBy ?? 'unknown');
    });
  });
}

function stop(child: ChildProcess): void {
  child.kill('SIGINT');
  const cancel = systemClock.after(STOP_TIMEOUT_MS, () => child.kill('SIGKILL'));
  child.once('exit', cancel);
}

function agentArguments({ flags, url, nodeName, nodeIps }: SuperviseOptions): string[] {
  const args = ['--server', url, '--node-name', nodeName, '--config', '/dev/null'];
  for (const name of ['data-dir', 'run-dir', 'log-level']) args.push(`--${name}`, flags.text(name));
  for (const ip of nodeIps) args.push('--node-ip', ip);
  for (const { name, isList } of NODE_FLAGS) {
    if (name === 'node-name' || name === 'node-ip') continue;
    for (const value of isList ? flags.list(name) : [flags.text(name)])
      if (value) args.push(`--${name}`, value);
  }
  args.push('--node-label', 'node-role.kubernetes.io/control-plane=true');
  return args;
}
