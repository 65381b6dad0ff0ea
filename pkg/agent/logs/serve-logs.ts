/** GET /containerLogs/<namespace>/<pod>/<container>: a container's log as text. */

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import type { NodeContext } from '../node-context.ts';
import { containerLogs } from '../paths.ts';
import { ATTEMPT, CONTAINER_NAME, POD_UID } from '../pod/labels.ts';
import type { Pods } from '../pod/pods.ts';
import { ApiError, containerOf, type NodeRequest, podOf, runOf } from '../streams/request.ts';
import { logRuns } from './log-files.ts';
import { parseLogQuery } from './log-query.ts';
import { type LogSource, readLog } from './read-log.ts';

interface ServeLogsOptions {
  readonly context: NodeContext;
  readonly pods: Pods;
  readonly request: NodeRequest;
  readonly response: ServerResponse;
}

export async function serveLogs({
  context,
  pods,
  request,
  response,
}: ServeLogsOptions): Promise<void> {
  const pod = podOf(pods, request);
  const container = containerOf(pod, request);
  const query = parseLogQuery(request.query, context.clock.now());
  const source = await sourceOf(context, { pod, container, isPrevious: query.isPrevious });
  const controller = new AbortController();
  response.on('close', () => controller.abort());
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  for await (const chunk of readLog(source, query, controller.signal)) {
    if (!response.write(chunk)) {
      await once(response, 'drain', { signal: controller.signal }).catch(() => undefined);
    }
  }
  response.end();
}

interface Wanted {
  readonly pod: Pod;
  readonly container: string;
  readonly isPrevious: boolean;
}

async function sourceOf(
  context: NodeContext,
  { pod, container, isPrevious }: Wanted,
): Promise<LogSource> {
  const { engine, paths } = context;
  const directory = containerLogs(paths, pod, container);
  const runs = await logRuns(directory);
  const info = runOf(engine, pod, container);
  const newest = info ? Number(info.labels[ATTEMPT]) : runs[0];
  if (isPrevious) {
    const previous = runs.find((run) => newest !== undefined && run < newest);
    if (previous === undefined) {
      throw new ApiError(
        400,
        `previous terminated container "${container}" in pod "${pod.metadata.name}" not found`,
      );
    }
    return {
      path: join(directory, `${previous}.log`),
      isRunning: () => false,
      onChange: () => () => undefined,
    };
  }
  if (newest === undefined) throw notStarted(pod, container);
  const { uid } = pod.metadata;
  return {
    path: join(directory, `${newest}.log`),
    isRunning: () => {
      const run = runOf(engine, pod, container);
      return Number(run?.labels[ATTEMPT]) === newest && run?.status !== 'exited';
    },
    onChange: (listener) =>
      engine.onChange(({ labels }) => {
        if (labels[POD_UID] === uid && labels[CONTAINER_NAME] === container) listener();
      }),
  };
}

function notStarted(pod: Pod, container: string): ApiError {
  const statuses = [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.ephemeralContainerStatuses ?? []),
  ];
  const waiting = statuses.find(({ name }) => name === container)?.state?.waiting;
  const { name } = pod.metadata;
  const start = `container "${container}" in pod "${name}" is waiting to start`;
  const reason = waiting?.reason ?? 'ContainerCreating';
  const isImage = /Image/.test(reason);
  const why = isImage
    ? waiting?.message
      ? `trying and failing to pull image`
      : "image can't be pulled"
    : reason;
  return new ApiError(400, `${start}: ${why}`);
}
