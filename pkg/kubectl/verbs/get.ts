/** `kubectl get`: tables from the server, or objects in the form that -o names; -w follows the changes. */

import { StatusError } from '../../api/errors.ts';
import type { Api, Live, Place } from '../api.ts';
import type { Arguments } from '../arguments.ts';
import { throwAll } from '../each.ts';
import { FILENAME_FLAGS, readManifests } from '../files.ts';
import { singularText } from '../kinds.ts';
import { KubectlError } from '../kubectl-error.ts';
import { MANAGED_FIELDS_FLAG, OUTPUT_FLAG, printerOf } from '../output/output.ts';
import { sortedBy } from '../output/sort.ts';
import { TABLE_ACCEPT, type Table, type TableOptions, tableText } from '../output/table.ts';
import { unlessMissing } from '../problems.ts';
import {
  ALL_NAMESPACES_FLAG,
  FIELD_SELECTOR_FLAG,
  listAll,
  placeOf,
  SELECTOR_FLAG,
  selectionOf,
  type Target,
  targetsOf,
} from '../targets.ts';
import type { Call, Io, Verb } from '../verb.ts';
import { watchTargets } from './get-watch.ts';

export const get: Verb = {
  name: 'get',
  summary: 'Display one or many resources.',
  usage: 'get (TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE/NAME ...) [flags]',
  examples: [
    'mini kubectl get pods',
    'mini kubectl get pods,services -A -o wide',
    'mini kubectl get deployment/web -o yaml',
    "mini kubectl get pods -o jsonpath='{.items[*].metadata.name}'",
    'mini kubectl get pods -w',
  ],
  flags: [
    OUTPUT_FLAG,
    ALL_NAMESPACES_FLAG,
    SELECTOR_FLAG,
    FIELD_SELECTOR_FLAG,
    MANAGED_FIELDS_FLAG,
    ...FILENAME_FLAGS,
    {
      name: 'watch',
      short: 'w',
      type: 'switch',
      help: 'After listing/getting the requested object, watch for changes.',
    },
    {
      name: 'watch-only',
      type: 'switch',
      help: 'Watch for changes to the requested objects, without listing/getting first.',
    },
    {
      name: 'output-watch-events',
      type: 'switch',
      help: 'Output watch event objects when --watch or --watch-only is used.',
    },
    { name: 'show-labels', type: 'switch', help: 'Show all labels as the last column.' },
    { name: 'show-kind', type: 'switch', help: 'List the resource type for the objects.' },
    {
      name: 'label-columns',
      short: 'L',
      type: 'list',
      help: 'Labels that are going to be presented as columns, separated by commas.',
    },
    { name: 'no-headers', type: 'switch', help: "Don't print headers." },
    { name: 'sort-by', type: 'text', help: 'Sort by this field, a JSONPath expression.' },
    {
      name: 'ignore-not-found',
      type: 'switch',
      help: 'Treat objects that do not exist as a success.',
    },
    { name: 'chunk-size', type: 'number', default: '500', help: 'Accepted; lists come in chunks.' },
    { name: 'raw', type: 'text', help: 'URI to request from the server; prints the answer.' },
    { name: 'subresource', type: 'text', help: 'Fetch this subresource, e.g. status or scale.' },
  ],
  run: (call) => (call.args.has('raw') ? getRaw(call) : getObjects(call)),
};

async function getRaw({ args, io, api }: Call): Promise<number> {
  const [path = '', search = ''] = args.text('raw').split('?');
  const query = Object.fromEntries(new URLSearchParams(search));
  const chunks = await api().transport.stream({ method: 'GET', path, query, accept: '*/*' });
  for await (const chunk of chunks) io.stdout.write(chunk);
  return 0;
}

async function getObjects({ args, io, api: open }: Call): Promise<number> {
  const api = open();
  const printer = printerOf(args);
  const targets = await wanted(api, args, io);
  if (args.isSet('watch') || args.isSet('watch-only'))
    return watchTargets({ api, args, io, targets, printer });
  if (!printer) return printTables({ api, args, io, targets });
  const failures: StatusError[] = [];
  const objects = await sortedObjects({ api, args, failures }, targets);
  const isSingle = targets.every(({ name }) => name !== undefined);
  const [only] = objects;
  if (isSingle && targets.length === 1) {
    if (only) io.stdout.write(printer.one(only));
  } else if (objects.length > 0 || failures.length === 0) io.stdout.write(printer.many(objects));
  throwAll(failures);
  return 0;
}

async function wanted(api: Api, args: Arguments, { stdin }: Io): Promise<readonly Target[]> {
  const files = args.list('filename');
  if (files.length === 0) return targetsOf(api, { names: args.names, verb: 'get' });
  const manifests = await readManifests({ files, isRecursive: args.isSet('recursive'), stdin });
  return Promise.all(
    manifests.map(async ({ object }) => ({
      kind: await api.kinds.ofObject(object.apiVersion, object.kind),
      name: object.metadata.name ?? '',
    })),
  );
}

async function sortedObjects(
  { api, args, failures }: Fetching,
  targets: readonly Target[],
): Promise<readonly Live[]> {
  const objects: Live[] = [];
  for (const target of targets) {
    const place = placeOfTarget(api, args, target);
    try {
      if (target.name === undefined)
        objects.push(...(await listAll(api, place, selectionOf(args))));
      else {
        const object = await found(args, () => api.get<Live>(place));
        if (object) objects.push(object);
      }
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      failures.push(error);
    }
  }
  const path = args.optional('sort-by');
  return path ? sortedBy(objects, { path, objectOf: (object) => object }) : objects;
}

function placeOfTarget(api: Api, args: Arguments, { kind, name }: Target): Place {
  const isAllNamespaces = args.isSet('all-namespaces');
  if (name !== undefined && isAllNamespaces)
    throw new KubectlError('a resource cannot be retrieved by name across all namespaces');
  const subresource = args.optional('subresource');
  return {
    ...placeOf(api, { kind, isAllNamespaces }),
    ...(name === undefined ? {} : { name }),
    ...(subresource ? { subresource } : {}),
  };
}

async function found<T>(args: Arguments, read: () => Promise<T>): Promise<T | undefined> {
  return args.isSet('ignore-not-found') ? unlessMissing(read()) : read();
}

interface Printing {
  readonly api: Api;
  readonly args: Arguments;
  readonly io: Io;
  readonly targets: readonly Target[];
}

async function printTables({ api, args, io, targets }: Printing): Promise<number> {
  const groups = grouped(targets);
  const isMixed = groups.length > 1;
  // What can be printed is; what failed is told at the end.
  const failures: StatusError[] = [];
  let printed = 0;
  for (const group of groups) {
    const table = await fetchGroup({ api, args, failures }, group);
    if (!table?.rows?.length) continue;
    const options = tableOptions(args, group, isMixed);
    const isApart = printed > 0 && options.hasHeaders;
    io.stdout.write(`${isApart ? '\n' : ''}${tableText(table, options)}`);
    printed += 1;
  }
  throwAll(failures);
  if (printed === 0 && !args.isSet('ignore-not-found'))
    io.stderr.write(nothingFound(api, args, targets));
  return 0;
}

function nothingFound(api: Api, args: Arguments, targets: readonly Target[]): string {
  const isScoped = !args.isSet('all-namespaces') && targets.some(({ kind }) => kind.isNamespaced);
  return isScoped ? `No resources found in ${api.namespace} namespace.\n` : 'No resources found\n';
}

/** Targets of one kind that stand together make one table. */
function grouped(targets: readonly Target[]): readonly (readonly [Target, ...Target[]])[] {
  const groups: [Target, ...Target[]][] = [];
  for (const target of targets) {
    const last = groups.at(-1);
    if (last?.[0].kind === target.kind) last.push(target);
    else groups.push([target]);
  }
  return groups;
}

/** How the table of a group is to look. */
function tableOptions(
  args: Arguments,
  [{ kind }]: readonly [Target, ...Target[]],
  isMixed: boolean,
): TableOptions {
  const hasKind = isMixed || args.isSet('show-kind');
  return {
    isWide: args.optional('output') === 'wide',
    hasHeaders: !args.isSet('no-headers'),
    hasNamespace: args.isSet('all-namespaces') && kind.isNamespaced,
    hasLabels: args.isSet('show-labels'),
    labelColumns: args.list('label-columns'),
    ...(hasKind ? { prefix: `${singularText(kind)}/` } : {}),
  };
}

interface Fetching {
  readonly api: Api;
  readonly args: Arguments;
  readonly failures: StatusError[];
}

async function fetchGroup(
  { api, args, failures }: Fetching,
  group: readonly Target[],
): Promise<Table | undefined> {
  const sortPath = args.optional('sort-by');
  const query = sortPath ? { includeObject: 'Object' } : {};
  const tables: Table[] = [];
  for (const target of group) {
    try {
      tables.push(...(await tablesOf({ api, args, query }, target)));
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      failures.push(error);
    }
  }
  const [first] = tables;
  if (!first) return undefined;
  const rows = tables.flatMap((table) => table.rows ?? []);
  const sorted = sortPath
    ? sortedBy(rows, { path: sortPath, objectOf: ({ object }) => object })
    : rows;
  return { ...first, rows: sorted };
}

interface Asking {
  readonly api: Api;
  readonly args: Arguments;
  readonly query: Readonly<Record<string, string>>;
}

async function tablesOf({ api, args, query }: Asking, target: Target): Promise<readonly Table[]> {
  const place = placeOfTarget(api, args, target);
  if (target.name === undefined) return listTables(api, place, { ...query, ...selectionOf(args) });
  const table = await found(args, () => api.get<Table>(place, { accept: TABLE_ACCEPT, query }));
  return table ? [table] : [];
}

async function listTables(
  api: Api,
  place: Place,
  query: Readonly<Record<string, string>>,
): Promise<readonly Table[]> {
  const tables: Table[] = [];
  for (let next: string | undefined = ''; next !== undefined; ) {
    const table: Table = await api.get<Table>(place, {
      accept: TABLE_ACCEPT,
      query: { ...query, limit: '500', ...(next ? { continue: next } : {}) },
    });
    tables.push(table);
    next = table.metadata?.continue || undefined;
  }
  return tables;
}
