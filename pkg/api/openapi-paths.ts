/** The paths of a resource row: its collection, its objects and their subresources, each with the operations it has. */

import type { JsonObject } from './json.ts';
import {
  NAME,
  NAMESPACE,
  type Operation,
  PATH,
  type Parameter,
  PRETTY,
  parameter,
  QUERY,
  writeOperation,
  writeParameter,
} from './openapi-operations.ts';
import { type Dialect, PATCH } from './openapi-schemas.ts';
import { ALL_VERBS, type Resource } from './resource.ts';
import { hasType, META, typeSchema } from './schema.ts';

/** What the documents say of a row. */
export type DocumentedRow = Pick<
  Resource,
  'gvk' | 'names' | 'namespaced' | 'type' | 'verbs' | 'subresources'
>;

/** Texts of an operation by action. */
const TEXTS: Readonly<Record<string, string>> = {
  get: 'read the specified',
  list: 'list or watch objects of kind',
  post: 'create',
  put: 'replace the specified',
  patch: 'partially update the specified',
  delete: 'delete',
  deletecollection: 'delete collection of',
};

/** First word of the operation's id by action. */
const IDS: Readonly<Record<string, string>> = {
  get: 'read',
  list: 'list',
  post: 'create',
  put: 'replace',
  patch: 'patch',
  delete: 'delete',
  deletecollection: 'delete',
};

const CODES: Readonly<Record<string, readonly number[]>> = {
  post: [200, 201, 202],
  put: [200, 201],
  patch: [200, 201],
  delete: [200, 202],
};

/** Subresources whose body is a kind of its own. */
const POSTED: Readonly<Record<string, string>> = {
  binding: 'io.k8s.api.core.v1.Binding',
  eviction: 'io.k8s.api.policy.v1.Eviction',
  token: 'io.k8s.api.authentication.v1.TokenRequest',
};

/** Subresources that carry streams; their query comes from the fields of an options type. */
const CONNECTED: Readonly<Record<string, readonly string[]>> = {
  attach: ['get', 'post'],
  exec: ['get', 'post'],
  portforward: ['get', 'post'],
  proxy: ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'],
};

/** Subresources that are another view of the object itself. */
const METHODS_OF_VIEWS: Readonly<Record<string, readonly string[]>> = {
  finalize: ['put'],
};

/** The prefix of a group version's paths. */
export function prefixOf(group: string, version: string): string {
  return group ? `/apis/${group}/${version}` : `/api/${version}`;
}

/** The paths of a row, and the types that they mention. */
export function pathsOfRow(
  row: DocumentedRow,
  dialect: Dialect,
): { readonly paths: JsonObject; readonly types: ReadonlySet<string> } {
  return new PathWriter(row, dialect).write();
}

class PathWriter {
  readonly #row: DocumentedRow;
  readonly #dialect: Dialect;
  readonly #paths: Record<string, JsonObject> = {};
  readonly #types = new Set<string>();

  constructor(row: DocumentedRow, dialect: Dialect) {
    this.#row = row;
    this.#dialect = dialect;
  }

  write(): { paths: JsonObject; types: ReadonlySet<string> } {
    const { gvk, names, namespaced, type, verbs = ALL_VERBS, subresources = [] } = this.#row;
    const prefix = prefixOf(gvk[0], gvk[1]);
    const scope = namespaced ? `${prefix}/namespaces/{namespace}` : prefix;
    const collection = `${scope}/${names.plural}`;
    const object = `${collection}/{name}`;
    const wherever = namespaced ? [NAMESPACE] : [];
    this.#types.add(type);
    this.#add(collection, [...wherever, PRETTY], this.#collectionOperations(verbs));
    this.#add(object, [NAME, ...wherever, PRETTY], this.#objectOperations(verbs));
    if (namespaced && verbs.includes('list')) {
      const all = this.#operation('list', { suffix: 'ForAllNamespaces', isAnywhere: true });
      const query = [...all.query, PRETTY];
      this.#add(`${prefix}/${names.plural}`, query, { get: { ...all, query: [] } });
    }
    for (const name of subresources) this.#subresource(object, { name, wherever });
    return { paths: this.#paths, types: this.#types };
  }

  #add(
    path: string,
    parameters: readonly Parameter[],
    operations: Readonly<Record<string, Operation>>,
  ): void {
    const entries = Object.entries(operations);
    if (entries.length === 0) return;
    for (const [, { body, result }] of entries) {
      if (body) this.#types.add(body);
      if (result) this.#types.add(result);
    }
    this.#paths[path] = {
      ...Object.fromEntries(
        entries.map(([method, its]) => [method, writeOperation(its, this.#dialect)]),
      ),
      parameters: parameters.map((its) => writeParameter(its, this.#dialect)),
    };
  }

  #collectionOperations(verbs: readonly string[]): Readonly<Record<string, Operation>> {
    const deleteAll = { prefix: 'Collection' };
    return {
      ...(verbs.includes('list') ? { get: this.#operation('list') } : {}),
      ...(verbs.includes('create') ? { post: this.#operation('post') } : {}),
      ...(verbs.includes('deletecollection')
        ? { delete: this.#operation('deletecollection', deleteAll) }
        : {}),
    };
  }

  #objectOperations(verbs: readonly string[]): Readonly<Record<string, Operation>> {
    return {
      ...(verbs.includes('get') ? { get: this.#operation('get') } : {}),
      ...(verbs.includes('update') ? { put: this.#operation('put') } : {}),
      ...(verbs.includes('delete') ? { delete: this.#operation('delete') } : {}),
      ...(verbs.includes('patch') ? { patch: this.#operation('patch') } : {}),
    };
  }

  #subresource(
    object: string,
    { name, wherever }: { name: string; wherever: readonly Parameter[] },
  ): void {
    const path = `${object}/${name}`;
    const parameters = [NAME, ...wherever, PRETTY];
    const posted = POSTED[name];
    if (CONNECTED[name]) this.#connect(path, { name, parameters: [NAME, ...wherever] });
    else if (posted) {
      this.#add(path, parameters, { post: this.#operation('post', { name, type: posted }) });
    } else if (name === 'log') {
      const { result: _, ...operation } = this.#operation('get', { name });
      this.#add(path, [...parameters, ...optionsOf('PodLogOptions')], { get: operation });
    } else {
      const type = name === 'scale' ? 'io.k8s.api.autoscaling.v1.Scale' : this.#row.type;
      const methods = METHODS_OF_VIEWS[name] ?? ['get', 'put', 'patch'];
      const operations = methods.map((method) => [method, this.#operation(method, { name, type })]);
      this.#add(path, parameters, Object.fromEntries(operations));
    }
  }

  #connect(
    path: string,
    { name, parameters }: { name: string; parameters: readonly Parameter[] },
  ): void {
    const kind = this.#row.gvk[2];
    const optionsKind = `${kind}${name === 'portforward' ? 'PortForward' : capital(name)}Options`;
    const gvk = ['', 'v1', optionsKind] as const;
    const operationsFor = (suffix: string) =>
      Object.fromEntries(
        (CONNECTED[name] ?? []).map((method): [string, Operation] => [
          method,
          {
            id: `connect${this.#idPrefix()}${capital(method)}${this.#scoped()}${kind}${capital(name)}${suffix}`,
            text: `connect ${method.toUpperCase()} requests to ${name} of ${kind}`,
            tag: this.#tag(),
            action: 'connect',
            gvk,
            query: [],
            codes: [200],
          },
        ]),
      );
    const query = optionsOf(optionsKind);
    this.#add(path, [...parameters, ...query], operationsFor(''));
    if (name !== 'proxy') return;
    this.#add(`${path}/{path}`, [...parameters, PATH, ...query], operationsFor('WithPath'));
  }

  #operation(action: string, options: OperationOptions = {}): Operation {
    const { name = '', prefix = '', suffix = '', isAnywhere = false } = options;
    const { type, gvk } = this.#row;
    const its = options.type ?? type;
    const scope = isAnywhere ? '' : this.#scoped();
    return {
      id: `${IDS[action] ?? action}${this.#idPrefix()}${prefix}${scope}${gvk[2]}${capital(name)}${suffix}`,
      text: textOf(action, { name, kind: gvk[2] }),
      tag: this.#tag(),
      action,
      gvk: typeSchema(its).gvk ?? gvk,
      query: QUERY[action] ?? [],
      ...bodyOf(action, its),
      result: resultOf(action, its),
      codes: CODES[action] ?? [200],
    };
  }

  #scoped(): string {
    return this.#row.namespaced ? 'Namespaced' : '';
  }

  #idPrefix(): string {
    const [group, version] = this.#row.gvk;
    return groupWords(group).map(capital).join('') + capital(version);
  }

  #tag(): string {
    const [first = '', ...rest] = groupWords(this.#row.gvk[0]);
    return `${first}${rest.map(capital).join('')}_${this.#row.gvk[1]}`;
  }
}

interface OperationOptions {
  /** Of the subresource. */
  readonly name?: string;
  readonly type?: string;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly isAnywhere?: boolean;
}

function bodyOf(action: string, type: string): Pick<Operation, 'body' | 'isBodyRequired'> {
  if (action === 'post' || action === 'put') return { body: type, isBodyRequired: true };
  if (action === 'patch') return { body: PATCH, isBodyRequired: true };
  const isDelete = action === 'delete' || action === 'deletecollection';
  return isDelete ? { body: `${META}DeleteOptions` } : {};
}

function textOf(action: string, { name, kind }: { name: string; kind: string }): string {
  const text = TEXTS[action] ?? action;
  const isOne = action === 'post' || action === 'delete';
  if (!isOne) return `${name ? text.replace('the', `${name} of the`) : text} ${kind}`;
  return `${text} ${name ? `${name} of ` : ''}${/^[AEIOU]/.test(kind) ? 'an' : 'a'} ${kind}`;
}

function resultOf(action: string, type: string): string {
  if (action.startsWith('delete')) return `${META}Status`;
  return action === 'list' && hasType(`${type}List`) ? `${type}List` : type;
}

/** 'rbac.authorization.k8s.io' -> rbac, authorization; the core group is called core. */
function groupWords(group: string): readonly string[] {
  return group ? group.replace(/\.k8s\.io$/, '').split('.') : ['core'];
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** The fields of an options type as query parameters. */
function optionsOf(kind: string): readonly Parameter[] {
  const type = `io.k8s.api.core.v1.${kind}`;
  if (!hasType(type)) return [];
  const fields = [...typeSchema(type).fields.values()];
  return fields
    .filter(({ name }) => name !== 'apiVersion' && name !== 'kind')
    .map(({ name, shape }) => {
      const scalar = shape.kind === 'scalar' ? shape.scalar : 'string';
      if (scalar === 'boolean') return parameter(name, 'boolean', name);
      return parameter(name, scalar.startsWith('int') ? 'integer' : 'string', name);
    });
}
