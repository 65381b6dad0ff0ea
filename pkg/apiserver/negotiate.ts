/**
 * Content negotiation: which form of an answer a client asks for with its Accept header. Answers are JSON (or
 * YAML); what varies is whether a whole object, a Table or only metadata is wanted. Pure.
 */

import { notAcceptable } from '../api/errors.ts';

type Shape = 'object' | 'table' | 'metadata';

export interface Form {
  readonly shape: Shape;
  readonly encoding: 'json' | 'yaml' | 'protobuf';
  /** meta.k8s.io version of a Table or PartialObjectMetadata. */
  readonly version: 'v1' | 'v1beta1';
}

interface MediaRange {
  readonly type: string;
  readonly params: Readonly<Record<string, string>>;
}

const PLAIN: Form = { shape: 'object', encoding: 'json', version: 'v1' };
const SHAPES: Readonly<Record<string, Shape>> = {
  Table: 'table',
  PartialObjectMetadata: 'metadata',
  PartialObjectMetadataList: 'metadata',
};
const ENCODINGS: Readonly<Record<string, Form['encoding']>> = {
  'application/json': 'json',
  'application/*': 'json',
  '*/*': 'json',
  '*': 'json',
  'application/yaml': 'yaml',
};

/** The form to answer in. Throws NotAcceptable when none of the asked forms is served. */
export function formOf(accept: string | undefined): Form {
  if (!accept) return PLAIN;
  const ranges = parseAccept(accept);
  for (const range of ranges) {
    const form = formOfRange(range);
    if (form) return form;
  }
  if (ranges.some(({ type }) => type === PROTOBUF)) return { ...PLAIN, encoding: 'protobuf' };
  throw notAcceptable(
    'only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf',
  );
}

/** Whether aggregated discovery is asked for, and in which version. */
export function discoveryVersionOf(accept: string | undefined): 'v2' | 'v2beta1' | undefined {
  for (const { params } of parseAccept(accept ?? '')) {
    if (params['as'] !== 'APIGroupDiscoveryList') continue;
    if (params['v'] === 'v2' || params['v'] === 'v2beta1') return params['v'];
  }
  return undefined;
}

/** The media type of bytes in protobuf. */
export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

function formOfRange({ type, params }: MediaRange): Form | undefined {
  const encoding = ENCODINGS[type];
  if (!encoding) return undefined;
  const as = params['as'];
  if (as === undefined) return { ...PLAIN, encoding };
  const shape = SHAPES[as];
  const version = params['v'] === 'v1beta1' ? 'v1beta1' : 'v1';
  const isServed = shape !== undefined && params['g'] === 'meta.k8s.io';
  return isServed ? { shape, encoding, version } : undefined;
}

function parseAccept(accept: string): readonly MediaRange[] {
  return accept.split(',').flatMap((entry) => {
    const [type = '', ...pairs] = entry.split(';').map((part) => part.trim());
    if (!type) return [];
    const params: Record<string, string> = {};
    for (const pair of pairs) {
      const equals = pair.indexOf('=');
      if (equals > 0) params[pair.slice(0, equals)] = pair.slice(equals + 1);
    }
    return [{ type: type.toLowerCase(), params }];
  });
}
