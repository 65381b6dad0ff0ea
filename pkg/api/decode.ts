/**
 * From unknown JSON to an object of a type of the table, as Kubernetes' decoder would take it: types checked, unknown
 * fields pruned and reported, nulls and meaningless zero values dropped, times and quantities canonical. Called by
 * the API server for every body and every patched object, so it walks the compiled schema once.
 */

import { badRequest } from './errors.ts';
import { isObject, type JsonObject, setKey } from './json.ts';
import { decodeScalar, describeValue, ScalarError, zeroOf } from './scalars.ts';
import { type FieldSchema, type Shape, type TypeSchema, typeSchema } from './schema.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface Decoded {
  readonly object: JsonObject;
  /** One for each unknown or repeated field; empty unless the mode is Warn. */
  readonly warnings: string[];
}

/** A value that does not fit its field; becomes a BadRequest naming the object's kind. */
class MismatchError extends Error {}

/** How strict to be, and the paths of fields that the body named twice, which a parsed value no longer shows. */
export interface Strictness {
  readonly mode: FieldValidation;
  readonly duplicates: readonly string[];
}

/**
 * Decodes `value` as an object of the type with this full name. apiVersion and kind are filled in when absent. Throws
 * BadRequest for values of a wrong type, and in mode Strict for unknown and repeated fields.
 */
export function decodeObject(
  type: string,
  value: unknown,
  strictness: FieldValidation | Strictness,
): Decoded {
  const { mode, duplicates } =
    typeof strictness === 'string' ? { mode: strictness, duplicates: [] } : strictness;
  const schema = typeSchema(type);
  const decoder = new Decoder({ isPartial: false });
  const object = decodeTop(schema, () => decoder.fields(schema, value));
  const problems = problemsOf(decoder.unknownPaths, duplicates);
  if (problems.length === 0 || mode === 'Ignore') return { object, warnings: [] };
  if (mode === 'Warn') return { object, warnings: problems };
  throw badRequest(cannotHandle(schema, `strict decoding error: ${problems.join(', ')}`));
}

/** An unknown field is not reported for being there twice as well. */
function problemsOf(unknown: readonly string[], duplicates: readonly string[]): string[] {
  const repeated = duplicates.filter(
    (path) => !unknown.some((field) => path === field || /^[.[]/.test(restAfter(path, field))),
  );
  return [
    ...unknown.map((path) => `unknown field "${path}"`),
    ...repeated.map((path) => `duplicate field "${path}"`),
  ];
}

function restAfter(path: string, start: string): string {
  return path.startsWith(start) ? path.slice(start.length) : '';
}

/**
 * Decodes the configuration of a server-side apply: only what it names, nothing filled in or dropped. Throws BadRequest
 * for fields that the type does not have.
 */
export function decodePartial(type: string, value: unknown): JsonObject {
  const schema = typeSchema(type);
  const decoder = new Decoder({ isPartial: true });
  const object = decodeTop(schema, () => decoder.fields(schema, value));
  const [first] = decoder.unknownPaths;
  if (first === undefined) return object;
  throw badRequest(
    `failed to create typed patch object (${describe(object)}): .${first}: field not declared in schema`,
  );
}

/** `namespace/name; apps/v1, Kind=Deployment`. */
function describe(object: JsonObject): string {
  const { namespace = '', name = '' } = isObject(object['metadata']) ? object['metadata'] : {};
  return `${String(namespace)}/${String(name)}; ${String(object['apiVersion'])}, Kind=${String(object['kind'])}`;
}

function decodeTop(schema: TypeSchema, decode: () => JsonObject): JsonObject {
  try {
    const decoded = decode();
    if (!schema.gvk) return decoded;
    const [group, version, kind] = schema.gvk;
    const apiVersion = group ? `${group}/${version}` : version;
    return { apiVersion, kind, ...decoded };
  } catch (error) {
    if (error instanceof MismatchError) throw badRequest(cannotHandle(schema, error.message));
    throw error;
  }
}

function cannotHandle({ name, gvk }: TypeSchema, why: string): string {
  const kind = gvk?.[2] ?? lastPart(name);
  const version = gvk?.[1] ?? 'v1';
  return `${kind} in version "${version}" cannot be handled as a ${kind}: ${why}`;
}

/** One walk over one body: knows where it is, for messages, and which fields it did not know. */
class Decoder {
  readonly unknownPaths: string[] = [];
  readonly #isPartial: boolean;
  readonly #path: (string | number)[] = [];
  readonly #types: TypeSchema[] = [];

  constructor({ isPartial }: { readonly isPartial: boolean }) {
    this.#isPartial = isPartial;
  }

  fields(schema: TypeSchema, value: unknown): Record<string, unknown> {
    if (!isObject(value)) throw this.#mismatch(value, goType({ kind: 'object', type: schema }));
    this.#types.push(schema);
    const result: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      this.#path.push(key);
      const field = schema.fields.get(key);
      if (!field) this.unknownPaths.push(pathText(this.#path));
      else if (value[key] !== null && value[key] !== undefined) {
        const decoded = this.#shape(field.shape, value[key]);
        if (this.#isKept(field, decoded)) result[key] = decoded;
      }
      this.#path.pop();
    }
    this.#types.pop();
    if (!this.#isPartial) fillGiven(schema, result);
    return result;
  }

  #isKept({ zero, shape }: FieldSchema, value: unknown): boolean {
    return this.#isPartial || zero !== 'dropped' || !isZero(value, shape);
  }

  #shape(shape: Shape, value: unknown): unknown {
    switch (shape.kind) {
      case 'object':
        return this.fields(shape.type, value);
      case 'list':
        return this.#list(shape, value);
      case 'map':
        return this.#map(shape, value);
      default:
        return this.#leaf(shape, value);
    }
  }

  #list(shape: Shape & { kind: 'list' }, value: unknown): unknown[] {
    if (!Array.isArray(value)) throw this.#mismatch(value, goType(shape));
    return value.map((item: unknown, index) => {
      this.#path.push(index);
      const decoded = this.#item(shape.item, item);
      this.#path.pop();
      return decoded;
    });
  }

  #map(shape: Shape & { kind: 'map' }, value: unknown): JsonObject {
    if (!isObject(value)) throw this.#mismatch(value, goType(shape));
    const result: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      this.#path.push(key);
      setKey(result, key, this.#item(shape.value, value[key]));
      this.#path.pop();
    }
    return result;
  }

  #item(shape: Shape, item: unknown): unknown {
    if (item !== null) return this.#shape(shape, item);
    if (shape.kind === 'scalar') return zeroOf(shape.scalar);
    return shape.kind === 'list' ? [] : this.#shape(shape, {});
  }

  #leaf(shape: Shape & { kind: 'scalar' }, value: unknown): unknown {
    try {
      return decodeScalar(shape.scalar, value);
    } catch (error) {
      if (!(error instanceof ScalarError)) throw error;
      if (error.expected !== undefined) throw this.#mismatch(value, error.expected);
      throw new MismatchError(error.message, { cause: error });
    }
  }

  /** Go's words: the innermost struct, then the names along the path without list indices. */
  #mismatch(value: unknown, expected: string): MismatchError {
    const owner = this.#types.at(-1);
    const names = this.#path.filter((part) => typeof part === 'string').join('.');
    const where = owner ? `Go struct field ${lastPart(owner.name)}.${names}` : 'Go value';
    return new MismatchError(
      `json: cannot unmarshal ${describeValue(value)} into ${where} of type ${expected}`,
    );
  }
}

/** Objects that are part of another in Go, not pointed to, are always there: spec, status, resources, strategy. */
function fillGiven(schema: TypeSchema, result: Record<string, unknown>): void {
  for (const [name, type] of givenObjects(schema)) {
    if (result[name] !== undefined) continue;
    const empty: Record<string, unknown> = {};
    fillGiven(type, empty);
    result[name] = empty;
  }
}

const given = new WeakMap<TypeSchema, readonly (readonly [string, TypeSchema])[]>();

function givenObjects(schema: TypeSchema): readonly (readonly [string, TypeSchema])[] {
  const known = given.get(schema);
  if (known) return known;
  const found: [string, TypeSchema][] = [];
  for (const { name, zero, shape } of schema.fields.values()) {
    if (zero === 'given' && shape.kind === 'object') found.push([name, shape.type]);
  }
  given.set(schema, found);
  return found;
}

/** Whether Kubernetes would not write this value of a field that is no pointer. */
export function isZero(value: unknown, shape: Shape): boolean {
  if (shape.kind === 'list') return Array.isArray(value) && value.length === 0;
  if (shape.kind === 'map') return isObject(value) && Object.keys(value).length === 0;
  if (shape.kind === 'object') return false;
  const { scalar } = shape;
  // Their types in Go have no zero value of their own in JSON, or are kept as they came.
  if (scalar === 'intOrString' || scalar === 'quantity' || scalar === 'any') return false;
  return value === 0 || value === '' || value === false;
}

const GO_SCALARS: Readonly<Record<string, string>> = {
  boolean: 'bool',
  bytes: '[]uint8',
  double: 'float64',
  int32: 'int32',
  int64: 'int64',
  string: 'string',
};

function goType(shape: Shape): string {
  switch (shape.kind) {
    case 'list':
      return `[]${goType(shape.item)}`;
    case 'map':
      return `map[string]${goType(shape.value)}`;
    case 'object':
      return shape.type.name.split('.').slice(-2).join('.');
    default:
      return GO_SCALARS[shape.scalar] ?? shape.type.split('.').slice(-2).join('.');
  }
}

function pathText(path: readonly (string | number)[]): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      return index === 0 ? part : `.${part}`;
    })
    .join('');
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}
