/** Generators of `kubectl create`: deployment, job, service clusterip. */

import type { Arguments } from '../arguments.ts';
import { CREATE_FLAGS, createAll, exactlyOne, namespaceMeta } from '../creating.ts';
import { KubectlError } from '../kubectl-error.ts';
import type { Call, Verb } from '../verb.ts';

const PORT_MAX = 65_535;

export const deployment: Verb = {
  name: 'deployment',
  aliases: ['deploy'],
  summary: 'Create a deployment with the specified name.',
  usage: 'create deployment NAME --image=image [flags] -- [COMMAND] [args...]',
  examples: ['mini kubectl create deployment web --image=mini/hello --replicas=3 --port=8080'],
  flags: [
    ...CREATE_FLAGS,
    { name: 'image', type: 'list', help: 'Image names to run, one for each container.' },
    { name: 'port', type: 'number', default: '-1', help: 'The containerPort that is exposed.' },
    { name: 'replicas', short: 'r', type: 'number', default: '1', help: 'Number of replicas.' },
  ],
  async run(call) {
    const { args } = call;
    const name = exactlyOne(args.names);
    const images = args.list('image');
    if (images.length === 0) throw new KubectlError('required flag(s) "image" not set');
    if (images.length > 1 && args.command?.length)
      throw new KubectlError('cannot specify multiple --image options and command');
    const replicas = args.number('replicas') ?? 1;
    if (replicas < 0) throw new KubectlError(`invalid replica count: ${replicas}`);
    const labels = { app: name };
    const object = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, labels, ...namespaceMeta(call) },
      spec: {
        replicas,
        selector: { matchLabels: labels },
        strategy: {},
        template: { metadata: { labels }, spec: { containers: containers(args, images) } },
      },
      status: {},
    };
    return createAll(call, { objects: [object] });
  },
};

function containers(args: Arguments, images: readonly string[]): readonly object[] {
  const port = args.number('port') ?? -1;
  const names = new Set<string>();
  return images.map((image, index) => {
    const base = containerName(image);
    const name = names.has(base) ? `${base}-${index}` : base;
    names.add(name);
    return {
      ...(args.command?.length ? { command: args.command } : {}),
      image,
      name,
      ...(index === 0 && port >= 0 ? { ports: [{ containerPort: port }] } : {}),
      resources: {},
    };
  });
}

/** The image's last path segment without tag and digest, in the characters that a name may have. */
function containerName(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1).replace(/[:@].*$/, '');
  return last.toLowerCase().replace(/[^-a-z0-9]/g, '-');
}

export const job: Verb = {
  name: 'job',
  summary: 'Create a job with the specified name.',
  usage: 'create job NAME --image=image [flags] -- [COMMAND] [args...]',
  flags: [...CREATE_FLAGS, { name: 'image', type: 'text', help: 'Image name to run.' }],
  async run(call) {
    const { args } = call;
    const name = exactlyOne(args.names);
    const image = args.optional('image');
    if (!image) throw new KubectlError('either --image or --from must be specified');
    const command = args.command?.length ? { command: args.command } : {};
    const object = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name, ...namespaceMeta(call) },
      spec: {
        template: {
          metadata: {},
          spec: {
            containers: [{ ...command, image, name, resources: {} }],
            restartPolicy: 'Never',
          },
        },
      },
      status: {},
    };
    return createAll(call, { objects: [object] });
  },
};

const clusterip: Verb = {
  name: 'clusterip',
  summary: 'Create a ClusterIP service with the specified name.',
  usage: 'create service clusterip NAME [--tcp=<port>:<targetPort>] [flags]',
  flags: [
    ...CREATE_FLAGS,
    { name: 'tcp', type: 'list', help: "Port pairs, '<port>:<targetPort>'." },
    { name: 'clusterip', type: 'text', help: "An address of your own, or 'None' for headless." },
  ],
  run: createService,
};

export const service: Verb = {
  name: 'service',
  aliases: ['svc'],
  summary: 'Create a service using a specified subcommand.',
  usage: 'create service clusterip NAME [flags]',
  verbs: [clusterip],
};

async function createService(call: Call): Promise<number> {
  const { args } = call;
  const name = exactlyOne(args.names);
  const clusterIP = args.optional('clusterip');
  const ports = args.list('tcp').map(portOf);
  if (ports.length === 0 && clusterIP !== 'None')
    throw new KubectlError('at least one tcp port specifier must be provided');
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels: { app: name }, ...namespaceMeta(call) },
    spec: {
      ...(clusterIP ? { clusterIP } : {}),
      ...(ports.length > 0 ? { ports } : {}),
      selector: { app: name },
      type: 'ClusterIP',
    },
    status: { loadBalancer: {} },
  };
  return createAll(call, { objects: [object] });
}

function portOf(text: string): object {
  const [first = '', second = first] = text.split(':');
  const port = Number(first);
  if (!Number.isInteger(port) || port < 1 || port > PORT_MAX)
    throw new KubectlError(`invalid port format '${text}'`);
  const targetPort = /^\d+$/.test(second) ? Number(second) : second;
  return { name: text.replace(':', '-'), port, protocol: 'TCP', targetPort };
}
