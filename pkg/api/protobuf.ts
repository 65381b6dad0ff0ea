/**
 * application/vnd.kubernetes.protobuf: the bytes "k8s\0", then a runtime.Unknown that names the kind and carries the
 * typed message. kubectl and helm send such bodies and do not fall back to JSON. JSON shapes in, JSON shapes out.
 */

import protobuf from 'protobufjs/minimal.js';
import { badRequest, notAcceptable, StatusError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { decodeMessage } from './protobuf-decode.ts';
import { encodeMessage } from './protobuf-encode.ts';
import { typeOfKind, typeSchema } from './schema.ts';

const MAGIC = Buffer.from('k8s\0', 'latin1');

/** Tags of runtime.Unknown {typeMeta 1, raw 2, contentEncoding 3, contentType 4} and TypeMeta {apiVersion 1, kind 2}. */
const TAG_1 = 10;
const TAG_2 = 18;
const TAG_3 = 26;
const TAG_4 = 34;

interface Unknown {
  readonly apiVersion: string;
  readonly kind: string;
  readonly raw: Uint8Array;
}

/** The object in a protobuf body, in its JSON shape with apiVersion and kind. Throws BadRequest for other bytes. */
export function decodeProtobuf(bytes: Uint8Array): JsonObject {
  const { apiVersion, kind, raw } = decodeUnknown(bytes);
  const type = typeOfKind(apiVersion, kind);
  if (type === undefined) {
    throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}"`);
  }
  try {
    return { apiVersion, kind, ...decodeMessage(typeSchema(type), raw, decodeProtobuf) };
  } catch (error) {
    if (error instanceof StatusError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw badRequest(`unable to decode protobuf body as ${kind}: ${why}`, error);
  }
}

/** The object as a protobuf body. Throws NotAcceptable for kinds that have no protobuf form. */
export function encodeProtobuf(object: object): Buffer {
  const { apiVersion, kind } = object as { apiVersion?: unknown; kind?: unknown };
  const type = typeOfKind(String(apiVersion), String(kind));
  if (type === undefined) {
    throw notAcceptable(`no protobuf form of kind "${String(kind)}" in "${String(apiVersion)}"`);
  }
  const raw = encodeMessage(typeSchema(type), object as JsonObject);
  const meta = protobuf.Writer.create();
  meta.uint32(TAG_1).string(String(apiVersion)).uint32(TAG_2).string(String(kind));
  const unknown = protobuf.Writer.create();
  unknown.uint32(TAG_1).bytes(meta.finish()).uint32(TAG_2).bytes(raw);
  unknown.uint32(TAG_3).string('').uint32(TAG_4).string('');
  return Buffer.concat([MAGIC, unknown.finish()]);
}

/** Whether the bytes carry the envelope's magic. */
function isProtobuf(bytes: Uint8Array): boolean {
  return bytes.length >= MAGIC.length && MAGIC.equals(bytes.subarray(0, MAGIC.length));
}

function decodeUnknown(bytes: Uint8Array): Unknown {
  if (!isProtobuf(bytes))
    throw badRequest('provided data does not appear to be a protobuf message');
  try {
    return readUnknown(bytes.subarray(MAGIC.length));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw badRequest(`unable to decode protobuf envelope: ${why}`, error);
  }
}

function readUnknown(bytes: Uint8Array): Unknown {
  const reader = protobuf.Reader.create(bytes);
  let typeMeta = { first: '', second: '' };
  let raw: Uint8Array = new Uint8Array();
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === TAG_1) typeMeta = readTwoStrings(reader.bytes());
    else if (tag === TAG_2) raw = reader.bytes();
    else reader.skipType(tag & 7);
  }
  return { apiVersion: typeMeta.first, kind: typeMeta.second, raw };
}

function readTwoStrings(bytes: Uint8Array): { first: string; second: string } {
  const reader = protobuf.Reader.create(bytes);
  const strings = { first: '', second: '' };
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === TAG_1) strings.first = reader.string();
    else if (tag === TAG_2) strings.second = reader.string();
    else reader.skipType(tag & 7);
  }
  return strings;
}
