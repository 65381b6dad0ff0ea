/** One operation of an OpenAPI document, first as data, then written in either version of the format. */

import type { JsonObject } from './json.ts';
import { type Dialect, kindOf, PATCH, referenceTo } from './openapi-schemas.ts';

export interface Parameter {
  readonly name: string;
  readonly type: 'boolean' | 'integer' | 'string';
  readonly text: string;
  readonly isInPath?: boolean;
}

export interface Operation {
  readonly id: string;
  readonly text: string;
  readonly tag: string;
  /** get, list, post, put, patch, delete, deletecollection, connect. */
  readonly action: string;
  readonly gvk: readonly [string, string, string];
  readonly query: readonly Parameter[];
  /** Type of the body. */
  readonly body?: string;
  readonly isBodyRequired?: boolean;
  /** Type of the answer; without one it is plain text. */
  readonly result?: string;
  readonly codes: readonly number[];
}

const DRY_RUN = parameter('dryRun', 'string', 'All: goes through every stage but stores nothing.');
const FIELD_MANAGER = parameter('fieldManager', 'string', 'Name of who makes this change.');
const FIELD_VALIDATION = parameter(
  'fieldValidation',
  'string',
  'What to do with unknown or duplicate fields: Ignore drops them, Warn (the default) warns, Strict refuses.',
);
const LABEL_SELECTOR = parameter('labelSelector', 'string', 'Restricts by labels.');
const FIELD_SELECTOR = parameter('fieldSelector', 'string', 'Restricts by fields.');
const SELECTION: readonly Parameter[] = [
  parameter('continue', 'string', 'Token of the answer before: continues the list there.'),
  FIELD_SELECTOR,
  LABEL_SELECTOR,
  parameter('limit', 'integer', 'The most objects to answer with.'),
  parameter('resourceVersion', 'string', 'The version of the store to read from.'),
  parameter('resourceVersionMatch', 'string', 'How resourceVersion is meant: Exact, NotOlderThan.'),
  parameter('sendInitialEvents', 'boolean', 'Begins a watch with all objects, then a bookmark.'),
  parameter('timeoutSeconds', 'integer', 'Ends the list or watch after this time.'),
];
const DELETION: readonly Parameter[] = [
  DRY_RUN,
  parameter('gracePeriodSeconds', 'integer', 'Time until the object goes; 0 = at once.'),
  parameter(
    'ignoreStoreReadErrorWithClusterBreakingPotential',
    'boolean',
    'Deletes objects that cannot be read.',
  ),
  parameter('orphanDependents', 'boolean', 'Deprecated: use propagationPolicy.'),
  parameter('propagationPolicy', 'string', 'Dependents: Orphan, Background, Foreground.'),
];
const CHANGE: readonly Parameter[] = [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];

/** Query parameters by action. */
export const QUERY: Readonly<Record<string, readonly Parameter[]>> = {
  get: [],
  list: [
    parameter('allowWatchBookmarks', 'boolean', 'Asks for bookmarks in a watch.'),
    ...SELECTION,
    parameter('watch', 'boolean', 'Answers with changes as they come, not with a list.'),
  ],
  post: CHANGE,
  put: CHANGE,
  patch: [...CHANGE, parameter('force', 'boolean', 'Takes fields of others when applying.')],
  delete: DELETION,
  deletecollection: [...SELECTION, ...DELETION],
};

export const PRETTY = parameter('pretty', 'string', "'true' = the answer is indented.");
export const NAME = pathParameter('name', 'name of the object');
export const NAMESPACE = pathParameter('namespace', 'namespace of the object');
export const PATH = pathParameter('path', 'path on the target');

const PATCH_TYPES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];
const ANSWER_TYPES = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
];
const STREAM_TYPES = ['application/json;stream=watch'];
const CODE_TEXTS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  401: 'Unauthorized',
};

export function parameter(name: string, type: Parameter['type'], text: string): Parameter {
  return { name, type, text };
}

function pathParameter(name: string, text: string): Parameter {
  return { name, type: 'string', text, isInPath: true };
}

/** A parameter in the form of this dialect. */
export function writeParameter(its: Parameter, dialect: Dialect): JsonObject {
  const { name, type, text, isInPath = false } = its;
  const common = {
    name,
    in: isInPath ? 'path' : 'query',
    description: text,
    ...(isInPath ? { required: true } : {}),
  };
  if (dialect === 3) return { ...common, schema: { type, uniqueItems: true } };
  return { ...common, type, uniqueItems: true };
}

/** An operation in the form of this dialect. */
export function writeOperation(operation: Operation, dialect: Dialect): JsonObject {
  const { id, text, tag, action, gvk } = operation;
  return {
    tags: [tag],
    description: text,
    operationId: id,
    ...(dialect === 2 ? writeV2(operation) : writeV3(operation)),
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kindOf(gvk),
  };
}

function writeV3({ query, body, isBodyRequired, result, codes, action }: Operation): JsonObject {
  const consumed = body === PATCH ? PATCH_TYPES : ['*/*'];
  const produced = producedBy(action, result);
  const answer = result ? referenceTo(result, 3) : { type: 'string' };
  return {
    ...(query.length > 0 ? { parameters: query.map((its) => writeParameter(its, 3)) } : {}),
    ...(body
      ? {
          requestBody: {
            content: contentOf(consumed, referenceTo(body, 3)),
            ...(isBodyRequired ? { required: true } : {}),
          },
        }
      : {}),
    responses: responsesOf(codes, { content: contentOf(produced, answer) }),
  };
}

function writeV2({ query, body, isBodyRequired, result, codes, action }: Operation): JsonObject {
  const inBody = body
    ? [
        {
          name: 'body',
          in: 'body',
          ...(isBodyRequired ? { required: true } : {}),
          schema: referenceTo(body, 2),
        },
      ]
    : [];
  const parameters = [...inBody, ...query.map((its) => writeParameter(its, 2))];
  return {
    consumes: body === PATCH ? PATCH_TYPES : ['*/*'],
    produces: producedBy(action, result),
    schemes: ['https'],
    ...(parameters.length > 0 ? { parameters } : {}),
    responses: responsesOf(codes, {
      schema: result ? referenceTo(result, 2) : { type: 'string' },
    }),
  };
}

function producedBy(action: string, result: string | undefined): readonly string[] {
  if (result === undefined) return action === 'get' ? ['text/plain'] : ['*/*'];
  return action === 'list' ? [...ANSWER_TYPES, ...STREAM_TYPES] : ANSWER_TYPES;
}

function contentOf(types: readonly string[], schema: object): JsonObject {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

function responsesOf(codes: readonly number[], answer: object): JsonObject {
  const given = codes.map((code) => [code, { description: CODE_TEXTS[code], ...answer }]);
  return Object.fromEntries([...given, [401, { description: CODE_TEXTS[401] }]]);
}
