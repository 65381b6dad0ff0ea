/** exec and attach: stdio over a WebSocket of numbered channels (v5.channel.k8s.io), the terminal raw meanwhile. */

import type { WebSocket } from 'ws';
import type { Status } from '../api/errors.ts';
import type { Pod } from '../api/generated/types.ts';
import type { Api } from './api.ts';
import { KubectlError } from './kubectl-error.ts';
import type { Io } from './verb.ts';
import { openWebSocket } from './web-socket.ts';

const PROTOCOL = 'v5.channel.k8s.io';
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const NORMAL_CLOSE = 1000;
/** Input waits while more than this has not left for the server. */
const BUFFER_MAX_BYTES = 1024 * 1024;

export interface RemoteCommand {
  readonly pod: Pod;
  readonly container: string;
  readonly verb: 'exec' | 'attach';
  /** Of exec. */
  readonly command?: readonly string[];
  readonly hasStdin: boolean;
  readonly hasTerminal: boolean;
}

/** Runs or attaches; resolves to the exit code of the command. */
export async function runRemote(api: Api, io: Io, remote: RemoteCommand): Promise<number> {
  const { pod, container, verb, command = [], hasStdin, hasTerminal } = remote;
  const query = new URLSearchParams(command.map((word) => ['command', word]));
  query.set('container', container);
  if (hasStdin) query.set('stdin', 'true');
  query.set('stdout', 'true');
  if (hasTerminal) query.set('tty', 'true');
  else query.set('stderr', 'true');
  const { namespace = api.namespace, name } = pod.metadata;
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/${verb}`;
  const socket = await openWebSocket(api, { path, query, protocol: PROTOCOL });
  return exchange(socket, io, remote);
}

/** Whether a terminal can be had; says so when it was asked for and is not there. */
export function terminalOf(io: Io, { isAsked }: { readonly isAsked: boolean }): boolean {
  if (!isAsked || io.stdin.isTTY) return isAsked;
  io.stderr.write('Unable to use a TTY - input is not a terminal or the right kind of file\n');
  return false;
}

function exchange(
  socket: WebSocket,
  io: Io,
  { hasStdin, hasTerminal }: Pick<RemoteCommand, 'hasStdin' | 'hasTerminal'>,
): Promise<number> {
  const send = (channel: number, data: Buffer) =>
    new Promise<void>((resolve) => {
      socket.send(Buffer.concat([Buffer.from([channel]), data]), () => resolve());
    });
  const undo = [
    ...(hasTerminal ? [useTerminal(io, (size) => void send(CHANNEL.resize, size))] : []),
    ...(hasStdin ? [sendInput(socket, io, send)] : []),
  ];
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let result: Status | undefined;
  socket.on('message', (message: Buffer) => {
    const data = message.subarray(1);
    if (message[0] === CHANNEL.stdout) print(socket, io.stdout, data);
    else if (message[0] === CHANNEL.stderr) print(socket, io.stderr, data);
    else if (message[0] === CHANNEL.error) {
      result = decodeStatus(data) ?? result;
      if (result) socket.close(NORMAL_CLOSE);
    }
  });
  socket.on('error', reject);
  socket.once('close', () => {
    try {
      resolve(exitCodeOf(result, io));
    } catch (error) {
      reject(error);
    }
  });
  return promise.finally(() => {
    for (const one of undo) one();
  });
}

/** Output that is not taken makes the server wait. */
function print(socket: WebSocket, out: Io['stdout'] | Io['stderr'], data: Buffer): void {
  if (data.length === 0 || out.write(data)) return;
  socket.pause();
  out.once('drain', () => socket.resume());
}

/** Sends what is typed; the end of the input is told, so that `cat` ends. Returns how to stop it. */
function sendInput(
  socket: WebSocket,
  { stdin }: Io,
  send: (channel: number, data: Buffer) => Promise<void>,
): () => void {
  const onData = (chunk: Buffer | string) => {
    void send(CHANNEL.stdin, Buffer.from(chunk)).then(() => {
      if (stdin.isPaused()) stdin.resume();
    });
    if (socket.bufferedAmount > BUFFER_MAX_BYTES) stdin.pause();
  };
  const onEnd = () => void send(CHANNEL.close, Buffer.from([CHANNEL.stdin]));
  stdin.on('data', onData);
  stdin.once('end', onEnd);
  return () => {
    stdin.off('data', onData);
    stdin.off('end', onEnd);
    stdin.destroy();
  };
}

/** Puts the terminal in raw mode and tells its size, now and when it changes. Returns how to undo it. */
function useTerminal({ stdin, stdout }: Io, sendSize: (size: Buffer) => void): () => void {
  const tell = () => {
    const { columns: Width = 0, rows: Height = 0 } = stdout;
    if (Width > 0 && Height > 0) sendSize(Buffer.from(`${JSON.stringify({ Width, Height })}\n`));
  };
  stdin.setRawMode?.(true);
  stdout.on('resize', tell);
  tell();
  return () => {
    stdin.setRawMode?.(false);
    stdout.off('resize', tell);
  };
}

function exitCodeOf(status: Status | undefined, { stderr }: Io): number {
  if (!status) throw new KubectlError('the connection to the container was lost');
  if (status.status === 'Success') return 0;
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
  if (String(status.reason) !== 'NonZeroExitCode' || code === undefined)
    throw new KubectlError(status.message ?? 'the command has failed');
  stderr.write(`command terminated with exit code ${code}\n`);
  return Number(code);
}

function decodeStatus(data: Buffer): Status | undefined {
  if (data.length === 0) return undefined;
  try {
    return JSON.parse(data.toString('utf8')) as Status;
  } catch {
    throw new KubectlError(`the server sent no status: ${data.toString('utf8')}`);
  }
}
