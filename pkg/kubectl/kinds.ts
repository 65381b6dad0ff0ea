/** The kinds that users name: those of the built-in table, and, for any other name, what the server's discovery lists. */

import { ALL_VERBS, type Resource } from '../api/resource.ts';
import { allResources } from '../api/resources.ts';
import type { Transport } from '../client/transport.ts';
import { KubectlError } from './kubectl-error.ts';

export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
  readonly short: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
}

const DISCOVERY = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const VERSION = /^v\d+(?:(?:alpha|beta)\d+)?$/;

export class Kinds {
  readonly #transport: Transport;
  readonly #builtIn = allResources.map(kindOfRow);
  #discovered: Promise<readonly Kind[]> | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The kind of a name: plural, singular, short, with group or with version and group. */
  async find(name: string): Promise<Kind> {
    const known = matching(this.#builtIn, name) ?? matching(await this.all(), name);
    if (!known) throw new KubectlError(`the server doesn't have a resource type "${name}"`);
    return known;
  }

  /** The kind of an object. */
  async ofObject(apiVersion: string, kind: string): Promise<Kind> {
    const isIt = (one: Kind) => one.kind === kind && apiVersionOf(one) === apiVersion;
    const known = this.#builtIn.find(isIt) ?? (await this.all()).find(isIt);
    if (!known)
      throw new KubectlError(
        `no matches for kind "${kind}" in version "${apiVersion}"\nensure CRDs are installed first`,
      );
    return known;
  }

  /** The kinds of a category such as `all`, in the order of discovery; empty when it is none. */
  async category(name: string): Promise<readonly Kind[]> {
    const isKnown = this.#builtIn.some(({ categories }) => categories.includes(name));
    if (!isKnown) return [];
    return (await this.all()).filter(({ categories }) => categories.includes(name));
  }

  /** Every kind that the server serves, in its preferred version. */
  all(): Promise<readonly Kind[]> {
    this.#discovered ??= this.#discover();
    return this.#discovered;
  }

  async #discover(): Promise<readonly Kind[]> {
    const answers = await Promise.all(
      ['/api', '/apis'].map((path) =>
        this.#transport.request({ method: 'GET', path, accept: DISCOVERY }),
      ),
    );
    return answers.flatMap((answer) => decodeGroups(answer).flatMap(kindsOfGroup));
  }
}

/** `v1` or `apps/v1`. */
export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group ? `${group}/${version}` : version;
}

/** `pods` or `deployments.apps`. */
export function resourceText({ plural, group }: Kind): string {
  return group ? `${plural}.${group}` : plural;
}

/** `pod` or `deployment.apps`, as kubectl names what it has done something to. */
export function singularText({ kind, group }: Kind): string {
  return group ? `${kind.toLowerCase()}.${group}` : kind.toLowerCase();
}

function matching(kinds: readonly Kind[], name: string): Kind | undefined {
  const [first = '', ...rest] = name.toLowerCase().split('.');
  const isNamed = ({ plural, singular, short, kind }: Kind) =>
    plural === first || singular === first || short.includes(first) || kind.toLowerCase() === first;
  const named = kinds.filter(isNamed);
  if (rest.length === 0) return named[0];
  const [version = '', ...group] = rest;
  if (VERSION.test(version))
    return named.find((kind) => kind.version === version && kind.group === group.join('.'));
  return (
    named.find((kind) => kind.group === rest.join('.')) ??
    named.find((kind) => kind.group.startsWith(`${rest.join('.')}.`))
  );
}

function kindOfRow({ gvk: [group, version, kind], names, namespaced, verbs }: Resource): Kind {
  const { plural, singular, short = [], categories = [] } = names;
  return {
    group,
    version,
    kind,
    plural,
    singular,
    short,
    categories,
    isNamespaced: namespaced,
    verbs: verbs ?? ALL_VERBS,
  };
}

interface Group {
  readonly metadata?: { readonly name?: string };
  readonly versions: readonly {
    readonly version: string;
    readonly resources?: readonly {
      readonly resource: string;
      readonly responseKind?: { readonly kind: string };
      readonly scope: string;
      readonly singularResource?: string;
      readonly shortNames?: readonly string[];
      readonly categories?: readonly string[];
      readonly verbs?: readonly string[];
    }[];
  }[];
}

function decodeGroups(answer: unknown): readonly Group[] {
  const { items } = answer as { readonly items?: readonly Group[] };
  if (!items) throw new KubectlError('the server does not serve aggregated discovery');
  return items;
}

/** The first version that has a resource is the preferred one. */
function kindsOfGroup({ metadata, versions }: Group): readonly Kind[] {
  const kinds = new Map<string, Kind>();
  for (const { version, resources = [] } of versions) {
    for (const row of resources) {
      if (kinds.has(row.resource)) continue;
      kinds.set(row.resource, {
        group: metadata?.name ?? '',
        version,
        plural: row.resource,
        singular: row.singularResource ?? '',
        kind: row.responseKind?.kind ?? '',
        isNamespaced: row.scope === 'Namespaced',
        short: row.shortNames ?? [],
        categories: row.categories ?? [],
        verbs: row.verbs ?? [],
      });
    }
  }
  return [...kinds.values()];
}
