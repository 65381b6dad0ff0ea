/** exec and attach, whatever protocol the client speaks: copies stdio both ways and tells how it ended. */

import type { Readable, Writable } from 'node:stream';
import type { Status } from '../../api/errors.ts';
import type { Engine } from '../../engine/engine.ts';
import { describe } from '../../log/log.ts';
import type { TerminalSizes } from './terminal-sizes.ts';

type ExecSession = Awaited<ReturnType<Engine['exec']>>;
type Stdio = Awaited<ReturnType<Engine['attach']>>;

/** How long a new terminal waits for its client's size, in milliseconds; kubectl sends it at once. */
const FIRST_SIZE_MS = 100;

export interface CommandOptions {
  readonly hasStdin: boolean;
  readonly hasStdout: boolean;
  readonly hasStderr: boolean;
  readonly hasTerminal: boolean;
}

/** The client's end of a command. */
export interface CommandIo {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  readonly sizes: TerminalSizes;
  /** Sends how it ended, then closes the connection. */
  finish(status: CommandStatus): Promise<void>;
  /** Resolves when the client is gone. */
  readonly closed: Promise<void>;
}

export type CommandStatus =
  | { readonly metadata: object; readonly status: 'Success' }
  | (Pick<Status, 'metadata' | 'status' | 'message' | 'reason'> & {
      readonly code?: number;
      readonly details?: {
        readonly causes: readonly { readonly reason: string; readonly message: string }[];
      };
    });

const SUCCESS: CommandStatus = { metadata: {}, status: 'Success' };

/** How a command that ended with this code is told to the client. */
function exitStatus(exitCode: number): CommandStatus {
  if (exitCode === 0) return SUCCESS;
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

function errorStatus(error: unknown): CommandStatus {
  const message = `Internal error occurred: ${describe(error)}`;
  return { metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 };
}

export interface ExecRequest {
  readonly engine: Engine;
  readonly containerId: string;
  readonly args: readonly string[];
  readonly options: CommandOptions;
}

/** Runs a command in a container for a client. Never rejects: failures are told to the client. */
export async function runExec(
  { engine, containerId, args, options }: ExecRequest,
  io: CommandIo,
): Promise<void> {
  let session: ExecSession;
  try {
    const { hasTerminal, hasStdin } = options;
    // A program may ask for the size of its terminal only once, at its start.
    const size = hasTerminal ? await io.sizes.latest(FIRST_SIZE_MS) : undefined;
    const terminal = { hasTerminal, ...(size && { terminalSize: size }) };
    session = await engine.exec(containerId, { args, hasStdin, ...terminal });
  } catch (error) {
    await io.finish(errorStatus(error));
    return;
  }
  const output = connect(session, io);
  try {
    const exit = await Promise.race([session.exited, io.closed]);
    if (!exit) return;
    // All output has been handed over before the client learns of the end.
    await Promise.race([output, io.closed]);
    await io.finish(exitStatus(exit.exitCode));
  } catch (error) {
    await io.finish(errorStatus(error));
  } finally {
    session.close();
  }
}

/** Attaches a client to a running container until it ends or the client goes. */
export async function runAttach(
  { engine, containerId, options }: Omit<ExecRequest, 'args'>,
  io: CommandIo,
): Promise<void> {
  let stdio: Stdio;
  try {
    stdio = await engine.attach(containerId, { hasStdin: options.hasStdin });
  } catch (error) {
    await io.finish(errorStatus(error));
    return;
  }
  try {
    await Promise.race([connect(stdio, io), io.closed]);
    await io.finish(SUCCESS);
  } finally {
    stdio.close();
  }
}

/** Copies between a process and a client; resolves when all that the process wrote has been handed over. */
async function connect(stdio: Stdio, io: CommandIo): Promise<void> {
  io.sizes.listen((size) => stdio.resize(size));
  stdio.stdout.on('error', () => undefined);
  if (io.stdin) {
    io.stdin.on('error', () => undefined);
    io.stdin.pipe(stdio.stdout);
  }
  await Promise.all([
    copy(stdio.stdout, io.stdout),
    stdio.stderr ? copy(stdio.stderr, io.stderr) : undefined,
  ]);
}

/** Resolves when all of `from` has been sent, or one of the two has broken off. */
function copy(from: NodeJS.ReadableStream, to: Writable | undefined): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => (to ? flush(to).then(resolve) : resolve());
    from.once('end', finish);
    from.once('error', finish);
    from.once('close', finish);
    if (to) {
      to.on('error', () => from.resume());
      from.pipe(to, { end: false });
    } else from.resume();
  });
}

/** Resolves when what was written has been sent: the status that follows must not overtake it. */
function flush(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    to.once('error', () => resolve());
    to.once('close', resolve);
    if (to.closed || to.destroyed) resolve();
    else to.end(resolve);
  });
}
