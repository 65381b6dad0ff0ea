/** What the node's own API tells without streams: health, pods, configuration, measurements, logs of the host. */

import type { ServerResponse } from 'node:http';
import type { Pod } from '../api/generated/types.ts';
import { serveHostLogs } from './logs/host-logs.ts';
import { configz } from './node/configz.ts';
import { CONTAINER_NAME, POD_UID } from './pod/labels.ts';
import { cadvisorMetrics } from './stats/cadvisor-metrics.ts';
import { kubeletMetrics, probeMetrics } from './stats/kubelet-metrics.ts';
import { resourceMetrics } from './stats/resource-metrics.ts';
import type { Stats } from './stats/stats.ts';
import { summaryOf } from './stats/summary.ts';
import { usageOf } from './stats/usage.ts';
import { ApiError, type NodeRequest } from './streams/request.ts';

export type Reader = (
  stats: Stats,
  request: NodeRequest,
  response: ServerResponse,
) => Promise<void> | void;

/** Of Prometheus' text format. */
const EXPOSITION = 'text/plain; version=0.0.4; charset=utf-8';

/** By the first segment of the path. Each throws an ApiError for what is not below it. */
export const readers: Readonly<Record<string, Reader>> = {
  healthz,
  pods: (stats, _request, response) => json(response, podList(stats.pods.list())),
  runningpods: (stats, _request, response) => json(response, podList(runningPods(stats))),
  configz: (stats, _request, response) => json(response, configz(stats)),
  stats: statistics,
  metrics: async (stats, { segments }, response) =>
    text(response, await metricsText(stats, segments[1] ?? ''), EXPOSITION),
  logs: (_stats, request, response) => serveHostLogs(request, response),
  checkpoint: () => {
    throw new ApiError(501, 'checkpointing containers is not supported by this node');
  },
};

const CHECKS = ['ping', 'log', 'syncloop'];

/** The tunnel brought the request and the event loop answers it: the parts that the kubelet checks are in it. */
function healthz(_stats: Stats, { segments, query }: NodeRequest, response: ServerResponse): void {
  const [, check = '', ...rest] = segments;
  if (rest.length > 0 || (check !== '' && !CHECKS.includes(check))) throw notFound();
  const isVerbose = check === '' && query.has('verbose');
  const lines = CHECKS.map((name) => `[+]${name} ok\n`).join('');
  text(response, isVerbose ? `${lines}healthz check passed\n` : 'ok');
}

function podList(items: readonly object[]): object {
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
}

/** Pods as the engine knows them: those with a running container, and no more of each than it can tell. */
function runningPods({ pods, context }: Stats): readonly object[] {
  const containers = context.engine.listContainers().filter(({ status }) => status === 'running');
  return pods.list().flatMap(({ metadata }: Pod) => {
    const own = containers.filter(({ labels }) => labels[POD_UID] === metadata.uid);
    if (own.length === 0) return [];
    const { name, namespace, uid } = metadata;
    return [
      {
        metadata: { name, namespace, uid, creationTimestamp: null },
        spec: {
          containers: own.map(({ labels, imageId }) => ({
            name: labels[CONTAINER_NAME],
            image: imageId,
            resources: {},
          })),
        },
        status: {},
      },
    ];
  });
}

async function statistics(
  stats: Stats,
  { segments, query }: NodeRequest,
  response: ServerResponse,
): Promise<void> {
  const [, what = ''] = segments;
  if (what === 'usage') return json(response, await usageOf(stats));
  if (what !== 'summary') throw notFound();
  const isBrief = query.get('only_cpu_and_memory') === 'true';
  json(response, await summaryOf(stats, isBrief));
}

async function metricsText(stats: Stats, what: string): Promise<string> {
  const { metrics } = stats.context;
  switch (what) {
    case '':
      return kubeletMetrics(stats, metrics);
    case 'resource':
      return resourceMetrics(stats);
    case 'cadvisor':
      return cadvisorMetrics(stats);
    case 'probes':
      return probeMetrics(metrics);
    default:
      throw notFound();
  }
}

function notFound(): ApiError {
  return new ApiError(404, '404 page not found');
}

function text(
  response: ServerResponse,
  body: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  response.writeHead(200, { 'content-type': contentType });
  response.end(body);
}

function json(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
