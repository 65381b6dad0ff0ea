/** `kubectl expose`: a service for the pods of a workload, a pod or another service. */

import { isObject, type JsonObject } from '../../api/json.ts';
import type { Live } from '../api.ts';
import type { Arguments } from '../arguments.ts';
import { changePrinter } from '../changes.ts';
import { choosePlaces } from '../choose.ts';
import { CREATE_FLAGS, namespaceMeta, sendNew } from '../creating.ts';
import { forEachTried } from '../each.ts';
import type { Manifest } from '../files.ts';
import { FILENAME_FLAGS } from '../files.ts';
import { KubectlError } from '../kubectl-error.ts';
import { relaxedPath } from '../output/custom-columns.ts';
import { valuesAt } from '../output/json-path.ts';
import type { Call, Verb } from '../verb.ts';

const KINDS = ['Pod', 'Service', 'ReplicationController', 'Deployment', 'ReplicaSet'];
/** A service's name that is longer is cut, as kubectl does. */
const NAME_MAX = 63;

export const expose: Verb = {
  name: 'expose',
  summary:
    'Take a replication controller, service, deployment or pod and expose it as a new service.',
  usage:
    'expose (-f FILENAME | TYPE NAME) [--port=port] [--target-port=number-or-name] [--name=name] [flags]',
  examples: ['mini kubectl expose deployment web --port=80 --target-port=8080'],
  flags: [
    ...CREATE_FLAGS,
    ...FILENAME_FLAGS,
    { name: 'port', type: 'text', help: "The port of the service; the pods' own when absent." },
    { name: 'target-port', type: 'text', help: 'Name or number of the port on the container.' },
    {
      name: 'protocol',
      type: 'text',
      help: 'The network protocol of the service; TCP when absent.',
    },
    { name: 'name', type: 'text', help: 'The name of the new service.' },
    { name: 'type', type: 'text', help: 'ClusterIP, NodePort, LoadBalancer or ExternalName.' },
    { name: 'selector', type: 'list', help: 'A label selector to use for the service, key=value.' },
    { name: 'labels', short: 'l', type: 'list', help: 'Labels of the new service, key=value.' },
    { name: 'cluster-ip', type: 'text', help: "ClusterIP of the service, 'None' for headless." },
    { name: 'external-ip', type: 'text', help: 'An external address of the service.' },
    { name: 'session-affinity', type: 'text', help: "'None' or 'ClientIP'." },
  ],
  async run(call) {
    const { args, io, api } = call;
    const print = changePrinter(args, io);
    const places = await choosePlaces({
      api: api(),
      args,
      io,
      verb: 'expose',
      isSelectorOwn: true,
    });
    await forEachTried(places, async (place) => {
      const object = serviceFor(call, await api().get<Live>(place));
      print(await sendNew(call, { object, manager: 'kubectl-expose' }), 'exposed');
    });
    return 0;
  },
};

function serviceFor(call: Call, live: Live): Manifest {
  const { args } = call;
  if (!KINDS.includes(live.kind)) throw new KubectlError(`cannot expose a ${live.kind}`);
  const selector = args.has('selector') ? pairs(args.list('selector')) : selectorOf(live);
  const labels = args.has('labels') ? pairs(args.list('labels')) : live.metadata.labels;
  const optional = (field: string, flag: string) => {
    const value = args.optional(flag);
    return value ? { [field]: value } : {};
  };
  const external = args.optional('external-ip');
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...(labels ? { labels } : {}),
      name: args.optional('name') ?? live.metadata.name.slice(0, NAME_MAX),
      ...namespaceMeta(call),
    },
    spec: {
      ...optional('clusterIP', 'cluster-ip'),
      ...(external ? { externalIPs: [external] } : {}),
      ports: portsOf(args, live),
      selector,
      ...optional('sessionAffinity', 'session-affinity'),
      ...optional('type', 'type'),
    },
    status: { loadBalancer: {} },
  };
}

function portsOf(args: Arguments, live: Live): readonly object[] {
  const given = args.text('port').split(',').filter(Boolean).map(portNumber);
  const found = given.length > 0 ? given.map((port): Port => ({ port })) : declaredPorts(live);
  if (found.length === 0)
    throw new KubectlError("couldn't find port via --port flag or introspection");
  const target = args.optional('target-port');
  return found.map(({ port, protocol }, index) => ({
    ...(found.length > 1 ? { name: `port-${index + 1}` } : {}),
    port,
    protocol: args.optional('protocol') ?? protocol ?? 'TCP',
    targetPort: target === undefined ? port : /^\d+$/.test(target) ? Number(target) : target,
  }));
}

function portNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new KubectlError(`invalid port ${JSON.stringify(text)}`);
  return Number(text);
}

interface Port {
  readonly port: number;
  readonly protocol?: string;
}

/** The ports of the containers, or of the service. */
function declaredPorts(live: Live): readonly Port[] {
  const paths = [
    '.spec.ports[*]',
    '.spec.containers[*].ports[*]',
    '.spec.template.spec.containers[*].ports[*]',
  ];
  return paths
    .flatMap((path) => valuesAt(relaxedPath(path), live))
    .filter(isObject)
    .map((port) => ({
      port: Number(port['containerPort'] ?? port['port']),
      ...(typeof port['protocol'] === 'string' ? { protocol: port['protocol'] } : {}),
    }));
}

function selectorOf({ kind, metadata, spec }: Live): JsonObject {
  const selector = isObject(spec) ? spec['selector'] : undefined;
  if (kind === 'Pod') {
    if (!metadata.labels) throw new KubectlError('the pod has no labels and cannot be exposed');
    return metadata.labels;
  }
  if (isObject(selector) && isObject(selector['matchLabels'])) {
    if (selector['matchExpressions'])
      throw new KubectlError("couldn't convert expressions to a service selector; use --selector");
    return selector['matchLabels'];
  }
  if (!isObject(selector) || Object.keys(selector).length === 0)
    throw new KubectlError("couldn't retrieve selectors via --selector flag or introspection");
  return selector;
}

function pairs(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      if (equals < 1) throw new KubectlError(`unexpected label spec: ${text}`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}
