/** The objects that a verb is to change: from files, by name, by selector, or all of a kind. */

import type { Api, Place } from './api.ts';
import type { Arguments } from './arguments.ts';
import { FILENAME_FLAGS, locate, readManifests } from './files.ts';
import type { FlagSpec } from './flag.ts';
import { KubectlError } from './kubectl-error.ts';
import { listAll, placeOf, SELECTOR_FLAG, selectionOf, type Target, targetsOf } from './targets.ts';
import type { Io } from './verb.ts';

export type NamedPlace = Place & { readonly name: string };

export const CHOICE_FLAGS: readonly FlagSpec[] = [
  ...FILENAME_FLAGS,
  SELECTOR_FLAG,
  { name: 'all', type: 'switch', help: 'Select all resources of the specified types.' },
];

export interface Choosing {
  readonly api: Api;
  readonly args: Arguments;
  readonly io: Io;
  /** The arguments that name objects; those of the verb when absent. */
  readonly names?: readonly string[];
  readonly verb: string;
  /** Set where --selector is not about which objects are meant. */
  readonly isSelectorOwn?: boolean;
  /** Set where a kind alone means all of its objects. */
  readonly isWhole?: boolean;
}

/** The places of what is chosen. Throws a KubectlError when nothing says which objects are meant. */
export async function choosePlaces(choosing: Choosing): Promise<readonly NamedPlace[]> {
  const { api, args, io, names = args.names, verb } = choosing;
  const files = args.list('filename');
  if (files.length > 0) {
    const isRecursive = args.isSet('recursive');
    const located = await locate(api, await readManifests({ files, isRecursive, stdin: io.stdin }));
    return located.map(({ place }) => place);
  }
  const places: NamedPlace[] = [];
  for (const target of await targetsOf(api, { names, verb }))
    places.push(...(await placesOf(choosing, target)));
  return places;
}

async function placesOf(
  { api, args, isSelectorOwn = false, isWhole = false }: Choosing,
  { kind, name }: Target,
): Promise<NamedPlace[]> {
  const selection = isSelectorOwn ? {} : selectionOf(args);
  const isSelected = Object.keys(selection).length > 0 || args.isOn('all');
  const place = placeOf(api, { kind, isAllNamespaces: args.isOn('all-namespaces') });
  if (name !== undefined) {
    if (isSelected) throw new KubectlError('name cannot be provided when a selector is specified');
    return [{ ...place, name }];
  }
  if (!isSelected && !isWhole)
    throw new KubectlError('resource(s) were provided, but no name was specified');
  const objects = await listAll(api, place, selection);
  return objects.map(({ metadata }) => ({
    ...place,
    namespace: metadata.namespace,
    name: metadata.name,
  }));
}
