/** POST /run/<namespace>/<pod>/<container>?cmd=…: runs a command and answers with all that it wrote. */

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { NodeContext } from '../node-context.ts';
import type { Pods } from '../pod/pods.ts';
import { ApiError, containerOf, type NodeRequest, podOf, runningOf } from './request.ts';

interface RunOptions {
  readonly context: NodeContext;
  readonly pods: Pods;
  readonly request: NodeRequest;
  readonly response: ServerResponse;
}

export async function serveRun({ context, pods, request, response }: RunOptions): Promise<void> {
  if (request.method !== 'POST') throw new ApiError(405, 'run needs POST');
  const pod = podOf(pods, request);
  const { id } = runningOf(context.engine, pod, containerOf(pod, request));
  const args = (request.query.get('cmd') ?? '').split(' ').filter(Boolean);
  if (args.length === 0) throw new ApiError(400, 'query parameter "cmd" is required');
  const session = await context.engine.exec(id, { args, hasTerminal: false, hasStdin: false });
  response.on('close', () => session.close());
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  const outputs: readonly NodeJS.ReadableStream[] = [
    session.stdout,
    ...(session.stderr ? [session.stderr] : []),
  ];
  for (const output of outputs) {
    output.on('error', () => undefined);
    output.pipe(response, { end: false });
  }
  await Promise.all(outputs.map((output) => once(output, 'end')));
  const { exitCode } = await session.exited;
  response.end(exitCode === 0 ? '' : `command terminated with exit code ${exitCode}\n`);
}
