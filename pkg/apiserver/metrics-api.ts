/** metrics.k8s.io: what nodes and pods use, from the nodes themselves, as metrics-server would tell it. */

import { StatusError } from '../api/errors.ts';
import type { ContainerMetrics, NodeMetrics, Pod, PodMetrics } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import { canonicalQuantity } from '../api/quantity.ts';
import type { ServerResponse } from './contract.ts';
import { listOf } from './list.ts';
import type { Amounts, NodeUsage } from './node-usages.ts';
import type { Call, Parts } from './parts.ts';
import { respondList, respondObject } from './respond.ts';
import { selectionOf } from './selection.ts';
import { refIn } from './write.ts';

const API_VERSION = 'metrics.k8s.io/v1beta1';
const HANDLERS = { get, list } as const;

/** The handler of a verb of this group; undefined for one that it does not have. */
export function metricsHandler(
  verb: string,
): ((parts: Parts, call: Call) => Promise<ServerResponse>) | undefined {
  return verb === 'get' || verb === 'list' ? HANDLERS[verb] : undefined;
}

async function list(parts: Parts, call: Call): Promise<ServerResponse> {
  const { resource, route, request } = call;
  const selection = selectionOf(resource, request.query);
  const objects = resource.namespaced
    ? parts.registry.list<Pod>('pods', route.namespace).items
    : parts.registry.list('nodes').items;
  const chosen = objects.filter((object) => selection.matches(object));
  const items = await measured(parts, chosen);
  return respondList(parts, call, listOf(resource, { metadata: { resourceVersion: '' }, items }));
}

async function get(parts: Parts, call: Call): Promise<ServerResponse> {
  const { resource, route } = call;
  const { namespace, name } = route;
  const plural = resource.namespaced ? 'pods' : 'nodes';
  const object = parts.registry.get<ApiObject>(plural, refIn(namespace, name));
  const full = resource.namespaced ? `${namespace}/${name}` : name;
  if (!object) throw unknown('', plural, full);
  const [found] = await measured(parts, [object]);
  if (!found) throw unknown('metrics.k8s.io', `${resource.names.plural.slice(0, -1)}metrics`, full);
  return respondObject(parts, call, { object: found });
}

/** In metrics-server's words, in which kubectl finds the name of the pod. */
function unknown(group: string, kind: string, name: string): StatusError {
  const full = group ? `${kind}.${group}` : kind;
  return new StatusError('NotFound', `${full} "${name}" not found`, { name, group, kind });
}

/** The metrics of these pods or nodes, without those that have none: they do not run, or their node does not answer. */
async function measured(
  { usages, log }: Parts,
  objects: readonly ApiObject[],
): Promise<readonly ApiObject[]> {
  const names = new Set(objects.flatMap((object) => nodeOf(object) ?? []));
  const answers = new Map<string, NodeUsage>();
  await Promise.all(
    [...names].map(async (node) => {
      try {
        answers.set(node, await usages.of(node));
      } catch (error) {
        log.debug('Could not read what a node uses', { node, error });
      }
    }),
  );
  const podsOf = new Map(
    [...answers].map(([node, { pods }]) => [node, new Map(pods.map((pod) => [pod.uid, pod]))]),
  );
  return objects.flatMap((object): readonly ApiObject[] => {
    const node = nodeOf(object) ?? '';
    const answer = answers.get(node);
    if (!answer) return [];
    if (object.kind !== 'Pod') return [nodeMetrics(object, answer)];
    const containers = podsOf.get(node)?.get(uidOnNode(object))?.containers ?? [];
    return containers.length > 0 ? [podMetrics(object, answer.timestamp, containers)] : [];
  });
}

/** A static pod's mirror names the pod that the node runs. */
function uidOnNode({ metadata }: ApiObject): string {
  return metadata.annotations?.['kubernetes.io/config.mirror'] ?? metadata.uid;
}

function nodeOf(object: ApiObject): string | undefined {
  return object.kind === 'Pod' ? (object as Pod).spec.nodeName : object.metadata.name;
}

function nodeMetrics(object: ApiObject, { node, timestamp }: NodeUsage): NodeMetrics {
  return {
    kind: 'NodeMetrics',
    apiVersion: API_VERSION,
    metadata: metaOf(object, timestamp),
    timestamp: seconds(timestamp),
    window: windowText(node.windowMs),
    usage: usageOf(node),
  };
}

function podMetrics(
  object: ApiObject,
  timestamp: string,
  containers: readonly (Amounts & { readonly name: string })[],
): PodMetrics {
  return {
    kind: 'PodMetrics',
    apiVersion: API_VERSION,
    metadata: metaOf(object, timestamp),
    timestamp: seconds(timestamp),
    window: windowText(Math.max(...containers.map(({ windowMs }) => windowMs))),
    containers: containers.map(
      (one): ContainerMetrics => ({ name: one.name, usage: usageOf(one) }),
    ),
  };
}

/** Its own name and labels; what is computed has no identity. */
function metaOf({ metadata }: ApiObject, timestamp: string): ApiObject['metadata'] {
  const { name, namespace, labels } = metadata;
  return {
    name,
    ...(namespace ? { namespace } : {}),
    ...(labels ? { labels } : {}),
    creationTimestamp: seconds(timestamp),
  } as ApiObject['metadata'];
}

function usageOf({ cpuNanoCores, memoryBytes }: Amounts): NodeMetrics['usage'] {
  return {
    cpu: canonicalQuantity(`${cpuNanoCores}n`),
    memory: `${Math.floor(memoryBytes / 1024)}Ki`,
  };
}

/** As times in objects are written. */
function seconds(timestamp: string): string {
  return timestamp.replace(/\.\d+Z$/, 'Z');
}

/** As Go prints a duration. */
function windowText(ms: number): string {
  const rounded = Math.round(ms);
  if (rounded < 1000) return `${rounded}ms`;
  return `${rounded >= 60_000 ? `${Math.floor(rounded / 60_000)}m` : ''}${(rounded % 60_000) / 1000}s`;
}
