/** Objects with every field of their type set, made from the schema. */
import table from '../../../embedded/api-types.json' with { type: 'json' };
import { type Shape, type TypeSchema, typeSchema } from '../../../pkg/api/schema.ts';

/** Types that refer to themselves end here. */
const DEPTH_MAX = 12;

const SCALARS: Readonly<Record<string, unknown>> = {
  any: { free: ['json', 1] },
  boolean: true,
  bytes: 'AAEC/w==',
  double: 1.25,
  int32: -7,
  int64: 9007199254740991,
  intOrString: '50%',
  microTime: '2026-01-02T03:04:05.678901Z',
  object: { free: 'json' },
  quantity: '1500m',
  string: 'text ünï',
  time: '2026-01-02T03:04:05Z',
};

/** Types whose JSON form is not that of their shape. */
const SPECIAL: Readonly<Record<string, unknown>> = {
  JSONSchemaPropsOrArray: [{ type: 'string' }],
  JSONSchemaPropsOrBool: true,
  JSONSchemaPropsOrStringArray: ['a'],
  CustomResourceSubresourceStatus: {},
};

/** The full names of the types that are kinds of their own. */
export function typesWithKind(): readonly string[] {
  return Object.keys(table).filter((name) => typeSchema(name).gvk !== undefined);
}

/** An object of this type with apiVersion and kind, and every field that protobuf can carry. */
export function sampleOf(schema: TypeSchema): Readonly<Record<string, unknown>> {
  const [group, version, kind] = schema.gvk ?? ['', 'v1', ''];
  const apiVersion = group ? `${group}/${version}` : version;
  return { apiVersion, kind, ...fieldsOf(schema, 0) };
}

function fieldsOf(schema: TypeSchema, depth: number): Readonly<Record<string, unknown>> {
  const fields = [...schema.fields.values()].filter(({ pb }) => pb.length > 0);
  const entries = fields.map(({ name, shape }) => [name, sampleValue(shape, depth + 1)]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function sampleValue(shape: Shape, depth: number): unknown {
  if (shape.kind === 'list') {
    const item = sampleValue(shape.item, depth);
    return item === undefined ? undefined : [item, item];
  }
  if (shape.kind === 'map') {
    const value = sampleValue(shape.value, depth);
    return value === undefined ? undefined : { one: value, two: value };
  }
  if (shape.kind === 'object') {
    const isRecursive = shape.type.name.endsWith('.JSONSchemaProps') && depth > 5;
    return isRecursive || depth > DEPTH_MAX ? undefined : fieldsOf(shape.type, depth);
  }
  const name = shape.type.slice(shape.type.lastIndexOf('.') + 1);
  return name in SPECIAL ? SPECIAL[name] : SCALARS[shape.scalar];
}
