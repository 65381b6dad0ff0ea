/** OpenAPI over HTTP: the v3 index and documents and the v2 document, made at first use and kept compressed. */

import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { JsonObject } from '../api/json.ts';
import { openApiV2, openApiV3, openApiV3Index } from '../api/openapi.ts';
import type { Resource } from '../api/resource.ts';
import type { ServerRequest, ServerResponse } from './contract.ts';

const compress = promisify(gzip);
const uncompress = promisify(gunzip);

const JSON_TYPE = 'application/json';
const OPENAPI_V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
/** Older clients write `@` before the version. */
const PROTOBUF = /application\/com\.github\.proto-openapi\.spec\.v2[.@]v1\.0\+protobuf/;

/** Serves the OpenAPI paths; undefined for other paths. */
export type OpenApi = (request: ServerRequest) => Promise<ServerResponse | undefined>;

/** Makes the handler of the documents of these rows. */
export function openApi(rows: readonly Resource[]): OpenApi {
  const documents = new Map<string, Promise<Buffer | undefined>>();
  return async (request) => {
    if (!request.path.startsWith('/openapi/')) return undefined;
    const contentType = contentTypeOf(request);
    const key = `${contentType} ${request.path}`;
    let packed = documents.get(key);
    if (!packed) {
      const made = documentOf(rows, request.path);
      if (!made) return undefined;
      packed = made.then(
        async (document) => document && (await compress(await encode(document, contentType))),
      );
      documents.set(key, packed);
    }
    const body = await packed;
    // Paths that name nothing are not remembered: there is no end of them.
    if (!body) documents.delete(key);
    return body && (await answer(request, { packed: body, contentType }));
  };
}

/** kubectl reads version 2 as protobuf alone, whatever it is answered. */
function contentTypeOf({ path, headers }: ServerRequest): string {
  const isProtobuf = path === '/openapi/v2' && PROTOBUF.test(headers['accept'] ?? '');
  return isProtobuf ? OPENAPI_V2_PROTOBUF : JSON_TYPE;
}

async function encode(document: JsonObject, contentType: string): Promise<string | Buffer> {
  if (contentType === JSON_TYPE) return JSON.stringify(document);
  const { encodeOpenApiV2 } = await import('../api/openapi-protobuf.ts');
  return encodeOpenApiV2(document);
}

async function answer(
  request: ServerRequest,
  { packed, contentType }: { readonly packed: Buffer; readonly contentType: string },
): Promise<ServerResponse> {
  const isPacked = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
  return {
    kind: 'bytes',
    status: 200,
    contentType,
    body: isPacked ? packed : await uncompress(packed),
    headers: isPacked ? { 'content-encoding': 'gzip', vary: 'Accept-Encoding' } : {},
  };
}

function documentOf(
  rows: readonly Resource[],
  path: string,
): Promise<JsonObject | undefined> | undefined {
  if (path === '/openapi/v2') return openApiV2(rows);
  if (path === '/openapi/v3') return Promise.resolve(openApiV3Index(rows));
  const [, core, group, version] =
    /^\/openapi\/v3\/(?:api\/([^/]+)|apis\/([^/]+)\/([^/]+))$/.exec(path) ?? [];
  if (core) return openApiV3('', core, rows);
  if (group && version) return openApiV3(group, version, rows);
  return undefined;
}
