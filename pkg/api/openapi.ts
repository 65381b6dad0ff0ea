/**
 * The OpenAPI documents of the resources served, made from their rows and the table when they are asked for: version 3
 * one document a group version, version 2 one of all. The texts of `kubectl explain` are loaded only then.
 */

import { createHash } from 'node:crypto';
import type { JsonObject } from './json.ts';
import { type DocumentedRow, pathsOfRow, prefixOf } from './openapi-paths.ts';
import { type Descriptions, type Dialect, schemasOf } from './openapi-schemas.ts';
import { tableText } from './schema.ts';

/** Counted up when the documents change though table and rows do not: clients cache them by hash. */
const REVISION = 1;

const INFO = { title: 'Kubernetes', version: 'v1.36.0' };

/** GET /openapi/v3: where each group version's document is. */
export function openApiV3Index(rows: readonly DocumentedRow[]): JsonObject {
  const table = createHash('sha256').update(tableText()).digest('hex');
  const paths: Record<string, object> = {};
  for (const [prefix, its] of byGroupVersion(rows)) {
    const facts = its.map(({ gvk, names, namespaced, verbs, subresources }) => [
      gvk,
      names.plural,
      namespaced,
      verbs,
      subresources,
    ]);
    const hash = createHash('sha256').update(JSON.stringify([REVISION, table, facts]));
    const name = prefix.slice(1);
    const url = `/openapi/v3/${name}?hash=${hash.digest('hex').slice(0, 32).toUpperCase()}`;
    paths[name] = { serverRelativeURL: url };
  }
  return { paths };
}

/** GET /openapi/v3/…: the document of one group version; undefined when no row is of it. */
export async function openApiV3(
  group: string,
  version: string,
  rows: readonly DocumentedRow[],
): Promise<JsonObject | undefined> {
  const its = byGroupVersion(rows).get(prefixOf(group, version));
  if (!its) return undefined;
  const { paths, schemas } = await contentsOf(its, 3);
  return {
    openapi: '3.0.0',
    info: INFO,
    paths,
    components: {
      schemas,
      securitySchemes: {
        BearerToken: {
          type: 'apiKey',
          description: 'Bearer Token authentication',
          name: 'authorization',
          in: 'header',
        },
      },
    },
  };
}

/** GET /openapi/v2: all group versions in one document. */
export async function openApiV2(rows: readonly DocumentedRow[]): Promise<JsonObject> {
  const { paths, schemas } = await contentsOf(rows, 2);
  return {
    swagger: '2.0',
    info: INFO,
    paths,
    definitions: schemas,
    securityDefinitions: {
      BearerToken: {
        type: 'apiKey',
        description: 'Bearer Token authentication',
        name: 'authorization',
        in: 'header',
      },
    },
    security: [{ BearerToken: [] }],
  };
}

async function contentsOf(
  rows: readonly DocumentedRow[],
  dialect: Dialect,
): Promise<{ paths: JsonObject; schemas: JsonObject }> {
  const paths: Record<string, unknown> = {};
  const types = new Set<string>();
  for (const row of rows) {
    const written = pathsOfRow(row, dialect);
    Object.assign(paths, written.paths);
    for (const type of written.types) types.add(type);
  }
  const descriptions = await loadDescriptions();
  return { paths, schemas: schemasOf(types, { dialect, descriptions }) };
}

/** Loaded at first use: half a megabyte that most servers never need. */
async function loadDescriptions(): Promise<Descriptions> {
  const loaded = await import('./generated/descriptions.json', { with: { type: 'json' } });
  return loaded.default as unknown as Descriptions;
}

function byGroupVersion(
  rows: readonly DocumentedRow[],
): ReadonlyMap<string, readonly DocumentedRow[]> {
  return Map.groupBy(rows, ({ gvk: [group, version] }) => prefixOf(group, version));
}
