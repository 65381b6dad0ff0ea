/**
 * What a request is about, from its method, path and query, as Kubernetes' RequestInfo has it: the input of
 * authorization and of dispatch. Pure.
 */

import type { Attributes, ServerRequest } from './contract.ts';

export interface Route extends Attributes {
  /** The path behind `…/proxy`, with its leading slash, as the client escaped it; empty if nothing follows. */
  readonly trailing: string;
}

const VERBS: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Subresources of a namespace object itself; any other word after its name is a resource in it. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(['status', 'finalize']);

/** Reads a request's route. A path that names no resource yields a non-resource route. */
export function routeOf(request: ServerRequest): Route {
  const parts = request.path.split('/').filter((part) => part !== '');
  const root = resourceRoot(parts);
  if (!root || root.rest.length === 0) return nonResource(request);
  const isLegacyWatch = root.rest[0] === 'watch' && root.rest.length > 1;
  const target = targetOf((isLegacyWatch ? root.rest.slice(1) : root.rest).map(decode));
  const name = target.name || nameFromSelector(request.query);
  const fieldSelector = request.query.get('fieldSelector');
  const labelSelector = request.query.get('labelSelector');
  return {
    user: request.user,
    isResource: true,
    group: root.group,
    version: root.version,
    path: request.path,
    ...target,
    trailing: trailingOf(request.path),
    verb: isLegacyWatch ? 'watch' : verbOf(request, target.name),
    name,
    ...(fieldSelector === null ? {} : { fieldSelector }),
    ...(labelSelector === null ? {} : { labelSelector }),
  };
}

interface Root {
  readonly group: string;
  readonly version: string;
  readonly rest: readonly string[];
}

function resourceRoot(parts: readonly string[]): Root | undefined {
  const [prefix, first, second] = parts;
  if (prefix === 'api' && first) return { group: '', version: first, rest: parts.slice(2) };
  if (prefix === 'apis' && first && second) {
    return { group: first, version: second, rest: parts.slice(3) };
  }
  return undefined;
}

interface Target {
  readonly namespace: string;
  readonly resource: string;
  readonly name: string;
  readonly subresource: string;
}

function targetOf(rest: readonly string[]): Target {
  const [first = '', second = '', third = ''] = rest;
  const isInNamespace =
    first === 'namespaces' && rest.length > 2 && !NAMESPACE_SUBRESOURCES.has(third);
  if (isInNamespace) return { namespace: second, ...named(rest.slice(2)) };
  const target = named(rest);
  return { namespace: first === 'namespaces' ? target.name : '', ...target };
}

function named(rest: readonly string[]): Omit<Target, 'namespace'> {
  const [resource = '', name = '', subresource = ''] = rest;
  return { resource, name, subresource };
}

/** Goes on to another server, so it stays as the client wrote it: escapes are not undone, slashes not merged. */
function trailingOf(path: string): string {
  return PROXIED.exec(path)?.[1] ?? '';
}

const PROXIED =
  /^\/+(?:api|apis\/+[^/]+)\/+[^/]+(?:\/+namespaces\/+[^/]+)?\/+[^/]+\/+[^/]+\/+proxy(\/.*)$/;

function verbOf({ method, query }: ServerRequest, name: string): string {
  const verb = VERBS[method] ?? method.toLowerCase();
  if (name) return verb;
  if (verb === 'get') return isTrue(query.get('watch')) ? 'watch' : 'list';
  return verb === 'delete' ? 'deletecollection' : verb;
}

/** A list narrowed to one name is authorized as that name, as in Kubernetes. */
function nameFromSelector(query: URLSearchParams): string {
  const match = /^metadata\.name==?([^,!=]+)$/.exec(query.get('fieldSelector') ?? '');
  return match?.[1] ?? '';
}

function nonResource(request: ServerRequest): Route {
  return {
    user: request.user,
    verb: request.method.toLowerCase(),
    isResource: false,
    resource: '',
    group: '',
    version: '',
    subresource: '',
    namespace: '',
    name: '',
    path: request.path,
    trailing: '',
  };
}

/** Whether a query value switches a boolean on: present and not 0 or false. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // Malformed escapes name nothing that exists; the answer is NotFound.
  }
}
