/** What a command line names: `pods`, `pod a b`, `pod/a svc/b`, `pods,services`, `all`. */

import type { Api, Live, Place } from './api.ts';
import type { Arguments } from './arguments.ts';
import type { FlagSpec } from './flag.ts';
import { type Kind, resourceText } from './kinds.ts';
import { KubectlError } from './kubectl-error.ts';

export interface Target {
  readonly kind: Kind;
  /** Absent = all of the kind. */
  readonly name?: string;
}

export const SELECTOR_FLAG: FlagSpec = {
  name: 'selector',
  short: 'l',
  type: 'text',
  help: 'Selector (label query) to filter on, supports =, ==, !=, in, notin (e.g. -l key1=value1,key2=value2).',
};
export const FIELD_SELECTOR_FLAG: FlagSpec = {
  name: 'field-selector',
  type: 'text',
  help: 'Selector (field query) to filter on, supports =, == and != (e.g. --field-selector key1=value1).',
};
export const ALL_NAMESPACES_FLAG: FlagSpec = {
  name: 'all-namespaces',
  short: 'A',
  type: 'switch',
  help: 'If present, the objects of all namespaces.',
};

/** Reads the arguments of a verb. `verb` is named in messages. */
export async function targetsOf(
  api: Api,
  { names, verb }: { readonly names: readonly string[]; readonly verb: string },
): Promise<readonly Target[]> {
  const [first, ...rest] = names;
  if (first === undefined)
    throw new KubectlError(
      `Required resource not specified: name the type of resource to ${verb}.\nUse "mini kubectl api-resources" for a complete list of supported resources.\nSee 'mini kubectl ${verb} -h' for help and examples`,
    );
  if (names.some((name) => name.includes('/')))
    return Promise.all(names.map((name) => slashed(api, name)));
  const kinds = await kindsOf(api, first);
  if (rest.length === 0) return kinds.map((kind) => ({ kind }));
  return kinds.flatMap((kind) => rest.map((name) => ({ kind, name })));
}

/** Reads `TYPE NAME` or `TYPE/NAME`, of `defaultKind` where only a name stands. */
export async function oneTarget(
  api: Api,
  names: readonly string[],
  defaultKind?: string,
): Promise<Required<Target>> {
  const isBare = names.length === 1 && defaultKind !== undefined && !names[0]?.includes('/');
  const all = isBare ? [defaultKind, ...names] : names;
  const [target, ...others] = await targetsOf(api, { names: all, verb: 'use' });
  if (!target?.name || others.length > 0) throw new KubectlError('exactly one TYPE/NAME is needed');
  return { kind: target.kind, name: target.name };
}

/** Where the objects of a kind are looked for. */
export function placeOf(
  api: Api,
  { kind, isAllNamespaces = false }: { kind: Kind; isAllNamespaces?: boolean },
): Place {
  return { kind, namespace: isAllNamespaces ? undefined : api.namespaceOf(kind) };
}

const CHUNK = '500';

interface ListPage {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata?: { readonly continue?: string };
  readonly items?: readonly Live[];
}

/** Every object of a list, page by page; each with its apiVersion and kind. */
export async function listAll(
  api: Api,
  place: Place,
  query: Readonly<Record<string, string>> = {},
): Promise<readonly Live[]> {
  const found: Live[] = [];
  const { kind } = place;
  const apiVersion = kind.group ? `${kind.group}/${kind.version}` : kind.version;
  for (let next: string | undefined = ''; next !== undefined; ) {
    const page: ListPage = await api.get<ListPage>(place, {
      query: { ...query, limit: CHUNK, ...(next ? { continue: next } : {}) },
    });
    for (const item of page.items ?? []) found.push({ ...item, apiVersion, kind: kind.kind });
    next = page.metadata?.continue || undefined;
  }
  return found;
}

/** Label and field selectors of the flags as query parameters. */
export function selectionOf(args: Arguments): Record<string, string> {
  const given = (name: string) => (args.knows(name) ? args.optional(name) : undefined);
  const labelSelector = given('selector');
  const fieldSelector = given('field-selector');
  return {
    ...(labelSelector ? { labelSelector } : {}),
    ...(fieldSelector ? { fieldSelector } : {}),
  };
}

async function slashed(api: Api, text: string): Promise<Target> {
  const [type = '', name = '', ...more] = text.split('/');
  if (!text.includes('/'))
    throw new KubectlError(
      "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
    );
  if (!type || !name || more.length > 0)
    throw new KubectlError('arguments in resource/name form must have a single resource and name');
  return { kind: await api.kinds.find(type), name };
}

async function kindsOf(api: Api, text: string): Promise<readonly Kind[]> {
  const kinds = new Map<string, Kind>();
  for (const name of text.split(',').filter(Boolean)) {
    const members = await api.kinds.category(name);
    for (const kind of members.length > 0 ? members : [await api.kinds.find(name)])
      kinds.set(resourceText(kind), kind);
  }
  return [...kinds.values()];
}
