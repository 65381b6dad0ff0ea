/** exec and attach for clients that speak SPDY: one stream each for error, stdin, stdout, stderr and resize. */

import type { Duplex } from 'node:stream';
import { parseSize, textOf } from './channels.ts';
import type { CommandIo, CommandOptions } from './remote-command.ts';
import { SpdySession } from './spdy/session.ts';
import type { SpdyStream } from './spdy/stream.ts';
import { TerminalSizes } from './terminal-sizes.ts';

/** How long a client may take to open its streams, in milliseconds. */
const OPEN_MS = 30_000;

/** Resolves when the client has opened all streams that its options ask for. */
export async function spdyIo(
  transport: Duplex,
  { options, protocol }: { readonly options: CommandOptions; readonly protocol: string },
): Promise<CommandIo> {
  const wanted = streamNames(options, protocol);
  const streams = new Map<string, SpdyStream>();
  const complete = Promise.withResolvers<void>();
  const session = new SpdySession(transport, (stream) => {
    streams.set(stream.headers.get('streamtype') ?? '', stream);
    if (wanted.every((name) => streams.has(name))) complete.resolve();
  });
  const signal = AbortSignal.timeout(OPEN_MS);
  signal.addEventListener('abort', () =>
    complete.reject(new Error('timed out waiting for client to create streams')),
  );
  void session.closed.then(() => complete.reject(new Error('the client has gone')));
  try {
    await complete.promise;
  } catch (error) {
    session.close();
    throw error;
  }
  const error = streams.get('error');
  const sendsStatus = protocol === 'v4.channel.k8s.io';
  return {
    stdin: streams.get('stdin'),
    stdout: streams.get('stdout'),
    stderr: options.hasTerminal ? undefined : streams.get('stderr'),
    sizes: readSizes(streams.get('resize')),
    closed: session.closed,
    async finish(status) {
      const text = sendsStatus ? JSON.stringify(status) : textOf(status);
      await new Promise<void>((resolve) => {
        if (!error || error.destroyed) resolve();
        else error.once('close', resolve).end(text, () => resolve());
      });
      for (const name of ['stdout', 'stderr']) streams.get(name)?.end();
      session.close();
    },
  };
}

function streamNames(options: CommandOptions, protocol: string): readonly string[] {
  const hasResize = protocol.startsWith('v4') || protocol.startsWith('v3');
  return [
    'error',
    ...(options.hasStdin ? ['stdin'] : []),
    ...(options.hasStdout ? ['stdout'] : []),
    ...(options.hasStderr && !options.hasTerminal ? ['stderr'] : []),
    ...(options.hasTerminal && hasResize ? ['resize'] : []),
  ];
}

function readSizes(stream: SpdyStream | undefined): TerminalSizes {
  const sizes = new TerminalSizes();
  let rest = '';
  stream?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split(/(?<=\})/);
    rest = lines.at(-1)?.trimEnd().endsWith('}') ? '' : (lines.pop() ?? '');
    for (const line of lines) if (line.trim()) sizes.push(parseSize(Buffer.from(line)));
  });
  return sizes;
}
