/** The schemas of an OpenAPI document, made from the table: one a type, with Kubernetes' extensions for lists and patches. */

import type { JsonObject } from './json.ts';
import { type FieldSchema, META, type Shape, type TypeSchema, typeSchema } from './schema.ts';

/** 2 and 3 differ in where schemas are, and in how a reference may carry a description. */
export type Dialect = 2 | 3;

/** Texts by type: its own, and those of its fields. Made by generate.mjs. */
export type Descriptions = Readonly<
  Record<string, readonly [string, Readonly<Record<string, string>>] | undefined>
>;

export const PATCH = `${META}Patch`;

/** Types with a JSON form of their own, which the documents keep as named schemas. */
const NAMED_SCALARS: Readonly<Record<string, { text: string; schema: Record<Dialect, object> }>> = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': {
    text: 'Quantity is a fixed-point number with a decimal or binary suffix: 100m, 1.5, 2Gi.',
    schema: { 2: { type: 'string' }, 3: { oneOf: [{ type: 'string' }, { type: 'number' }] } },
  },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': {
    text: 'IntOrString is a number, or a string such as a port name or a percentage.',
    schema: {
      2: { type: 'string', format: 'int-or-string' },
      3: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
    },
  },
  [`${META}Time`]: {
    text: 'Time is a point in time in RFC 3339 with whole seconds.',
    schema: both({ type: 'string', format: 'date-time' }),
  },
  [`${META}MicroTime`]: {
    text: 'MicroTime is a point in time in RFC 3339 with microseconds.',
    schema: both({ type: 'string', format: 'date-time' }),
  },
  [PATCH]: {
    text: 'Patch is a change to an object in one of the formats of its content type.',
    schema: both({ type: 'object' }),
  },
};

const SCALARS: Readonly<Record<string, object>> = {
  any: {},
  boolean: { type: 'boolean' },
  bytes: { type: 'string', format: 'byte' },
  double: { type: 'number', format: 'double' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  object: { type: 'object' },
  string: { type: 'string' },
};

function both(schema: object): Record<Dialect, object> {
  return { 2: schema, 3: schema };
}

/** Where references of this dialect point. */
export function referenceTo(type: string, dialect: Dialect): JsonObject {
  const place = dialect === 2 ? '#/definitions/' : '#/components/schemas/';
  return { $ref: place + type };
}

/** The schemas of these types and of all that they are made of, by name. */
export function schemasOf(
  types: Iterable<string>,
  { dialect, descriptions }: { dialect: Dialect; descriptions: Descriptions },
): JsonObject {
  const schemas = new Map<string, object>();
  const writer = new SchemaWriter(schemas, { dialect, descriptions });
  for (const type of types) writer.add(type);
  return Object.fromEntries([...schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
}

class SchemaWriter {
  readonly #schemas: Map<string, object>;
  readonly #dialect: Dialect;
  readonly #descriptions: Descriptions;

  constructor(
    schemas: Map<string, object>,
    { dialect, descriptions }: { dialect: Dialect; descriptions: Descriptions },
  ) {
    this.#schemas = schemas;
    this.#dialect = dialect;
    this.#descriptions = descriptions;
  }

  add(type: string): void {
    if (this.#schemas.has(type)) return;
    const named = NAMED_SCALARS[type];
    if (named) {
      this.#schemas.set(type, { description: named.text, ...named.schema[this.#dialect] });
      return;
    }
    this.#schemas.set(type, {});
    this.#schemas.set(type, this.#schemaOf(typeSchema(type)));
  }

  #schemaOf({ name, gvk, isAtomic, unions, fields }: TypeSchema): object {
    const [text = '', texts = {}] = this.#descriptions[name] ?? [];
    const entries = [...fields.values()].map((field) => [
      field.name,
      this.#field(field, texts[field.name]),
    ]);
    const required = [...fields.values()].filter(({ isRequired }) => isRequired);
    return {
      ...(text ? { description: text } : {}),
      ...(name.endsWith('.JSON') || name.includes('JSONSchemaPropsOr') ? {} : { type: 'object' }),
      ...(entries.length > 0 ? { properties: Object.fromEntries(entries) } : {}),
      ...(required.length > 0 ? { required: required.map((field) => field.name) } : {}),
      ...(gvk ? { 'x-kubernetes-group-version-kind': [kindOf(gvk)] } : {}),
      ...(isAtomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
      ...(unions ? { 'x-kubernetes-unions': unions } : {}),
    };
  }

  #field(field: FieldSchema, text: string | undefined): object {
    const { listType, listKeys, mapType, mergeKey, patchStrategy } = field;
    const description = text ?? this.#ownText(field.shape);
    const value = this.#value(field.shape);
    const isReference = this.#dialect === 3 && '$ref' in value;
    return {
      ...(description ? { description } : {}),
      // Version 3.0 ignores what stands beside a reference.
      ...(isReference ? { allOf: [value] } : value),
      ...(field.default === undefined ? {} : { default: field.default }),
      ...(listType ? { 'x-kubernetes-list-type': listType } : {}),
      ...(listKeys.length > 0 ? { 'x-kubernetes-list-map-keys': listKeys } : {}),
      ...(mapType ? { 'x-kubernetes-map-type': mapType } : {}),
      ...(mergeKey ? { 'x-kubernetes-patch-merge-key': mergeKey } : {}),
      ...(patchStrategy.length > 0
        ? { 'x-kubernetes-patch-strategy': patchStrategy.join(',') }
        : {}),
    };
  }

  #ownText(shape: Shape): string | undefined {
    return shape.kind === 'object' ? this.#descriptions[shape.type.name]?.[0] : undefined;
  }

  #value(shape: Shape): object {
    switch (shape.kind) {
      case 'list':
        return { type: 'array', items: this.#value(shape.item) };
      case 'map':
        return { type: 'object', additionalProperties: this.#value(shape.value) };
      case 'object':
        return this.#reference(shape.type.name);
      default:
        return shape.type.includes('.')
          ? this.#reference(shape.type)
          : { ...SCALARS[shape.scalar] };
    }
  }

  #reference(type: string): object {
    this.add(type);
    return referenceTo(type, this.#dialect);
  }
}

/** A kind as the extensions write it. */
export function kindOf([group, version, kind]: readonly [string, string, string]): JsonObject {
  return { group, version, kind };
}
