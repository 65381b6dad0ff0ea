/**
 * The three plain kinds of patch (JSON patch, merge patch, strategic merge patch) as pure functions over immutable
 * objects. The result is not yet decoded: callers run decodeObject on it. Server-side apply is in apply.ts.
 */

import { applyPatch as applyOperations, type Operation, Pointer } from 'rfc6902';
import { badRequest, StatusError, tooLarge } from './errors.ts';
import { getKey, isObject, type JsonObject, setKey } from './json.ts';
import { shapeOfType } from './schema.ts';
import { strategicMerge } from './strategic-merge.ts';

export type PatchKind = 'json' | 'merge' | 'strategic';

export interface PatchRequest {
  readonly kind: PatchKind;
  /** Full name of the object's type in the table. */
  readonly type: string;
  readonly object: object;
  /** Parsed body. */
  readonly patch: unknown;
}

/** As kube-apiserver. */
const OPERATIONS_MAX = 10_000;

/** As kube-apiserver: copies of copies double an object with each operation. */
const COPIED_BYTES_MAX = 3 * 1024 * 1024;

const OPERATION_NAMES = ['add', 'remove', 'replace', 'move', 'copy', 'test'];

/** The object with the patch applied. Throws BadRequest for a malformed patch, Invalid for one that does not apply. */
export function applyPatch({ kind, type, object, patch }: PatchRequest): JsonObject {
  switch (kind) {
    case 'json':
      return applyJsonPatch(object, patch);
    case 'merge':
      return mergePatch({ ...object }, patchObject(patch));
    default:
      return strategicMerge({ ...object }, patchObject(patch), shapeOfType(type));
  }
}

function patchObject(patch: unknown): JsonObject {
  if (isObject(patch)) return patch;
  throw badRequest('error decoding patch: the patch must be a JSON object');
}

/** RFC 7386. */
function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const result: Record<string, unknown> = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (isObject(value)) {
      const before = getKey(result, key);
      setKey(result, key, mergePatch(isObject(before) ? before : {}, value));
    } else setKey(result, key, value);
  }
  return result;
}

/** RFC 6902. */
function applyJsonPatch(object: object, patch: unknown): JsonObject {
  if (!Array.isArray(patch)) {
    throw badRequest('error decoding patch: a JSON patch must be a list of operations');
  }
  if (patch.length > OPERATIONS_MAX) {
    throw tooLarge(
      `The allowed maximum operations in a JSON patch is ${OPERATIONS_MAX}, got ${patch.length}`,
    );
  }
  const operations = patch.map(operationOf);
  // The library changes its argument, and would share values between the patch and the object.
  const result: unknown = structuredClone(object);
  let copiedBytes = 0;
  for (const operation of structuredClone(operations)) {
    if (operation.op === 'copy') copiedBytes += sizeAt(result, operation.from);
    if (copiedBytes > COPIED_BYTES_MAX) {
      throw doesNotApply(new Error(`copies of over ${COPIED_BYTES_MAX} bytes`));
    }
    const [failed] = applyOperations(result, [operation]);
    if (failed) throw doesNotApply(failed);
  }
  if (!isObject(result)) throw badRequest('a JSON patch must leave an object');
  return result;
}

function sizeAt(object: unknown, pointer: string): number {
  return JSON.stringify(Pointer.fromJSON(pointer).get(object) ?? null).length;
}

function operationOf(value: unknown): Operation {
  if (!isObject(value) || !OPERATION_NAMES.includes(String(value['op']))) {
    throw badRequest(`error decoding patch: unexpected operation ${JSON.stringify(value)}`);
  }
  const needsFrom = value['op'] === 'move' || value['op'] === 'copy';
  if (!isPointer(value['path']) || (needsFrom && !isPointer(value['from']))) {
    throw badRequest(`error decoding patch: invalid pointer in ${JSON.stringify(value)}`);
  }
  const needsValue = ['add', 'replace', 'test'].includes(String(value['op']));
  if (needsValue && !('value' in value)) {
    throw badRequest(`error decoding patch: operation without value ${JSON.stringify(value)}`);
  }
  return value as unknown as Operation;
}

function isPointer(value: unknown): value is string {
  return typeof value === 'string' && (value === '' || value.startsWith('/'));
}

function doesNotApply(error: Error): StatusError {
  return new StatusError(
    'Invalid',
    `the server rejected our request due to an error in our request: ${error.message}`,
    undefined,
    error,
  );
}
