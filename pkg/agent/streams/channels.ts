/**
 * Kubernetes' channel protocol on a WebSocket: the first byte of a message is the channel. Versions differ in what
 * the error channel carries (text before v4, a Status since), in closing a channel (v5), and in base64 text forms.
 */

import { Readable, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import type { CommandIo, CommandOptions, CommandStatus } from './remote-command.ts';
import { type Size, TerminalSizes } from './terminal-sizes.ts';

/** In order of preference. */
export const COMMAND_PROTOCOLS = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'base64.channel.k8s.io',
  'channel.k8s.io',
] as const;

const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const DIGIT_ZERO = 0x30;
const NORMAL_CLOSE = 1000;

/** Sends and receives messages of numbered channels. */
export class Channels {
  readonly #socket: WebSocket;
  readonly #isBase64: boolean;
  /** Resolves when the client is gone. */
  readonly closed: Promise<void>;

  constructor(socket: WebSocket, protocol: string) {
    this.#socket = socket;
    this.#isBase64 = protocol.includes('base64');
    socket.on('error', () => socket.terminate());
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  onMessage(listener: (channel: number, data: Buffer) => void): void {
    this.#socket.on('message', (message: Buffer) => {
      const first = message[0];
      if (first === undefined) return;
      const rest = message.subarray(1);
      if (this.#isBase64)
        listener(first - DIGIT_ZERO, Buffer.from(rest.toString('latin1'), 'base64'));
      else listener(first, rest);
    });
  }

  send(channel: number, data: Buffer): Promise<void> {
    const message = this.#isBase64
      ? `${channel}${data.toString('base64')}`
      : Buffer.concat([Buffer.from([channel]), data]);
    return new Promise((resolve, reject) => {
      this.#socket.send(message, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** What is written goes out on the channel; a write is done when the socket has taken it. */
  writable(channel: number): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.send(channel, chunk).then(() => done(), done);
      },
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.close(NORMAL_CLOSE);
  }
}

/** A command's client on a WebSocket. */
export function channelIo(socket: WebSocket, options: CommandOptions): CommandIo {
  const { protocol } = socket;
  const channels = new Channels(socket, protocol);
  const sendsStatus = protocol.startsWith('v4') || protocol.startsWith('v5');
  const sizes = new TerminalSizes();
  const stdin = options.hasStdin ? new Readable({ read: () => channels.resume() }) : undefined;
  channels.onMessage((channel, data) => {
    if (channel === CHANNEL.stdin && stdin && !stdin.push(data)) channels.pause();
    else if (channel === CHANNEL.resize) sizes.push(parseSize(data));
    else if (channel === CHANNEL.close && data[0] === CHANNEL.stdin) stdin?.push(null);
  });
  void channels.closed.then(() => stdin?.push(null));
  const hello = options.hasStdout
    ? CHANNEL.stdout
    : options.hasStderr
      ? CHANNEL.stderr
      : CHANNEL.error;
  // Tells clients that wait for it that the connection is there.
  channels.send(hello, Buffer.alloc(0)).catch(() => undefined);
  return {
    stdin,
    stdout: options.hasStdout ? channels.writable(CHANNEL.stdout) : undefined,
    stderr:
      options.hasStderr && !options.hasTerminal ? channels.writable(CHANNEL.stderr) : undefined,
    sizes,
    closed: channels.closed,
    async finish(status) {
      const text = sendsStatus ? JSON.stringify(status) : textOf(status);
      if (text) await channels.send(CHANNEL.error, Buffer.from(text)).catch(() => undefined);
      channels.close();
    },
  };
}

/** Before v4 an error is told as text, success not at all. */
export function textOf(status: CommandStatus): string {
  return status.status === 'Success' || !('message' in status) ? '' : (status.message ?? '');
}

/** `{"Width":80,"Height":24}`; zero when it cannot be read, which changes nothing. */
export function parseSize(data: Buffer): Size {
  try {
    const { Width, Height } = JSON.parse(data.toString());
    return { columns: Number(Width) || 0, rows: Number(Height) || 0 };
  } catch {
    return { columns: 0, rows: 0 };
  }
}
