/** Where a pod's streams are: its node, its container, and the path on that node's own API. */

import { badRequest } from '../api/errors.ts';
import type { Container, Pod } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import { checkLogOptions } from './log-options.ts';
import { isTrue } from './route.ts';

/** HTTP's. */
const DEFAULT_PORT = 80;
const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';
const RUNTIME_PARAMETERS = ['stdin', 'stdout', 'stderr', 'tty', 'command'] as const;
const LOG_PARAMETERS = [
  'follow',
  'previous',
  'sinceSeconds',
  'sinceTime',
  'timestamps',
  'tailLines',
  'limitBytes',
  'stream',
] as const;

/** Where a request goes on: a node and a path with query. */
export interface NodePath {
  readonly node: string;
  readonly path: string;
}

/** A pod as its type; the store holds only what passed its schema. */
export function asPod(object: ApiObject): Pod {
  return object as Pod;
}

/** Where a pod subresource (log, exec, attach, portforward) is served. Throws BadRequest or Invalid. */
export function podPath(pod: Pod, subresource: string, query: URLSearchParams): NodePath {
  const { namespace = '', name, uid } = pod.metadata;
  const place = `${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
  if (subresource === 'portforward') {
    const ports = picked(query, ['ports', 'port']);
    return { node: nodeOf(pod), path: withQuery(`/portForward/${place}`, ports) };
  }
  const isLog = subresource === 'log';
  if (isLog) checkLogOptions(name, query);
  const container = containerOf(pod, query.get('container') ?? '', !isLog);
  const node = isLog ? logNodeOf(pod, container) : nodeOf(pod);
  const base = isLog ? 'containerLogs' : subresource;
  const path = `/${base}/${place}/${encodeURIComponent(container)}`;
  const parameters = picked(query, isLog ? LOG_PARAMETERS : RUNTIME_PARAMETERS);
  if (!isLog) parameters.append('podUID', uid);
  return { node, path: withQuery(path, parameters) };
}

function picked(query: URLSearchParams, names: readonly string[]): URLSearchParams {
  const kept = new URLSearchParams();
  for (const name of names) {
    for (const value of query.getAll(name)) {
      // Clients write True and 1, too; the node is told one way.
      kept.append(name, SWITCHES.includes(name) ? String(isTrue(value)) : value);
      const alias = KUBELET_NAMES[name];
      if (alias && isTrue(value)) kept.append(alias, '1');
    }
  }
  return kept;
}

const SWITCHES = ['follow', 'previous', 'timestamps', 'stdin', 'stdout', 'stderr', 'tty'];

/** The kubelet's own names of the streams, sent beside the API's. */
const KUBELET_NAMES: Readonly<Record<string, string>> = {
  stdin: 'input',
  stdout: 'output',
  stderr: 'error',
};

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

function nodeOf({ metadata, spec }: Pod): string {
  if (spec.nodeName) return spec.nodeName;
  throw badRequest(`pod ${metadata.name} does not have a host assigned`);
}

/** A pod that no node has taken yet has no log, and says so by its container. */
function logNodeOf(pod: Pod, container: string): string {
  if (pod.spec.nodeName) return pod.spec.nodeName;
  throw badRequest(
    `container "${container}" in pod "${pod.metadata.name}" is waiting to start: no node has taken the pod yet`,
  );
}

/** The container that is meant: the named one, the annotated default, or the only one. */
function containerOf(pod: Pod, named: string, usesAnnotation: boolean): string {
  const { metadata, spec } = pod;
  const all = [
    ...spec.containers,
    ...(spec.initContainers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ];
  if (named) {
    if (all.some(({ name }) => name === named)) return named;
    throw badRequest(`container ${named} is not valid for pod ${metadata.name}`);
  }
  const annotated = metadata.annotations?.[DEFAULT_CONTAINER];
  if (usesAnnotation && annotated && all.some(({ name }) => name === annotated)) return annotated;
  const [only, second] = spec.containers;
  if (only && !second) return only.name;
  throw badRequest(ambiguous(pod));
}

function ambiguous({ metadata, spec }: Pod): string {
  const names = (containers: readonly Pick<Container, 'name'>[] = []) =>
    containers.map(({ name }) => name).join(' ');
  const inits = spec.initContainers?.length
    ? ` or one of the init containers: [${names(spec.initContainers)}]`
    : '';
  return `a container name must be specified for pod ${metadata.name}, choose one of: [${names(spec.containers)}]${inits}`;
}

/** The pod and port behind `name`, `name:port` or `scheme:name:port`, as proxies are addressed. */
export function proxyTarget(text: string): {
  readonly scheme: string;
  readonly name: string;
  readonly port: string;
} {
  const parts = text.split(':');
  const [first = '', second = '', third = ''] = parts;
  if (parts.length === 1) return { scheme: 'http', name: first, port: '' };
  if (parts.length === 2) return { scheme: 'http', name: first, port: second };
  if (parts.length === 3 && (first === 'http' || first === 'https' || first === '')) {
    return { scheme: first || 'http', name: second, port: third };
  }
  throw badRequest(`invalid proxy target "${text}"`);
}

/** Where a pod's own HTTP server is reached: through its node. */
export function podProxyPath(
  pod: Pod,
  target: { readonly scheme: string; readonly port: string; readonly trailing: string },
): NodePath {
  const { namespace = '', name } = pod.metadata;
  const port = target.port || String(firstPort(pod));
  const place = [namespace, name, target.scheme, port].map(encodeURIComponent).join('/');
  return { node: nodeOf(pod), path: `/podProxy/${place}${target.trailing || '/'}` };
}

/** A pod that is asked for without a port answers on its first one, or else on HTTP's. */
function firstPort({ spec }: Pod): number {
  const ports = spec.containers.flatMap((container) => container.ports ?? []);
  return ports[0]?.containerPort ?? DEFAULT_PORT;
}
