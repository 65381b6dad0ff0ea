/** `kubectl get -w`: what is there, then every change, until the command is ended. */

import { type Api, type Live, type Place, pathOf } from '../api.ts';
import type { Arguments } from '../arguments.ts';
import { KubectlError } from '../kubectl-error.ts';
import type { Printer } from '../output/output.ts';
import { TABLE_ACCEPT, type Table, TableStream } from '../output/table.ts';
import { placeOf, selectionOf, type Target } from '../targets.ts';
import type { Io } from '../verb.ts';

export interface Watching {
  readonly api: Api;
  readonly args: Arguments;
  readonly io: Io;
  readonly targets: readonly Target[];
  readonly printer: Printer | undefined;
}

/** What a list and a table have alike. */
interface Page {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly items?: readonly Live[];
}

/** Prints until the signal that ends the program; resolves when the server ends the watch. */
export async function watchTargets(watching: Watching): Promise<number> {
  const { api, args, io, targets, printer } = watching;
  const [target, ...others] = targets;
  if (!target || others.length > 0)
    throw new KubectlError('you may only specify a single resource type or name with --watch');
  const isAllNamespaces = args.isSet('all-namespaces');
  const place = placeOf(api, { kind: target.kind, isAllNamespaces });
  const show = printer ? objectText(printer, args) : rowText(watching, target);
  const query = queryOf(args, target);
  const accept = printer ? 'application/json' : TABLE_ACCEPT;
  const state = await api.get<Page & Table>(place, { accept, query });
  if (target.name !== undefined && (state.items ?? state.rows ?? []).length === 0)
    await api.get({ ...place, name: target.name }); // Says NotFound.
  if (!args.isSet('watch-only')) io.stdout.write(show.state(state));
  return follow({ watching, place, show, accept, query }, state.metadata?.resourceVersion ?? '');
}

interface Following {
  readonly watching: Watching;
  readonly place: Place;
  readonly show: Shown;
  readonly accept: string;
  readonly query: Readonly<Record<string, string>>;
}

async function follow(
  { watching: { api, io }, place, show, accept, query }: Following,
  from: string,
): Promise<number> {
  let resourceVersion = from;
  const { signal } = new AbortController();
  // Servers end watches after a while; the next one goes on where this one ended.
  for (;;) {
    const events = api.transport.watch(
      {
        method: 'GET',
        path: pathOf(place),
        accept,
        query: { ...query, watch: 'true', resourceVersion, allowWatchBookmarks: 'true' },
      },
      signal,
    );
    for await (const { type, object } of events) {
      resourceVersion = versionOf(object) ?? resourceVersion;
      if (type !== 'BOOKMARK') io.stdout.write(show.event(type, object));
    }
  }
}

function queryOf(args: Arguments, { name }: Target): Record<string, string> {
  const query = selectionOf(args);
  return name === undefined ? query : { ...query, fieldSelector: `metadata.name=${name}` };
}

interface Shown {
  state(state: Page & Table): string;
  event(type: string, object: unknown): string;
}

function objectText(printer: Printer, args: Arguments): Shown {
  const one = (type: string, object: Live) =>
    args.isSet('output-watch-events')
      ? printer.one(decode<Live>({ type, object }))
      : printer.one(object);
  return {
    state: ({ items = [] }) => items.map((item) => one('ADDED', item)).join(''),
    event: (type, object) => one(type, decode<Live>(object)),
  };
}

function rowText({ args }: Watching, { kind }: Target): Shown {
  const table = new TableStream({
    isWide: args.optional('output') === 'wide',
    hasHeaders: !args.isSet('no-headers'),
    hasNamespace: args.isSet('all-namespaces') && kind.isNamespaced,
    hasLabels: args.isSet('show-labels'),
    labelColumns: args.list('label-columns'),
  });
  const first = (type: string) =>
    args.isSet('output-watch-events') ? { header: 'EVENT', cell: type } : undefined;
  return {
    state: (state) => table.print(state, first('ADDED')),
    event: (type, object) => table.print(decode<Table>(object), first(type)),
  };
}

/** The version of an object, or of the object in a Table's row. */
function versionOf(object: unknown): string | undefined {
  const { metadata, rows } = decode<Page & Table>(object);
  return rows?.[0]?.object?.metadata.resourceVersion ?? metadata?.resourceVersion;
}

/** What the server sends in the form that was asked for. */
function decode<T>(value: unknown): T {
  return value as T;
}
