/**
 * Writes an OpenAPI v2 document as protobuf, which is the only form of it that kubectl reads (message
 * openapi.v2.Document). Here stand its fields that our documents use. Source of the numbers: gnostic's OpenAPIv2.proto.
 */

import protobuf from 'protobufjs/minimal.js';
import { isObject, type JsonObject } from './json.ts';

type Writer = protobuf.Writer;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;

/** Writes a value as the field of this number. */
type Write = (writer: Writer, field: { readonly number: number; readonly value: unknown }) => void;
type Fields = Readonly<Record<string, readonly [number: number, write: Write]>>;

interface Message {
  readonly fields: Fields;
  /** Where keys that begin with `x-` go. */
  readonly extensions: number;
}

const text: Write = (writer, { number, value }) =>
  void writer.uint32(tagOf(number, LENGTH_DELIMITED)).string(String(value));
const flag: Write = (writer, { number, value }) =>
  void writer.uint32(tagOf(number, VARINT)).bool(value === true);
const whole: Write = (writer, { number, value }) =>
  void writer.uint32(tagOf(number, VARINT)).int64(Number(value));
const real: Write = (writer, { number, value }) =>
  void writer.uint32(tagOf(number, FIXED64)).double(Number(value));
/** Anything, as YAML, of which JSON is a part. */
const any: Write = (writer, { number, value }) =>
  nested(writer, number, () => text(writer, { number: 2, value: JSON.stringify(value) }));

const EXTERNAL_DOCS = message({ description: [1, text], url: [2, text] }, 3);

const SCHEMA_FIELDS: Fields = {
  $ref: [1, text],
  format: [2, text],
  title: [3, text],
  description: [4, text],
  default: [5, any],
  multipleOf: [6, real],
  maximum: [7, real],
  exclusiveMaximum: [8, flag],
  minimum: [9, real],
  exclusiveMinimum: [10, flag],
  maxLength: [11, whole],
  minLength: [12, whole],
  pattern: [13, text],
  maxItems: [14, whole],
  minItems: [15, whole],
  uniqueItems: [16, flag],
  maxProperties: [17, whole],
  minProperties: [18, whole],
  required: [19, many(text)],
  enum: [20, many(any)],
  additionalProperties: [
    21,
    (writer, { number, value }) =>
      nested(writer, number, () =>
        isObject(value) ? schema(writer, { number: 1, value }) : flag(writer, { number: 2, value }),
      ),
  ],
  type: [22, wrapped(1, many(text))],
  items: [23, wrapped(1, many(schema))],
  allOf: [24, many(schema)],
  properties: [25, mapOf(1, schema)],
  discriminator: [26, text],
  readOnly: [27, flag],
  externalDocs: [29, EXTERNAL_DOCS],
  example: [30, any],
};

/** What parameters of query, path and header have in common, by how much their numbers are shifted. */
const simple = (shift: number): Write =>
  message(
    {
      required: [1, flag],
      in: [2, text],
      description: [3, text],
      name: [4, text],
      type: [5 + shift, text],
      format: [6 + shift, text],
      default: [9 + shift, any],
      uniqueItems: [19 + shift, flag],
    },
    22 + shift,
  );
const BODY = message(
  {
    description: [1, text],
    name: [2, text],
    in: [3, text],
    required: [4, flag],
    schema: [5, schema],
  },
  6,
);
const KINDS: Readonly<Record<string, Write>> = {
  body: wrapped(1, BODY),
  header: wrapped(2, wrapped(1, simple(0))),
  query: wrapped(2, wrapped(3, simple(1))),
  path: wrapped(2, wrapped(4, simple(0))),
};
const PARAMETER: Write = (writer, { number, value }) => {
  const kind = KINDS[isObject(value) ? String(value['in']) : ''];
  if (kind) nested(writer, number, () => kind(writer, { number: 1, value }));
};

const RESPONSE = message({ description: [1, text], schema: [2, wrapped(1, schema)] }, 5);
const OPERATION = message(
  {
    tags: [1, many(text)],
    summary: [2, text],
    description: [3, text],
    externalDocs: [4, EXTERNAL_DOCS],
    operationId: [5, text],
    produces: [6, many(text)],
    consumes: [7, many(text)],
    parameters: [8, many(PARAMETER)],
    responses: [9, mapOf(1, wrapped(1, RESPONSE))],
    schemes: [10, many(text)],
    deprecated: [11, flag],
  },
  13,
);
const PATH = message(
  {
    get: [2, OPERATION],
    put: [3, OPERATION],
    post: [4, OPERATION],
    delete: [5, OPERATION],
    options: [6, OPERATION],
    head: [7, OPERATION],
    patch: [8, OPERATION],
    parameters: [9, many(PARAMETER)],
  },
  10,
);
const API_KEY = message(
  { type: [1, text], name: [2, text], in: [3, text], description: [4, text] },
  5,
);
const DOCUMENT: Message = {
  fields: {
    swagger: [1, text],
    info: [2, message({ title: [1, text], version: [2, text], description: [3, text] }, 7)],
    paths: [8, mapOf(2, PATH)],
    definitions: [9, mapOf(1, schema)],
    security: [12, many(mapOf(1, wrapped(1, many(text))))],
    securityDefinitions: [13, mapOf(1, wrapped(2, API_KEY))],
  },
  extensions: 16,
};

/** Encodes a document that openApiV2 made. */
export function encodeOpenApiV2(document: JsonObject): Buffer {
  const writer = protobuf.Writer.create();
  writeFields(writer, DOCUMENT, document);
  return Buffer.from(writer.finish());
}

/** A schema holds schemas: a function, so that the table may name it before it is made. */
function schema(writer: Writer, { number, value }: { number: number; value: unknown }): void {
  nested(writer, number, () =>
    writeFields(writer, { fields: SCHEMA_FIELDS, extensions: 31 }, value),
  );
}

function message(fields: Fields, extensions: number): Write {
  return (writer, { number, value }) =>
    nested(writer, number, () => writeFields(writer, { fields, extensions }, value));
}

/** A field that may occur many times; one that is no list occurs once. */
function many(write: Write): Write {
  return (writer, { number, value }) => {
    for (const item of Array.isArray(value) ? value : [value])
      write(writer, { number, value: item });
  };
}

/** A message of a single field. */
function wrapped(inner: number, write: Write): Write {
  return (writer, { number, value }) =>
    nested(writer, number, () => write(writer, { number: inner, value }));
}

/** A message of one repeated field: pairs of name and value. */
function mapOf(inner: number, write: Write): Write {
  return (writer, { number, value }) =>
    nested(writer, number, () => {
      for (const [name, item] of Object.entries(isObject(value) ? value : {})) {
        nested(writer, inner, () => {
          text(writer, { number: 1, value: name });
          write(writer, { number: 2, value: item });
        });
      }
    });
}

function writeFields(writer: Writer, { fields, extensions }: Message, value: unknown): void {
  for (const [key, item] of Object.entries(isObject(value) ? value : {})) {
    const [number, write] = fields[key] ?? [];
    if (number !== undefined && write) write(writer, { number, value: item });
    else if (key.startsWith('x-'))
      nested(writer, extensions, () => {
        text(writer, { number: 1, value: key });
        any(writer, { number: 2, value: item });
      });
  }
}

function nested(writer: Writer, number: number, write: () => void): void {
  writer.uint32(tagOf(number, LENGTH_DELIMITED)).fork();
  write();
  writer.ldelim();
}

function tagOf(number: number, wireType: number): number {
  return number * 8 + wireType;
}
