/** Waiting for a server that starts in the background: polls, as nothing tells its clients, and gives up when it ends. */

import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe } from '../pkg/log/log.ts';
import { sleep, systemClock } from '../pkg/wait/clock.ts';
import { UserError } from './command.ts';

export const START_TIMEOUT_MS = 30_000;
const POLL_MS = 50;
const LOG_LINES = 10;

export class Waiting {
  readonly #logFile: string;
  #ended: string | undefined;

  constructor(logFile: string) {
    this.#logFile = logFile;
  }

  /** The server that is waited for. */
  watch(server: ChildProcess): void {
    server.once('error', (error) => {
      this.#ended = describe(error);
    });
    server.once('exit', (code, signal) => {
      this.#ended = `it ended with ${signal ?? `exit code ${code}`}`;
    });
  }

  /** Resolves to the first truthy result of `check`; rejects with its last error and the end of the log. */
  async until<T>(what: string, check: () => Promise<T | undefined | false>): Promise<T> {
    const deadlineMs = systemClock.monotonic() + START_TIMEOUT_MS;
    let reason = '';
    while (systemClock.monotonic() < deadlineMs) {
      if (this.#ended !== undefined) throw this.#failure('mini server did not start', this.#ended);
      try {
        const found = await check();
        if (found) return found;
      } catch (error) {
        reason = describe(error);
      }
      await sleep(POLL_MS);
    }
    throw this.#failure(`Waited ${START_TIMEOUT_MS / 1000} s for ${what}`, reason);
  }

  #failure(what: string, reason: string): UserError {
    const lines = readFileSync(this.#logFile, 'utf8').trim().split('\n').slice(-LOG_LINES);
    const log = lines.map((line) => `    ${line}`).join('\n');
    return new UserError(
      `${reason ? `${what}: ${reason}` : what}\n${this.#logFile} ends with\n${log}`,
    );
  }
}
