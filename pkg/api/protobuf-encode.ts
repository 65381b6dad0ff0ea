/** Writes objects in the JSON shape of their type as protobuf messages, driven by the table: the inverse of protobuf-decode.ts. */

import protobuf from 'protobufjs/minimal.js';
import { getKey, isObject, type JsonObject } from './json.ts';
import { type Plan, planOf } from './protobuf-plan.ts';
import { type Shape, type TypeSchema, typeSchema } from './schema.ts';

type Writer = protobuf.Writer;

/** Wire types of protobuf. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;

const JSON_SCHEMA_PROPS =
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps';

/** Encodes one message. Fields that the type does not have are left out. */
export function encodeMessage(schema: TypeSchema, object: JsonObject): Uint8Array {
  const writer = protobuf.Writer.create();
  writeFields(planOf(schema), { object, writer });
  return writer.finish();
}

function writeFields(
  plan: Plan,
  { object, writer }: { object: JsonObject; writer: Writer },
): boolean {
  let isAny = false;
  for (const [number, node] of plan) {
    if (node.kind === 'embedded') {
      const inner = protobuf.Writer.create();
      if (!writeFields(node.plan, { object, writer: inner })) continue;
      writer.uint32(tagOf(number, LENGTH_DELIMITED)).bytes(inner.finish());
    } else {
      const value = getKey(object, node.field.name);
      if (value === undefined || value === null) continue;
      writeField(node.field.shape, { number, value, writer });
    }
    isAny = true;
  }
  return isAny;
}

interface Slot {
  readonly number: number;
  readonly value: unknown;
  readonly writer: Writer;
}

function writeField(shape: Shape, { number, value, writer }: Slot): void {
  if (shape.kind === 'list') {
    for (const item of listOf(value)) writeValue(shape.item, { number, value: item, writer });
  } else if (shape.kind === 'map') {
    for (const [key, item] of Object.entries(objectOf(value))) {
      const entry = protobuf.Writer.create();
      entry.uint32(tagOf(1, LENGTH_DELIMITED)).string(key);
      writeValue(shape.value, { number: 2, value: item, writer: entry });
      writer.uint32(tagOf(number, LENGTH_DELIMITED)).bytes(entry.finish());
    }
  } else writeValue(shape, { number, value, writer });
}

function writeValue(shape: Shape, { number, value, writer }: Slot): void {
  if (shape.kind === 'scalar') {
    writeScalar(shape, { number, value, writer });
    return;
  }
  const message =
    shape.kind === 'object'
      ? encodeMessage(shape.type, objectOf(value))
      : wrapped((inner) => writeField(shape, { number: 1, value, writer: inner }));
  writer.uint32(tagOf(number, LENGTH_DELIMITED)).bytes(message);
}

function writeScalar(
  { scalar, type }: Shape & { kind: 'scalar' },
  { number, value, writer }: Slot,
): void {
  switch (scalar) {
    case 'string':
      writer.uint32(tagOf(number, LENGTH_DELIMITED)).string(String(value));
      return;
    case 'boolean':
      writer.uint32(tagOf(number, VARINT)).bool(value === true);
      return;
    case 'int32':
      writer.uint32(tagOf(number, VARINT)).int32(Number(value));
      return;
    case 'int64':
      writer.uint32(tagOf(number, VARINT)).int64(Number(value));
      return;
    case 'double':
      writer.uint32(tagOf(number, FIXED64)).double(Number(value));
      return;
    case 'bytes':
      writer.uint32(tagOf(number, LENGTH_DELIMITED)).bytes(Buffer.from(String(value), 'base64'));
      return;
    default: {
      const message = encodeSpecial({ scalar, type }, value);
      writer.uint32(tagOf(number, LENGTH_DELIMITED)).bytes(message);
    }
  }
}

/** Values that JSON writes as one scalar or as free JSON, and protobuf as a message. */
function encodeSpecial(
  { scalar, type }: { scalar: string; type: string },
  value: unknown,
): Uint8Array {
  if (scalar === 'time' || scalar === 'microTime') return encodeTime(String(value));
  if (scalar === 'quantity') {
    return wrapped((inner) => inner.uint32(tagOf(1, LENGTH_DELIMITED)).string(String(value)));
  }
  if (scalar === 'intOrString') return encodeIntOrString(value);
  if (type.startsWith(JSON_SCHEMA_PROPS)) return encodeSchemaOr(value);
  // An empty message: CRDs' status subresource.
  if (type.endsWith('.CustomResourceSubresourceStatus')) return new Uint8Array();
  return wrapped((inner) =>
    inner.uint32(tagOf(1, LENGTH_DELIMITED)).bytes(Buffer.from(JSON.stringify(value))),
  );
}

function encodeTime(value: string): Uint8Array {
  const ms = Date.parse(value);
  if (Number.isNaN(ms)) return new Uint8Array();
  const fraction = /\.(\d+)/.exec(value)?.[1] ?? '';
  const nanos = Number(fraction.slice(0, 9).padEnd(9, '0'));
  return wrapped((inner) => {
    inner.uint32(tagOf(1, VARINT)).int64(Math.floor(ms / 1000));
    inner.uint32(tagOf(2, VARINT)).int32(nanos);
  });
}

function encodeIntOrString(value: unknown): Uint8Array {
  const isNumber = typeof value === 'number';
  return wrapped((inner) => {
    inner.uint32(tagOf(1, VARINT)).int64(isNumber ? 0 : 1);
    inner.uint32(tagOf(2, VARINT)).int32(isNumber ? value : 0);
    inner.uint32(tagOf(3, LENGTH_DELIMITED)).string(isNumber ? '' : String(value));
  });
}

/** JSONSchemaPropsOr{Array,Bool,StringArray}. */
function encodeSchemaOr(value: unknown): Uint8Array {
  const schema = typeSchema(JSON_SCHEMA_PROPS);
  return wrapped((inner) => {
    if (typeof value === 'boolean') inner.uint32(tagOf(1, VARINT)).bool(value);
    else if (isObject(value)) {
      inner.uint32(tagOf(1, LENGTH_DELIMITED)).bytes(encodeMessage(schema, value));
    } else {
      for (const item of listOf(value)) {
        const tagged = inner.uint32(tagOf(2, LENGTH_DELIMITED));
        if (isObject(item)) tagged.bytes(encodeMessage(schema, item));
        else tagged.string(String(item));
      }
    }
  });
}

function wrapped(write: (inner: Writer) => unknown): Uint8Array {
  const inner = protobuf.Writer.create();
  write(inner);
  return inner.finish();
}

function tagOf(number: number, wire: number): number {
  return (number << 3) | wire;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}
