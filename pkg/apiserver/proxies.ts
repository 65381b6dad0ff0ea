/** Subresources that a node serves: logs, and the proxies to pods, services and nodes. Streams are passed on as they come. */

import { badRequest, notFound, unavailable } from '../api/errors.ts';
import type { EndpointSlice, Pod, Service } from '../api/generated/types.ts';
import type { ServerRequest, ServerResponse } from './contract.ts';
import { bodyOf, type NodeRequest, refusalOf, requestNode } from './node-http.ts';
import type { Call, Parts } from './parts.ts';
import { asPod, type NodePath, podPath, podProxyPath, proxyTarget } from './pod-node.ts';
import { read } from './verbs.ts';
import { refIn } from './write.ts';

/** Headers of a proxied answer that go on to the client. */
const ANSWER_HEADERS = [
  'cache-control',
  'content-encoding',
  'content-disposition',
  'etag',
  'last-modified',
  'location',
  'set-cookie',
  'vary',
];

/** Serves GET of pods/log. */
export async function log(parts: Parts, call: Call): Promise<ServerResponse> {
  const { request } = call;
  const pod = asPod(read(parts, call));
  const path = podPath(pod, 'log', request.query);
  const response = await requestNode(
    parts.nodes,
    { ...path, method: 'GET', headers: {} },
    request.signal,
  );
  const status = response.statusCode ?? 500;
  if (status >= 300) throw await refusalOf(response);
  return { kind: 'stream', status, contentType: 'text/plain', body: bodyOf(response) };
}

/** Answers exec, attach and portforward when the client did not ask for an upgrade. */
export function upgradeRequired(): ServerResponse {
  throw badRequest('Upgrade request required');
}

/** Serves nodes/proxy: the node's own API. */
export async function nodeProxy(parts: Parts, call: Call): Promise<ServerResponse> {
  return await pass(parts, call.request, nodeProxyPath(parts, call));
}

/** Serves pods/proxy. */
export async function podProxy(parts: Parts, call: Call): Promise<ServerResponse> {
  return await pass(parts, call.request, podTarget(parts, call));
}

/** Serves services/proxy: one of the service's ready pods. */
export async function serviceProxy(parts: Parts, call: Call): Promise<ServerResponse> {
  return await pass(parts, call.request, serviceTarget(parts, call));
}

/** Where a call to a proxy goes, with the call's query. Throws what the target's absence calls for. */
export function proxyPath(parts: Parts, call: Call): NodePath {
  switch (call.resource.names.plural) {
    case 'nodes':
      return nodeProxyPath(parts, call);
    case 'pods':
      return podTarget(parts, call);
    default:
      return serviceTarget(parts, call);
  }
}

function nodeProxyPath(parts: Parts, call: Call): NodePath {
  const { name } = proxyTarget(call.route.name);
  const node = read(parts, { ...call, route: { ...call.route, name } });
  return { node: node.metadata.name, path: call.route.trailing || '/' };
}

function podTarget(parts: Parts, call: Call): NodePath {
  const { scheme, name, port } = proxyTarget(call.route.name);
  const pod = asPod(read(parts, { ...call, route: { ...call.route, name } }));
  return podProxyPath(pod, { scheme, port, trailing: call.route.trailing });
}

function serviceTarget(parts: Parts, call: Call): NodePath {
  const { namespace, trailing } = call.route;
  const { scheme, name, port } = proxyTarget(call.route.name);
  const service = parts.registry.get<Service>('services', refIn(namespace, name));
  if (!service) throw notFound({ plural: 'services', group: '' }, name);
  const wanted = service.spec?.ports?.find(
    (each) => port === '' || each.name === port || String(each.port) === port,
  );
  const slices = parts.registry
    .list<EndpointSlice>('endpointslices', namespace)
    .items.filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name);
  const target = wanted && readyPod(parts, slices, wanted.name ?? '');
  if (!target) throw unavailable(`no endpoints available for service "${name}"`);
  return podProxyPath(target.pod, { scheme, port: String(target.port), trailing });
}

function readyPod(
  parts: Parts,
  slices: readonly EndpointSlice[],
  portName: string,
): { readonly pod: Pod; readonly port: number } | undefined {
  for (const { endpoints, ports = [], metadata } of slices) {
    const port = ports.find(({ name = '' }) => name === portName)?.port;
    for (const { conditions, targetRef } of endpoints ?? []) {
      if (port === undefined || conditions?.ready === false || targetRef?.kind !== 'Pod') continue;
      const ref = refIn(metadata.namespace ?? '', targetRef.name ?? '');
      const pod = parts.registry.get<Pod>('pods', ref);
      if (pod) return { pod, port };
    }
  }
  return undefined;
}

async function pass(
  parts: Parts,
  request: ServerRequest,
  { node, path }: NodePath,
): Promise<ServerResponse> {
  const { body } = request;
  const onward: NodeRequest = {
    node,
    path: withQueryOf(request, path),
    method: request.method,
    headers: request.headers,
    ...(Buffer.isBuffer(body) ? { body } : {}),
  };
  const response = await requestNode(parts.nodes, onward, request.signal);
  const headers: Record<string, string> = {};
  for (const name of ANSWER_HEADERS) {
    const value = response.headers[name];
    if (value !== undefined) headers[name] = String(value);
  }
  return {
    kind: 'stream',
    status: response.statusCode ?? 502,
    contentType: response.headers['content-type'] ?? 'application/octet-stream',
    headers,
    body: bodyOf(response),
  };
}

/** The path with the query of the request. */
export function withQueryOf({ query }: ServerRequest, path: string): string {
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}
