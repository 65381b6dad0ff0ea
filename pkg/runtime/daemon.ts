/**
 * The serve daemon as a client sees it: one connection per request, its first line the request, its first line
 * back the answer. Starts the daemon, and again when it was killed. Sync with runtime/serve.h.
 */

import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Logger } from '../log/log.ts';
import { type Clock, sleep } from '../wait/clock.ts';
import { JobQueue } from './job-queue.ts';
import { RuntimeError } from './runtime.ts';
import { decodeError, decodeJson, toRuntimeError } from './runtime-error.ts';
import { connectUnix } from './unix-connect.ts';

/** How long a request may take before it is given up. */
const REQUEST_MAX_MS = 60_000;
/** How often and how long the end of a daemon that was killed is waited for. */
const CONNECT_RETRIES = 200;
const CONNECT_RETRY_MS = 5;
/** How long the helper may take until it serves; it needs a few milliseconds. */
const START_MAX_MS = 10_000;
/** How often and how long a helper that is being written is waited for. */
const BUSY_RETRIES = 40;
const BUSY_RETRY_MS = 50;
/** An answer longer than this is refused. */
const ANSWER_MAX_BYTES = 64 << 20;
const NEWLINE = 10;
/** What a request ends with when nobody answered it: the daemon died before it could pass it on, or what it had passed it to. */
const UNANSWERED = ['ECONNRESET', 'EPIPE'];
/** How often a request is sent that nobody answers. */
const ATTEMPTS_MAX = 5;
/** Verbs that may not simply be sent again: the first may have been carried out in part. Sync with makes.ts. */
const ONCE = ['create', 'run', 'start', 'sandbox-create'];
/** The same of one that another OCI runtime makes: it may take 120 s to create and 25 s to start. Sync with runtime/foreign.c. */
const FOREIGN_MAX_MS = 180_000;
/** Removing a large tree from a slow disk takes its time. */
const SLOW_VERBS: Readonly<Record<string, number>> = { 'remove-tree': 1_800_000 };

type Child = ChildProcessByStdio<Writable, Readable, null>;

export interface DaemonOptions {
  readonly helper: string;
  readonly runDir: string;
  readonly log: Logger;
  readonly clock: Clock;
}

export interface Request {
  readonly verb: string;
  readonly [field: string]: unknown;
}

/** A connection after its answer: what follows is raw bytes. */
export interface Opened {
  readonly result: unknown;
  readonly socket: Socket;
  /** Bytes that came with the answer. */
  readonly rest: Buffer;
}

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #path: string;
  readonly #queue = new JobQueue();
  #child: ChildProcess | undefined;
  #starting: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#path = join(options.runDir, 'runtime.sock');
  }

  /** Resolves when the daemon accepts connections. */
  async start(): Promise<void> {
    if (this.#isClosed) throw new RuntimeError('ECANCELED', 'the runtime is closed');
    if (this.#child !== undefined && this.#starting === undefined) return;
    this.#starting ??= this.#spawn().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  /** Sends a request and resolves to its result. Rejects with RuntimeError. */
  async call(request: Request, signal?: AbortSignal): Promise<unknown> {
    const { result, socket } = await this.open(request, signal);
    socket.destroy();
    return result;
  }

  /** Sends a request and resolves to its result with the connection, for verbs that go on with raw bytes. */
  open(request: Request, signal?: AbortSignal): Promise<Opened> {
    return this.#queue.run(request.verb, () => this.#ask(request, signal), signal);
  }

  async #ask(request: Request, signal?: AbortSignal): Promise<Opened> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#askOnce(request, signal);
      } catch (error) {
        if (!isUnanswered(error) || ONCE.includes(request.verb) || attempt === ATTEMPTS_MAX)
          throw error;
      }
    }
  }

  async #askOnce(request: Request, signal?: AbortSignal): Promise<Opened> {
    const socket = await this.begin(request, signal);
    try {
      return await this.answer(socket, request.verb, signal, patienceFor(request));
    } catch (error) {
      socket.destroy();
      signal?.throwIfAborted();
      throw toRuntimeError(request.verb, error);
    }
  }

  /** Connects and sends the request line; the answer is still to come. */
  async begin(request: Request, signal?: AbortSignal): Promise<Socket> {
    const socket = await this.#connect(signal).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw toRuntimeError(`connect to runtime helper for ${request.verb}`, error);
    });
    socket.write(`${JSON.stringify(request)}\n`);
    return socket;
  }

  /** Waits for the answer line. `maxMs` 0 = as long as the connection lives. */
  answer(
    socket: Socket,
    verb: string,
    signal?: AbortSignal,
    maxMs = REQUEST_MAX_MS,
  ): Promise<Opened> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const settle = () => {
        cancel();
        signal?.removeEventListener('abort', onAbort);
        socket.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', fail);
        socket.on('error', () => undefined);
        socket.pause();
      };
      const fail = (error: unknown) => {
        settle();
        reject(toRuntimeError(verb, error));
      };
      const onAbort = () => {
        settle();
        socket.destroy();
        reject(signal?.reason);
      };
      const onEnd = () => fail(new RuntimeError('EPIPE', `${verb}: the helper ended unanswered`));
      const onData = (chunk: Buffer) => {
        const at = chunk.indexOf(NEWLINE);
        chunks.push(at < 0 ? chunk : chunk.subarray(0, at));
        size += chunk.length;
        if (at < 0 && size < ANSWER_MAX_BYTES) return;
        settle();
        try {
          const answer = decodeJson(Buffer.concat(chunks).toString());
          const error = decodeError(answer);
          if (error !== undefined) throw error;
          resolve({ result: resultOf(answer), socket, rest: chunk.subarray(at + 1) });
        } catch (error) {
          reject(error);
        }
      };
      const cancel =
        maxMs === 0
          ? () => undefined
          : this.#options.clock.after(maxMs, () =>
              fail(new RuntimeError('ETIMEDOUT', `${verb}: no answer within ${maxMs} ms`)),
            );
      signal?.addEventListener('abort', onAbort, { once: true });
      socket.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', fail);
    });
  }

  /** Ends the daemon; what it began goes on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#starting?.catch(() => undefined);
    const child = this.#child;
    if (child === undefined) return;
    await new Promise<void>((resolve) => {
      child.once('close', () => resolve());
      child.stdin?.end();
    });
  }

  async #connect(signal?: AbortSignal): Promise<Socket> {
    const { clock, log } = this.#options;
    for (let left = CONNECT_RETRIES; ; left -= 1) {
      await this.start();
      try {
        return await connectUnix(this.#path, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (left === 0) throw error;
        // Killed, and this loop has not yet heard of its end: waits for it, then starts another.
        log.debug('Found no runtime daemon', { error });
        await sleep(CONNECT_RETRY_MS, signal, clock);
      }
    }
  }

  /** A helper that is being replaced right now cannot be executed until that is done. */
  async #execute(): Promise<Child> {
    const { helper, runDir, clock } = this.#options;
    for (let left = BUSY_RETRIES; ; left -= 1) {
      try {
        return spawn(helper, ['serve', '--run-dir', runDir, '--follow-stdin'], {
          stdio: ['pipe', 'pipe', 'inherit'],
          detached: true,
        });
      } catch (cause) {
        // Only what Node does not tell by an event.
        const failure = toRuntimeError(`start ${helper}`, cause);
        if (failure.code !== 'ETXTBSY' || left === 0) throw failure;
        await sleep(BUSY_RETRY_MS, undefined, clock);
      }
    }
  }

  async #spawn(): Promise<void> {
    const { helper, runDir, log, clock } = this.#options;
    await mkdir(runDir, { recursive: true, mode: 0o700 });
    const child = await this.#execute();
    this.#child = child;
    child.stdin.on('error', () => undefined);
    await new Promise<void>((resolve, reject) => {
      const cancel = clock.after(START_MAX_MS, () => {
        this.#child = undefined;
        child.kill('SIGKILL');
        reject(
          new RuntimeError('ETIMEDOUT', `${helper} serve did not start within ${START_MAX_MS} ms`),
        );
      });
      child.once('error', (cause) => {
        cancel();
        this.#child = undefined;
        reject(toRuntimeError(`start ${helper}`, cause));
      });
      child.once('exit', (code, signal) => {
        cancel();
        if (this.#child === child) this.#child = undefined;
        if (!this.#isClosed) log.warn('Runtime daemon ended', { code, signal });
        reject(new RuntimeError('EHELPER', `${helper} serve ended (${signal ?? code})`));
      });
      // It says so once its socket has replaced that of a predecessor.
      child.stdout.once('data', () => {
        cancel();
        resolve();
      });
    });
    log.debug('Started runtime daemon', { pid: child.pid });
  }
}

/** Milliseconds. */
function patienceFor({ verb, runtime }: Request): number | undefined {
  return runtime === undefined ? SLOW_VERBS[verb] : FOREIGN_MAX_MS;
}

/** Whether nobody has answered, and nobody ever will. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof RuntimeError && UNANSWERED.includes(error.code);
}

function resultOf(answer: unknown): unknown {
  return typeof answer === 'object' && answer !== null && 'result' in answer
    ? answer.result
    : undefined;
}
