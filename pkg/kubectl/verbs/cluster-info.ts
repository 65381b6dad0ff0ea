/** `kubectl cluster-info`, `version` and `api-resources`: what the server is and what it serves. */

import { apiVersionOf, type Kind } from '../kinds.ts';
import { KubectlError, refused } from '../kubectl-error.ts';
import { jsonText } from '../output/json.ts';
import { OUTPUT_FLAG, printerOf } from '../output/output.ts';
import { aligned } from '../output/tab-writer.ts';
import { yamlText } from '../output/yaml.ts';
import { listAll } from '../targets.ts';
import type { Call, Verb } from '../verb.ts';

/** The version of kubectl that is followed here. */
const CLIENT_VERSION = 'v1.35.2';

export const clusterInfo: Verb = {
  name: 'cluster-info',
  summary:
    'Display addresses of the control plane and services with label kubernetes.io/cluster-service=true.',
  usage: 'cluster-info [flags]',
  async run({ args, io, api }) {
    if (args.names.length > 0) throw refused(`"cluster-info ${args.names.join(' ')}"`);
    const [server = ''] = api().config.transport.servers;
    const kind = await api().kinds.find('services');
    const labelSelector = 'kubernetes.io/cluster-service=true';
    const services = await listAll(api(), { kind, namespace: 'kube-system' }, { labelSelector });
    io.stdout.write(`Kubernetes control plane is running at ${server}\n`);
    for (const { metadata } of services) {
      const name = metadata.labels?.['kubernetes.io/name'] ?? metadata.name;
      const path = `/api/v1/namespaces/${metadata.namespace}/services/${metadata.name}/proxy`;
      io.stdout.write(`${name} is running at ${server}${path}\n`);
    }
    io.stdout.write(
      "\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n",
    );
    return 0;
  },
};

interface ServerVersion {
  readonly gitVersion?: string;
}

export const version: Verb = {
  name: 'version',
  summary: 'Print the client and server version information.',
  usage: 'version [flags]',
  flags: [
    OUTPUT_FLAG,
    { name: 'client', type: 'switch', help: 'If true, shows client version only.' },
  ],
  async run({ args, io, api }) {
    const output = args.optional('output');
    const clientVersion = { gitVersion: CLIENT_VERSION, platform: 'mini' };
    const serverVersion = args.isSet('client')
      ? undefined
      : decodeVersion(await api().transport.request({ method: 'GET', path: '/version' }));
    if (output !== undefined) {
      const text = { json: jsonText, yaml: yamlText }[output];
      if (!text) throw new KubectlError(`--output must be 'yaml' or 'json'`);
      io.stdout.write(text({ clientVersion, ...(serverVersion ? { serverVersion } : {}) }));
      return 0;
    }
    io.stdout.write(`Client Version: ${CLIENT_VERSION} (mini)\n`);
    if (serverVersion) io.stdout.write(`Server Version: ${serverVersion.gitVersion ?? ''}\n`);
    return 0;
  },
};

export const apiResources: Verb = {
  name: 'api-resources',
  summary: 'Print the supported API resources on the server.',
  usage: 'api-resources [flags]',
  flags: [
    { name: 'api-group', type: 'text', help: 'Limit to resources in the specified API group.' },
    {
      name: 'namespaced',
      type: 'switch',
      default: 'true',
      help: 'Limit to namespaced ones, or not.',
    },
    { name: 'verbs', type: 'list', help: 'Limit to resources that support the specified verbs.' },
    { name: 'categories', type: 'list', help: 'Limit to resources of the specified categories.' },
    { name: 'no-headers', type: 'switch', help: "Don't print headers." },
    OUTPUT_FLAG,
  ],
  run: listResources,
};

async function listResources({ args, io, api }: Call): Promise<number> {
  const output = args.optional('output');
  if (output !== undefined && output !== 'name' && output !== 'wide') {
    printerOf(args);
    throw refused(`api-resources -o ${output}`);
  }
  const isChosen = (kind: Kind) =>
    (!args.has('api-group') || kind.group === args.text('api-group')) &&
    (!args.has('namespaced') || kind.isNamespaced === args.isSet('namespaced')) &&
    args.list('verbs').every((verb) => kind.verbs.includes(verb)) &&
    args.list('categories').every((category) => kind.categories.includes(category));
  const kinds = (await api().kinds.all()).filter(isChosen).sort(byGroupAndName);
  if (output === 'name') {
    io.stdout.write(
      kinds.map(({ plural, group }) => `${group ? `${plural}.${group}` : plural}\n`).join(''),
    );
    return 0;
  }
  const isWide = output === 'wide';
  const titles = ['NAME', 'SHORTNAMES', 'APIVERSION', 'NAMESPACED', 'KIND'];
  const rows = kinds.map((kind) => [
    kind.plural,
    kind.short.join(','),
    apiVersionOf(kind),
    String(kind.isNamespaced),
    kind.kind,
    ...(isWide ? [kind.verbs.join(','), kind.categories.join(',')] : []),
  ]);
  const header = [...titles, ...(isWide ? ['VERBS', 'CATEGORIES'] : [])];
  io.stdout.write(aligned(args.isSet('no-headers') ? rows : [header, ...rows]));
  return 0;
}

function byGroupAndName(a: Kind, b: Kind): number {
  if (a.group !== b.group) return a.group < b.group ? -1 : 1;
  return a.plural < b.plural ? -1 : 1;
}

/** What /version answers. */
function decodeVersion(answer: unknown): ServerVersion {
  return answer as ServerVersion;
}
