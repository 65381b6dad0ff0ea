/** A process's stdio over its shim's socket: attach and exec. */

import type { Socket } from 'node:net';
import { Duplex, Readable } from 'node:stream';
import { decodeExit, decodePid } from './decode.ts';
import type { ExecSession, Exit, Stdio } from './runtime.ts';
import { RuntimeError } from './runtime.ts';
import { decodeError, decodeJson, toRuntimeError } from './runtime-error.ts';
import { encodeFrames, type Frame, FrameReader } from './shim-frames.ts';
import { connectUnix } from './unix-connect.ts';

export interface Hello {
  readonly op: 'attach' | 'exec' | 'reopen';
  readonly [field: string]: unknown;
}

/** Attaches to the container's own process. Rejects with RuntimeError when its shim is gone. */
export async function attachShim(
  path: string,
  options: { readonly hasStdin: boolean },
): Promise<Stdio> {
  const session = await ShimSession.open(path, { op: 'attach', ...options });
  return session.stdio(field(session.answer, 'hasTerminal') === true);
}

/** Executes in the container. Rejects with RuntimeError when the program cannot be executed. */
export async function execShim(
  path: string,
  hello: Hello,
  signal?: AbortSignal,
): Promise<ExecSession> {
  const session = await ShimSession.open(path, hello, signal);
  const pid = decodePid(field(session.answer, 'pid'));
  const { exited } = session;
  // Who does not wait for the end is not to be ended by a lost connection.
  exited.catch(() => undefined);
  return { ...session.stdio(field(hello, 'hasTerminal') === true), pid, exited };
}

/** Sends a request that has no session. */
export async function askShim(path: string, hello: Hello): Promise<void> {
  const session = await ShimSession.open(path, hello);
  session.close();
}

/** What connecting fails with when the container has no shim any more; all else says nothing of the container. */
const NO_SHIM = ['ENOENT', 'ECONNREFUSED'];

class ShimSession {
  readonly exited: Promise<Exit>;
  #answer: unknown;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #stdout: Duplex;
  readonly #stderr: Readable;
  #onAnswer: (frame: Frame | Error) => void = () => undefined;
  #onExit: (exit: Exit | Error) => void = () => undefined;
  #isFull = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.exited = new Promise((resolve, reject) => {
      this.#onExit = (exit) => (exit instanceof Error ? reject(exit) : resolve(exit));
    });
    this.exited.catch(() => undefined);
    this.#stdout = this.#makeStdout();
    this.#stderr = new Readable({ read: () => this.#resume() });
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#end(toRuntimeError('talk to shim', error)));
    socket.on('close', () => this.#end(new RuntimeError('EPIPE', 'the shim closed the session')));
  }

  static async open(path: string, hello: Hello, signal?: AbortSignal): Promise<ShimSession> {
    const socket = await connectUnix(path, signal).catch((error: unknown) => {
      signal?.throwIfAborted();
      const failure = toRuntimeError(`connect to the shim for ${hello.op}`, error);
      if (!NO_SHIM.includes(failure.code)) throw failure;
      throw new RuntimeError('ESRCH', `${hello.op}: container is not running`, error);
    });
    const session = new ShimSession(socket);
    const answered = new Promise<Frame>((resolve, reject) => {
      session.#onAnswer = (frame) => (frame instanceof Error ? reject(frame) : resolve(frame));
    });
    const onAbort = () => session.#end(new RuntimeError('ECANCELED', `${hello.op} was given up`));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      session.#send('H', Buffer.from(JSON.stringify(hello)));
      const frame = await answered.catch((error: unknown) => {
        signal?.throwIfAborted();
        throw new RuntimeError('ESRCH', `${hello.op}: container is not running`, error);
      });
      session.#answer = decodeJson(frame.data.toString());
      const error = decodeError(session.#answer);
      if (error !== undefined) throw error;
      return session;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  get answer(): unknown {
    return this.#answer;
  }

  stdio(hasTerminal: boolean): Stdio {
    const resize: Stdio['resize'] = (size) =>
      void this.#send('R', Buffer.from(JSON.stringify(size)));
    const base = { stdout: this.#stdout, resize, close: () => this.close() };
    if (!hasTerminal) return { ...base, stderr: this.#stderr };
    this.#stderr.resume();
    return base;
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(kind: 'H' | 'I' | 'R', data: Buffer): boolean {
    if (!this.#socket.writable) return true;
    let isReady = true;
    this.#socket.cork();
    for (const part of encodeFrames(kind, data)) isReady = this.#socket.write(part);
    this.#socket.uncork();
    return isReady;
  }

  #makeStdout(): Duplex {
    return new Duplex({
      read: () => this.#resume(),
      write: (chunk: Buffer, _, done) => {
        // An empty frame would mean the end.
        if (chunk.length === 0 || this.#send('I', chunk)) done();
        else this.#socket.once('drain', done);
      },
      final: (done) => {
        this.#send('I', Buffer.alloc(0));
        done();
      },
      destroy: (error, done) => {
        this.#socket.destroy();
        done(error);
      },
    });
  }

  #resume(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#socket.resume();
  }

  #take(chunk: Buffer): void {
    for (const frame of this.#reader.push(chunk)) this.#dispatch(frame);
  }

  #dispatch(frame: Frame): void {
    switch (frame.kind) {
      case 'A':
        this.#onAnswer(frame);
        break;
      case 'O':
        this.#deliver(this.#stdout, frame.data);
        break;
      case 'E':
        this.#deliver(this.#stderr, frame.data);
        break;
      case 'X':
        this.#onExit(decodeExit(decodeJson(frame.data.toString())));
        this.#end(undefined);
        break;
      default:
        this.#end(new RuntimeError('EPROTO', `unknown frame ${frame.kind} from shim`));
    }
  }

  #deliver(to: Readable, data: Buffer): void {
    if (to.push(data)) return;
    this.#isFull = true;
    this.#socket.pause();
  }

  /** Ends both streams; an error rejects what still waits. */
  #end(error: RuntimeError | undefined): void {
    if (error !== undefined) {
      this.#onAnswer(error);
      this.#onExit(error);
    }
    if (!this.#stdout.readableEnded && !this.#stdout.destroyed) this.#stdout.push(null);
    if (!this.#stderr.readableEnded && !this.#stderr.destroyed) this.#stderr.push(null);
    this.#socket.destroy();
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined;
}
