/** OpenAPI over HTTP: the v3 index and documents and the v2 document, made at first use and kept compressed. */

import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { openApiV2, openApiV3, openApiV3Index } from '../api/openapi.ts';
import type { Resource } from '../api/resource.ts';
import type { ServerRequest, ServerResponse } from './contract.ts';

const compress = promisify(gzip);
const uncompress = promisify(gunzip);

/** Serves the OpenAPI paths; undefined for other paths. */
export type OpenApi = (request: ServerRequest) => Promise<ServerResponse | undefined>;

/** Makes the handler of the documents of these rows. */
export function openApi(rows: readonly Resource[]): OpenApi {
  const documents = new Map<string, Promise<Buffer | undefined>>();
  return async (request) => {
    if (!request.path.startsWith('/openapi/')) return undefined;
    let packed = documents.get(request.path);
    if (!packed) {
      const made = documentOf(rows, request.path);
      if (!made) return undefined;
      packed = made.then(
        async (document) => document && (await compress(JSON.stringify(document))),
      );
      documents.set(request.path, packed);
    }
    const body = await packed;
    // Paths that name nothing are not remembered: there is no end of them.
    if (!body) documents.delete(request.path);
    return body && (await answer(request, body));
  };
}

async function answer(request: ServerRequest, packed: Buffer): Promise<ServerResponse> {
  const isPacked = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
  return {
    kind: 'bytes',
    status: 200,
    contentType: 'application/json',
    body: isPacked ? packed : await uncompress(packed),
    headers: isPacked ? { 'content-encoding': 'gzip', vary: 'Accept-Encoding' } : {},
  };
}

function documentOf(
  rows: readonly Resource[],
  path: string,
): Promise<object | undefined> | undefined {
  if (path === '/openapi/v2') return openApiV2(rows);
  if (path === '/openapi/v3') return Promise.resolve(openApiV3Index(rows));
  const [, core, group, version] =
    /^\/openapi\/v3\/(?:api\/([^/]+)|apis\/([^/]+)\/([^/]+))$/.exec(path) ?? [];
  if (core) return openApiV3('', core, rows);
  if (group && version) return openApiV3(group, version, rows);
  return undefined;
}
