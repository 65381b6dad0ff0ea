/**
 * Reads protobuf messages straight into the JSON shape of their type, driven by the table. Values that JSON writes
 * otherwise (times, quantities, int-or-string, raw JSON, bytes) are translated here; encode is in protobuf-encode.ts.
 */

import protobuf from 'protobufjs/minimal.js';
import { isZero } from './decode.ts';
import { setKey } from './json.ts';
import { type Plan, planOf } from './protobuf-plan.ts';
import { wholeSeconds } from './scalars.ts';
import { type FieldSchema, type Shape, type TypeSchema, typeSchema } from './schema.ts';

type Reader = protobuf.Reader;

/** Deeper nesting is refused; the deepest sensible objects (CRD schemas) stay far below. */
const DEPTH_MAX = 200;

/** Wire type of length-delimited values: strings, messages, packed numbers. */
const LENGTH_DELIMITED = 2;

const JSON_SCHEMA_PROPS =
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps';

/** Called for raw bytes that hold an object in the envelope instead of JSON. */
export type DecodeEnvelope = (bytes: Uint8Array) => unknown;

/** Decodes one message; throws when the bytes are no message of this type. */
export function decodeMessage(
  schema: TypeSchema,
  bytes: Uint8Array,
  decodeEnvelope: DecodeEnvelope,
): Record<string, unknown> {
  return new MessageDecoder(decodeEnvelope).message(schema, protobuf.Reader.create(bytes));
}

class MessageDecoder {
  readonly #decodeEnvelope: DecodeEnvelope;
  #depth = 0;

  constructor(decodeEnvelope: DecodeEnvelope) {
    this.#decodeEnvelope = decodeEnvelope;
  }

  /** Reads to the end of the reader. */
  message(schema: TypeSchema, reader: Reader): Record<string, unknown> {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw new Error(`nested deeper than ${DEPTH_MAX} messages`);
    const into: Record<string, unknown> = {};
    this.#fields(planOf(schema), { reader, into });
    for (const field of schema.fields.values()) dropZero(field, into);
    this.#depth -= 1;
    return into;
  }

  #fields(plan: Plan, { reader, into }: { reader: Reader; into: Record<string, unknown> }): void {
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      const node = plan.get(tag >>> 3);
      if (!node) reader.skipType(tag & 7);
      else if (node.kind === 'embedded') this.#fields(node.plan, { reader: part(reader), into });
      else this.#field(node.field, { reader, into, wire: tag & 7 });
    }
  }

  #field(
    { name, shape }: FieldSchema,
    { reader, into, wire }: { reader: Reader; into: Record<string, unknown>; wire: number },
  ): void {
    if (shape.kind === 'list') {
      const list = listIn(into, name);
      if (isPacked(shape.item, wire)) {
        const inner = part(reader);
        while (inner.pos < inner.len) list.push(this.#value(shape.item, inner));
      } else list.push(this.#value(shape.item, reader));
    } else if (shape.kind === 'map') this.#entry(shape.value, { reader, into: mapIn(into, name) });
    else into[name] = this.#value(shape, reader);
  }

  /** A map is a repeated message of key (1) and value (2). */
  #entry(shape: Shape, { reader, into }: { reader: Reader; into: Record<string, unknown> }): void {
    const inner = part(reader);
    let key = '';
    let value: unknown;
    while (inner.pos < inner.len) {
      const tag = inner.uint32();
      if (tag >>> 3 === 1) key = inner.string();
      else if (tag >>> 3 === 2) value = this.#value(shape, inner);
      else inner.skipType(tag & 7);
    }
    setKey(into, key, value ?? (shape.kind === 'scalar' ? '' : {}));
  }

  #value(shape: Shape, reader: Reader): unknown {
    if (shape.kind === 'object') return this.message(shape.type, part(reader));
    if (shape.kind === 'list') return this.#wrappedList(shape.item, part(reader));
    if (shape.kind === 'map') throw new Error('a map cannot be an item');
    return this.#scalar(shape, reader);
  }

  /** A list inside a map is a message of its own with the items in field 1. */
  #wrappedList(item: Shape, reader: Reader): unknown[] {
    const items: unknown[] = [];
    eachField(reader, {
      1: () => items.push(this.#value(item, reader)),
    });
    return items;
  }

  #scalar({ scalar, type }: Shape & { kind: 'scalar' }, reader: Reader): unknown {
    switch (scalar) {
      case 'string':
        return reader.string();
      case 'boolean':
        return reader.bool();
      case 'int32':
        return reader.int32();
      case 'int64':
        return numberOf(reader.int64());
      case 'double':
        return reader.double();
      case 'bytes':
        return Buffer.from(reader.bytes()).toString('base64');
      case 'time':
      case 'microTime':
        return decodeTime(part(reader), scalar);
      case 'quantity':
        return decodeQuantity(part(reader));
      case 'intOrString':
        return decodeIntOrString(part(reader));
      default:
        return this.#raw(type, part(reader));
    }
  }

  #raw(type: string, reader: Reader): unknown {
    if (type.startsWith(JSON_SCHEMA_PROPS)) return this.#schemaOr(type, reader);
    let raw: Uint8Array = new Uint8Array();
    eachField(reader, { 1: () => (raw = reader.bytes()) });
    if (raw.length === 0) return type.endsWith('.JSON') ? null : {};
    if (raw[0] === 0x6b && raw[3] === 0) return this.#decodeEnvelope(raw);
    return JSON.parse(Buffer.from(raw).toString('utf8'));
  }

  /** JSONSchemaPropsOr{Array,Bool,StringArray}: a schema, or what else the name says. */
  #schemaOr(type: string, reader: Reader): unknown {
    const schema = typeSchema(JSON_SCHEMA_PROPS);
    const message = () => this.message(schema, part(reader));
    let one: unknown;
    let isAllowed = false;
    const items: unknown[] = [];
    const isBool = type.endsWith('OrBool');
    const handlers = isBool
      ? { 1: () => (isAllowed = reader.bool()), 2: () => (one = message()) }
      : {
          1: () => (one = message()),
          2: () => items.push(type.endsWith('OrArray') ? message() : reader.string()),
        };
    eachField(reader, handlers);
    return one ?? (isBool ? isAllowed : items);
  }
}

/** Calls the handler of each field by its number; skips the others. */
function eachField(reader: Reader, handlers: Readonly<Record<number, () => unknown>>): void {
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const handle = handlers[tag >>> 3];
    if (handle) handle();
    else reader.skipType(tag & 7);
  }
}

/** A reader of the length-delimited value that comes next. */
function part(reader: Reader): Reader {
  return protobuf.Reader.create(reader.bytes());
}

function isPacked(shape: Shape, wire: number): boolean {
  if (wire !== LENGTH_DELIMITED || shape.kind !== 'scalar') return false;
  return ['int32', 'int64', 'boolean'].includes(shape.scalar);
}

function listIn(into: Record<string, unknown>, name: string): unknown[] {
  const known = into[name];
  if (Array.isArray(known)) return known;
  const list: unknown[] = [];
  into[name] = list;
  return list;
}

function mapIn(into: Record<string, unknown>, name: string): Record<string, unknown> {
  into[name] ??= {};
  return into[name] as Record<string, unknown>;
}

/** Go writes zero values of fields that are no pointers; JSON leaves them out. */
function dropZero({ name, shape, zero }: FieldSchema, into: Record<string, unknown>): void {
  const value = into[name];
  if (value === null || (zero === 'dropped' && isZero(value, shape))) delete into[name];
}

function numberOf(value: number | { toString(): string }): number {
  return typeof value === 'number' ? value : Number(value.toString());
}

/** Seconds (1) and nanoseconds (2); without both it is the zero time, which JSON writes as null. */
function decodeTime(reader: Reader, form: 'time' | 'microTime'): string | null {
  if (reader.len === 0) return null;
  let seconds = 0;
  let nanos = 0;
  eachField(reader, {
    1: () => (seconds = numberOf(reader.int64())),
    2: () => (nanos = reader.int32()),
  });
  const whole = wholeSeconds(seconds * 1000);
  if (form === 'time') return whole;
  return `${whole.slice(0, -1)}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
}

function decodeQuantity(reader: Reader): string {
  let text = '0';
  eachField(reader, { 1: () => (text = reader.string()) });
  return text || '0';
}

/** type (1): 0 = the number (2), 1 = the string (3). */
function decodeIntOrString(reader: Reader): number | string {
  let type = 0;
  let number = 0;
  let text = '';
  eachField(reader, {
    1: () => (type = numberOf(reader.int64())),
    2: () => (number = reader.int32()),
    3: () => (text = reader.string()),
  });
  return type === 0 ? number : text;
}
