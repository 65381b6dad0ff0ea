/**
 * Request bodies: JSON, YAML or protobuf off the wire, or an object from an actor in this process, into objects of
 * the expected type. The only place where bytes of clients become types.
 */

import { parse as parseYaml } from 'yaml';
import { decodeObject, type FieldValidation, type Strictness } from '../api/decode.ts';
import { duplicateFields } from '../api/duplicate-fields.ts';
import { badRequest, unsupportedMediaType } from '../api/errors.ts';
import type { ApiObject } from '../api/meta.ts';
import { decodeProtobuf } from '../api/protobuf.ts';
import { typeSchema } from '../api/schema.ts';
import { KUBERNETES_YAML } from '../api/yaml.ts';
import type { ServerRequest } from './contract.ts';
import { PROTOBUF } from './negotiate.ts';
import type { Call } from './parts.ts';

export interface Body {
  readonly object: ApiObject;
  readonly warnings: readonly string[];
}

/** The body as an object of the call's resource. Throws BadRequest, UnsupportedMediaType. */
export function decodeBody({ request, resource }: Call): Body {
  return decodeAs(request, resource.type);
}

/** The body as an object of this type. */
export function decodeAs(request: ServerRequest, type: string): Body {
  const value = bodyValue(request);
  const mode = fieldValidationOf(request.query);
  return decodeValue(value, type, { mode, duplicates: duplicatesIn(request, mode) });
}

/** A value as an object of this type, its kind checked. */
export function decodeValue(
  value: unknown,
  type: string,
  mode: FieldValidation | Strictness,
): Body {
  checkKind(value, type);
  const { object, warnings } = decodeObject(type, value, mode);
  const metadata = object['metadata'] ?? {};
  return { object: { ...object, metadata } as unknown as ApiObject, warnings };
}

/** The body of a delete, which may be empty. */
export function decodeOptions(request: ServerRequest): object | undefined {
  const { body } = request;
  if (body === undefined || (Buffer.isBuffer(body) && body.length === 0)) return undefined;
  const value = bodyValue(request);
  return typeof value === 'object' && value !== null ? value : undefined;
}

/** What to do with unknown fields: warn, unless the client says otherwise. */
export function fieldValidationOf(query: URLSearchParams): FieldValidation {
  const mode = query.get('fieldValidation');
  if (!mode) return 'Warn';
  if (mode === 'Strict' || mode === 'Warn' || mode === 'Ignore') return mode;
  throw badRequest(
    `fieldValidation: Unsupported value: "${mode}": supported values: "Ignore", "Strict", "Warn"`,
  );
}

/** The body without its parameters, e.g. `application/json`. */
export function contentTypeOf(request: ServerRequest): string {
  const header = request.headers['content-type'] ?? 'application/json';
  return (header.split(';')[0] ?? '').trim().toLowerCase();
}

function bodyValue(request: ServerRequest): unknown {
  const { body } = request;
  if (body === undefined) throw badRequest('the request has no body');
  if (!Buffer.isBuffer(body)) return body;
  switch (contentTypeOf(request)) {
    case 'application/json':
    case '*/*':
    case '':
      return parseJson(body);
    case 'application/yaml':
      return parseYamlBody(body);
    case PROTOBUF:
      return decodeProtobuf(body);
    default:
      throw unsupportedMediaType(
        `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, ${PROTOBUF}`,
      );
  }
}

/** Fields that a JSON body names twice; YAML with such is refused by its parser. */
function duplicatesIn(request: ServerRequest, mode: FieldValidation): string[] {
  const { body } = request;
  const isJson = contentTypeOf(request) === 'application/json';
  if (mode === 'Ignore' || !isJson || !Buffer.isBuffer(body)) return [];
  return duplicateFields(body.toString('utf8'));
}

/** Bytes as JSON. Throws BadRequest. */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw badRequest(`couldn't decode the body of the request: ${why}`, error);
  }
}

/** Bytes as YAML. Throws BadRequest. */
export function parseYamlBody(body: Buffer): unknown {
  try {
    return parseYaml(body.toString('utf8'), { ...KUBERNETES_YAML, maxAliasCount: 100 });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw badRequest(`error decoding YAML: ${why}`, error);
  }
}

function checkKind(value: unknown, type: string): void {
  const gvk = typeSchema(type).gvk;
  if (!gvk || typeof value !== 'object' || value === null) return;
  const { apiVersion, kind } = value as Record<string, unknown>;
  const [group, version, expected] = gvk;
  const expectedVersion = group ? `${group}/${version}` : version;
  if (kind && kind !== expected) {
    throw badRequest(
      `${String(kind)} in version "${String(apiVersion ?? '')}" cannot be handled as a ${expected}: no kind "${String(kind)}" is registered for this resource`,
    );
  }
  if (!apiVersion || apiVersion === expectedVersion) return;
  throw badRequest(
    `the API version in the data (${String(apiVersion)}) does not match the expected API version (${expectedVersion})`,
  );
}
