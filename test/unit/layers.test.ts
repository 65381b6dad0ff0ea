/** Fails when a pkg folder imports, or touches the outside world, against its row below. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';

/** Folders under pkg/ that each folder may import, besides itself. ARCHITECTURE.md explains it. */
const MAY_IMPORT: Record<string, string[]> = {
  api: [],
  log: [],
  wait: [],
  pki: [],
  store: ['log', 'wait'],
  tunnel: ['log', 'wait'],
  runtime: ['log', 'wait'],
  image: ['runtime', 'log', 'wait'],
  network: ['runtime', 'log', 'wait'],
  engine: ['image', 'network', 'runtime', 'log', 'wait'],
  client: ['api', 'log', 'wait'],
  apiserver: ['api', 'store', 'tunnel', 'pki', 'log', 'wait'],
  controllers: ['api', 'client', 'pki', 'log', 'wait'],
  scheduler: ['api', 'client', 'log', 'wait'],
  agent: ['api', 'client', 'engine', 'image', 'network', 'tunnel', 'pki', 'log', 'wait'],
  kubectl: ['api', 'client'],
};
/** The only folders that may import each of these modules. */
const OWNERS: Record<string, string[]> = {
  'node:child_process': ['runtime'],
  'better-sqlite3': ['store'],
};
/** The one file outside pkg that code imports: the facts from which the API's types and schemas are made. */
const EMBEDDED_TABLE = 'embedded/api-types.json';
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/g;

function* sources(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (path.endsWith('.ts')) yield path;
  }
}

function folderOf(path: string): string {
  return relative('pkg', path).split('/')[0] ?? '';
}

function violation(file: string, spec: string): string | undefined {
  const from = folderOf(file);
  if (!spec.startsWith('.')) {
    return OWNERS[spec]?.includes(from) === false
      ? `${file}: only ${OWNERS[spec]} may import ${spec}`
      : undefined;
  }
  const target = join(dirname(file), spec);
  if (target === EMBEDDED_TABLE && from === 'api') return undefined;
  const to = folderOf(target);
  if (to === from || MAY_IMPORT[from]?.includes(to)) return undefined;
  return `${file}: ${from} may not import ${to}`;
}

suite('layers', ({ test }) => {
  const files = [...sources('pkg')];

  test('every folder under pkg has a row', () => {
    assert.equal(Object.keys(MAY_IMPORT).sort(), [...new Set(files.map(folderOf))].sort());
  });

  test('imports follow the table', () => {
    const found = files.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(IMPORT)].flatMap(
        ([, spec]) => violation(file, spec ?? '') ?? [],
      ),
    );
    assert.equal(found, []);
  });
});
