/**
 * What the table of API facts says of each type, compiled lazily: the shape of a field, list and map semantics, merge
 * keys, protobuf numbers. Decoding, protobuf, patches, server-side apply and OpenAPI are all driven by it.
 */

import table from '../../embedded/api-types.json' with { type: 'json' };

/** How a value without fields of its own looks in JSON. */
export type ScalarName =
  | 'any'
  | 'boolean'
  | 'bytes'
  | 'double'
  | 'int32'
  | 'int64'
  | 'intOrString'
  | 'microTime'
  | 'object'
  | 'quantity'
  | 'string'
  | 'time';

export type Shape =
  | { readonly kind: 'scalar'; readonly scalar: ScalarName; readonly type: string }
  | { readonly kind: 'object'; readonly type: TypeSchema }
  | { readonly kind: 'list'; readonly item: Shape }
  | { readonly kind: 'map'; readonly value: Shape };

export interface FieldSchema {
  readonly name: string;
  readonly shape: Shape;
  readonly isRequired: boolean;
  /** Numbers from the message inwards: more than one when the field sits in embedded messages; empty = JSON only. */
  readonly pb: readonly number[];
  /**
   * What Kubernetes does with a zero value (0, "", false, empty list or map): 'kept' = a pointer, so zero has a
   * meaning of its own; 'given' = always there; 'dropped' = the same as absent.
   */
  readonly zero: 'kept' | 'given' | 'dropped';
  /** Undefined = not said, which is the same as atomic. */
  readonly listType: 'atomic' | 'map' | 'set' | undefined;
  readonly listKeys: readonly string[];
  readonly mergeKey: string | undefined;
  /** Parts of the strategic merge patch strategy: merge, retainKeys, replace. */
  readonly patchStrategy: readonly string[];
  readonly mapType: string | undefined;
  /** Whether apply owns this map or object as one whole. */
  readonly isAtomic: boolean;
  readonly default: unknown;
}

export interface TypeSchema {
  readonly name: string;
  readonly gvk: readonly [group: string, version: string, kind: string] | undefined;
  readonly isAtomic: boolean;
  /** Groups of fields of which the discriminator names the one set; as published in OpenAPI. */
  readonly unions: readonly unknown[] | undefined;
  readonly fields: ReadonlyMap<string, FieldSchema>;
}

interface FieldFacts {
  readonly type: string;
  readonly pb?: number | readonly number[];
  readonly required?: boolean;
  readonly zero?: 'kept' | 'given';
  readonly listType?: 'atomic' | 'map' | 'set';
  readonly listKeys?: readonly string[];
  readonly mergeKey?: string;
  readonly patchStrategy?: string;
  readonly mapType?: string;
  readonly default?: unknown;
}

interface TypeFacts {
  readonly gvk?: readonly [string, string, string];
  readonly mapType?: string;
  readonly scalar?: string;
  readonly unions?: readonly unknown[];
  readonly fields?: Readonly<Record<string, FieldFacts>>;
}

const FACTS = table as unknown as Readonly<Record<string, TypeFacts>>;

export const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const QUANTITY = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
const MICRO_TIME = `${META}MicroTime`;

const SCALARS: Readonly<Record<string, ScalarName>> = {
  any: 'any',
  boolean: 'boolean',
  'integer:int32': 'int32',
  'integer:int64': 'int64',
  'number:double': 'double',
  object: 'object',
  string: 'string',
  'string:byte': 'bytes',
  'string:date-time': 'time',
  'string:int-or-string': 'intOrString',
};

const compiled = new Map<string, TypeSchema>();
let byKind: Map<string, string> | undefined;

/** Whether the table has a type of this full name. */
export function hasType(name: string): boolean {
  return Object.hasOwn(FACTS, name);
}

/** All there is to know, as text: what depends on the table changes when it does. */
export function tableText(): string {
  return JSON.stringify(FACTS);
}

/** The schema of a type by its full name, e.g. 'io.k8s.api.core.v1.Pod'. Throws for names not in the table. */
export function typeSchema(name: string): TypeSchema {
  const known = compiled.get(name);
  if (known) return known;
  const facts = Object.hasOwn(FACTS, name) ? FACTS[name] : undefined;
  if (!facts) throw new Error(`No API type "${name}"`);
  const schema = compileType(name, facts);
  compiled.set(name, schema);
  return schema;
}

/** The full name of the type of a kind; undefined when the table has none. */
export function typeOfKind(apiVersion: string, kind: string): string | undefined {
  byKind ??= indexKinds();
  const found = byKind.get(`${apiVersion}/${kind}`);
  if (found !== undefined) return found;
  // Options and tables are served under every group's version.
  return hasType(META + kind) ? META + kind : undefined;
}

function indexKinds(): Map<string, string> {
  const index = new Map<string, string>();
  for (const [name, { gvk }] of Object.entries(FACTS)) {
    if (gvk) index.set(`${gvk[0] ? `${gvk[0]}/` : ''}${gvk[1]}/${gvk[2]}`, name);
  }
  return index;
}

/** The shape of a whole object of this type: a message, or one of the few scalar types (Time, Quantity, …). */
export function shapeOfType(name: string): Shape {
  return shapeOf(name);
}

function compileType(name: string, facts: TypeFacts): TypeSchema {
  let fields: ReadonlyMap<string, FieldSchema> | undefined;
  return {
    name,
    gvk: facts.gvk,
    isAtomic: facts.mapType === 'atomic',
    unions: facts.unions,
    // At first use, as types refer to each other in circles.
    get fields() {
      fields ??= new Map(
        Object.entries(facts.fields ?? {}).map(([field, its]) => [field, compileField(field, its)]),
      );
      return fields;
    },
  };
}

function compileField(name: string, facts: FieldFacts): FieldSchema {
  const { pb = [], patchStrategy } = facts;
  const shape = shapeOf(facts.type);
  return {
    name,
    shape,
    isRequired: facts.required === true,
    pb: typeof pb === 'number' ? [pb] : pb,
    zero: facts.zero ?? 'dropped',
    listType: facts.listType,
    listKeys: facts.listKeys ?? [],
    mergeKey: facts.mergeKey,
    patchStrategy: patchStrategy ? patchStrategy.split(',') : [],
    mapType: facts.mapType,
    isAtomic: isAtomic(shape, facts.mapType),
    default: facts.default,
  };
}

function isAtomic(shape: Shape, mapType: string | undefined): boolean {
  if (mapType) return mapType === 'atomic';
  return shape.kind === 'object' && shape.type.isAtomic;
}

function shapeOf(type: string): Shape {
  if (type.startsWith('[]')) return { kind: 'list', item: shapeOf(type.slice(2)) };
  if (type.startsWith('map ')) return { kind: 'map', value: shapeOf(type.slice(4)) };
  const scalar = SCALARS[type];
  if (scalar) return { kind: 'scalar', scalar, type };
  if (type === QUANTITY) return { kind: 'scalar', scalar: 'quantity', type };
  if (type === MICRO_TIME) return { kind: 'scalar', scalar: 'microTime', type };
  const named = FACTS[type]?.scalar;
  const known = named === undefined ? undefined : SCALARS[named];
  if (known) return { kind: 'scalar', scalar: known, type };
  return { kind: 'object', type: typeSchema(type) };
}
