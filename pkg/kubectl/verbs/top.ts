/** `kubectl top node` and `kubectl top pod`: what they use, from the metrics API. */

import type { Node, NodeMetrics, Pod, PodMetrics } from '../../api/generated/types.ts';
import { bytes, cpuNanos } from '../../api/quantity.ts';
import type { Api, Place } from '../api.ts';
import type { Arguments } from '../arguments.ts';
import type { FlagSpec } from '../flag.ts';
import { KubectlError } from '../kubectl-error.ts';
import { aligned } from '../output/tab-writer.ts';
import {
  ALL_NAMESPACES_FLAG,
  FIELD_SELECTOR_FLAG,
  SELECTOR_FLAG,
  selectionOf,
} from '../targets.ts';
import type { Call, Verb } from '../verb.ts';

/** CPU in nanos, memory in bytes. */
interface Usage {
  readonly cpu: number;
  readonly memory: number;
}
type Resource = keyof Usage;

const MEBI = 1024 * 1024;
const NANOS_PER_MILLI = 1e6;
/** How long kubectl lets a pod be without metrics. */
const METRICS_DELAY_MS = 120_000;

const SORT_FLAG: FlagSpec = {
  name: 'sort-by',
  type: 'text',
  choices: ['', 'cpu', 'memory'],
  help: "If non-empty, sort by that column: 'cpu' or 'memory'.",
};
const HEADERS_FLAG: FlagSpec = {
  name: 'no-headers',
  type: 'switch',
  help: 'If present, print output without headers.',
};

const node: Verb = {
  name: 'node',
  aliases: ['nodes', 'no'],
  summary: 'Display resource (CPU/memory) usage of nodes.',
  usage: 'top node [NAME | -l label] [flags]',
  flags: [
    SELECTOR_FLAG,
    SORT_FLAG,
    HEADERS_FLAG,
    { name: 'show-capacity', type: 'switch', help: 'Percentages of capacity, not of allocatable.' },
  ],
  run: topNodes,
};

const pod: Verb = {
  name: 'pod',
  aliases: ['pods', 'po'],
  summary: 'Display resource (CPU/memory) usage of pods.',
  usage: 'top pod [NAME | -l label] [flags]',
  flags: [
    SELECTOR_FLAG,
    FIELD_SELECTOR_FLAG,
    ALL_NAMESPACES_FLAG,
    SORT_FLAG,
    HEADERS_FLAG,
    {
      name: 'containers',
      type: 'switch',
      help: 'If present, print usage of containers within a pod.',
    },
    { name: 'sum', type: 'switch', help: 'Print the sum of the resource usage.' },
  ],
  run: topPods,
};

export const top: Verb = {
  name: 'top',
  summary: 'Display resource (CPU/memory) usage.',
  usage: 'top (node|pod) [flags]',
  examples: ['mini kubectl top node', 'mini kubectl top pod --containers'],
  verbs: [node, pod],
};

/** The metrics of one object, or of all that the flags choose. */
async function metricsOf<T>(api: Api, args: Arguments, plural: string): Promise<readonly T[]> {
  const kind = await api.kinds.find(`${plural}.metrics.k8s.io`);
  const [name, ...others] = args.names;
  if (others.length > 0)
    throw new KubectlError(`at most one name may be given, see: mini kubectl top -h`);
  const query = selectionOf(args);
  if (name !== undefined && Object.keys(query).length > 0)
    throw new KubectlError('only one of NAME or selector can be provided');
  const namespace = args.isOn('all-namespaces') ? undefined : api.namespaceOf(kind);
  const place: Place = { kind, namespace };
  if (name !== undefined) return [await api.get<T>({ ...place, name })];
  return (await api.get<{ readonly items: readonly T[] }>(place, { query })).items;
}

function usageOf(usage: NodeMetrics['usage']): Usage {
  return { cpu: cpuNanos(usage['cpu']), memory: bytes(usage['memory']) };
}

function total(usages: readonly Usage[]): Usage {
  return {
    cpu: usages.reduce((sum, { cpu }) => sum + cpu, 0),
    memory: usages.reduce((sum, { memory }) => sum + memory, 0),
  };
}

function cells({ cpu, memory }: Usage): readonly [cpu: string, memory: string] {
  return [`${Math.ceil(cpu / NANOS_PER_MILLI)}m`, `${Math.floor(memory / MEBI)}Mi`];
}

/** The largest first, those with the same by name. */
function sorted<T extends { readonly name: string; readonly usage: Usage }>(
  items: readonly T[],
  by: string,
): readonly T[] {
  const resource: Resource | undefined = by === 'cpu' || by === 'memory' ? by : undefined;
  return items.toSorted(
    (a, b) =>
      (resource ? b.usage[resource] - a.usage[resource] : 0) ||
      (a.name < b.name ? -1 : Number(a.name > b.name)),
  );
}

/** Every cell ends with a tab in kubectl, the last one too. */
function print(
  { args, io }: Call,
  header: readonly string[],
  rows: readonly (readonly string[])[],
) {
  const all = args.isSet('no-headers') ? rows : [header, ...rows];
  io.stdout.write(aligned(all.map((row) => [...row, ''])));
}

async function topNodes(call: Call): Promise<number> {
  const { args, io } = call;
  const api = call.api();
  const metrics = await metricsOf<NodeMetrics>(api, args, 'nodes');
  const kind = await api.kinds.find('nodes');
  const [name] = args.names;
  const nodes = name
    ? [await api.get<Node>({ kind, name })]
    : (await api.get<{ items: readonly Node[] }>({ kind }, { query: selectionOf(args) })).items;
  const known = new Map(nodes.map((one) => [one.metadata.name, one]));
  if (metrics.length === 0 && nodes.length === 0) {
    io.stderr.write('No resources found\n');
    return 0;
  }
  const measured = metrics.map((one) => ({ name: one.metadata.name, usage: usageOf(one.usage) }));
  const rows = sorted(measured, args.text('sort-by')).map((one) => {
    const { status } = known.get(one.name) ?? {};
    const whole = args.isSet('show-capacity') ? status?.capacity : status?.allocatable;
    const [cpu, memory] = cells(one.usage);
    return [
      one.name,
      cpu,
      share(one.usage.cpu, cpuNanos(whole?.['cpu'])),
      memory,
      share(one.usage.memory, bytes(whole?.['memory'])),
    ];
  });
  const missing = [...known.keys()].filter((each) => !measured.some(({ name }) => name === each));
  const unknown = missing.map((each) => [each, ...Array.from({ length: 4 }, () => '<unknown>')]);
  print(
    call,
    ['NAME', 'CPU(cores)', 'CPU(%)', 'MEMORY(bytes)', 'MEMORY(%)'],
    [...rows, ...unknown],
  );
  return 0;
}

function share(used: number, whole: number): string {
  return whole > 0 ? `${Math.floor((used / whole) * 100)}%` : '<unknown>';
}

interface Row {
  readonly cells: readonly string[];
  readonly name: string;
  readonly usage: Usage;
}

async function topPods(call: Call): Promise<number> {
  const { args } = call;
  const api = call.api();
  const metrics = await metricsOf<PodMetrics>(api, args, 'pods');
  if (metrics.length === 0) return await explainNothing(call);
  const isWide = args.isOn('all-namespaces');
  const by = args.text('sort-by');
  const pods = metrics.map((one) => ({
    name: isWide ? `${one.metadata.namespace} ${one.metadata.name}` : one.metadata.name,
    metrics: one,
    usage: total(one.containers.map(({ usage }) => usageOf(usage))),
  }));
  const rows = sorted(pods, by).flatMap((each) => rowsOf(args, each));
  const where = isWide ? ['NAMESPACE'] : [];
  const what = args.isSet('containers') ? ['POD', 'NAME'] : ['NAME'];
  const header = [...where, ...what, 'CPU(cores)', 'MEMORY(bytes)'];
  const lines = rows.map((row) => [...row.cells, ...cells(row.usage)]);
  if (args.isSet('sum')) {
    const blank = Array.from({ length: header.length - 3 }, () => '');
    lines.push(
      [...blank, '', '________', '________'],
      [...blank, '', ...cells(total(rows.map(({ usage }) => usage)))],
    );
  }
  print(call, header, lines);
  return 0;
}

function rowsOf(
  args: Arguments,
  { metrics, usage }: { readonly metrics: PodMetrics; readonly usage: Usage },
): readonly Row[] {
  const { name, namespace = '' } = metrics.metadata;
  const where = args.isOn('all-namespaces') ? [namespace] : [];
  if (!args.isSet('containers')) return [{ cells: [...where, name], name, usage }];
  const containers = metrics.containers.map((one) => ({
    cells: [...where, name, one.name],
    name: one.name,
    usage: usageOf(one.usage),
  }));
  return sorted(containers, args.text('sort-by'));
}

/** No pod, or pods that have not run for long enough to be measured, as kubectl tells them apart. */
async function explainNothing({ args, io, api: open }: Call): Promise<number> {
  const api = open();
  const kind = await api.kinds.find('pods');
  const namespace = args.isOn('all-namespaces') ? undefined : api.namespace;
  const { items } = await api.get<{ items: readonly Pod[] }>(
    { kind, namespace },
    { query: selectionOf(args) },
  );
  const old = items.find(
    ({ metadata }) => Date.now() - Date.parse(metadata.creationTimestamp ?? '') > METRICS_DELAY_MS,
  );
  if (old)
    throw new KubectlError(
      `Metrics not available for pod ${old.metadata.namespace}/${old.metadata.name}`,
    );
  if (items.length > 0) throw new KubectlError('metrics not available yet');
  io.stderr.write(`No resources found${namespace ? ` in ${namespace} namespace.` : ''}\n`);
  return 0;
}
