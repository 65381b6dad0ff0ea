/**
 * Writes pkg/api/generated/ from embedded/api-types.json: types.ts (readonly interfaces of every type) and
 * descriptions.json (texts for kubectl explain, read from the doc comments of @kubernetes/client-node).
 * Run as `node pkg/api/generate.mjs`; build.mjs and the tests' set-up call generate().
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const TABLE = join(ROOT, 'embedded', 'api-types.json');
const OUT = join(ROOT, 'pkg', 'api', 'generated');
const MODELS = join(ROOT, 'node_modules', '@kubernetes', 'client-node', 'dist', 'gen', 'models');

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
/** Written by hand in meta.ts. */
const FROM_META = ['ManagedFieldsEntry', 'ObjectMeta', 'OwnerReference'];
/** Written by hand in errors.ts and meta.ts, or without use as a type. */
const SKIPPED = new Set([
  ...FROM_META,
  'Status',
  'StatusCause',
  'StatusDetails',
  'WatchEvent',
  'ListMeta',
]);

const SCALARS = {
  any: 'unknown',
  boolean: 'boolean',
  'integer:int32': 'number',
  'integer:int64': 'number',
  'number:double': 'number',
  object: 'Readonly<Record<string, unknown>>',
  string: 'string',
  'string:byte': 'string',
  'string:date-time': 'string',
  'string:int-or-string': 'string | number',
};

const lastPart = (type) => type.slice(type.lastIndexOf('.') + 1);

/** 'io.k8s.api.rbac.v1.Subject' -> { group: 'Rbac', version: 'V1', name: 'Subject' }. */
function partsOf(type) {
  const parts = type.split('.');
  const group = parts[parts.length - 3];
  const version = parts[parts.length - 2];
  return {
    group: group[0].toUpperCase() + group.slice(1),
    version: version.toUpperCase(),
    name: lastPart(type),
  };
}

/**
 * A TypeScript name for each type. Of several with one last part the core group's keeps it, then the one that is a
 * kind of its own in the highest version; the others get their group, or an old version of the same group its version.
 */
export function typeNames(table) {
  const byName = Map.groupBy(Object.keys(table), lastPart);
  const names = {};
  for (const [name, types] of byName) {
    const keeper = keeperOf(types, table);
    for (const type of types) {
      const { group, version } = partsOf(type);
      const isOldVersion = keeper && partsOf(keeper).group === group;
      if (type === keeper) names[type] = name;
      else names[type] = isOldVersion ? name + version : group + name;
    }
  }
  return names;
}

function keeperOf(types, table) {
  if (types.length === 1) return types[0];
  const kinds = types.filter((type) => table[type].gvk);
  const candidates = kinds.length > 0 ? kinds : types;
  const core = candidates.find((type) => type.startsWith('io.k8s.api.core.'));
  if (core) return core;
  const groups = new Set(candidates.map((type) => partsOf(type).group));
  return groups.size === 1 ? candidates.sort().at(-1) : undefined;
}

function isList(type, table) {
  return (
    table[type].gvk !== undefined && type.endsWith('List') && Boolean(table[type].fields.items)
  );
}

function valueType(shape, context) {
  if (shape.startsWith('[]')) {
    const item = valueType(shape.slice(2), context);
    return item.includes(' | ') ? `readonly (${item})[]` : `readonly ${item}[]`;
  }
  if (shape.startsWith('map '))
    return `Readonly<Record<string, ${valueType(shape.slice(4), context)}>>`;
  if (SCALARS[shape]) return SCALARS[shape];
  const scalar = context.table[shape].scalar;
  if (scalar) return SCALARS[scalar];
  return context.names[shape];
}

function fieldType(owner, field, shape, context) {
  const isTop = context.table[owner].gvk !== undefined;
  if (shape === `${META}ObjectMeta` && !isTop) return 'Partial<ObjectMeta>';
  if (shape === `${META}ListMeta`) return 'Readonly<Record<string, unknown>>';
  const value = valueType(shape, context);
  const item = shape.replace('[]', '');
  const isEmbeddedKind =
    field !== 'items' && context.table[item]?.gvk && context.table[item].fields.metadata;
  return isEmbeddedKind
    ? value.replace(context.names[item], `Draft<${context.names[item]}>`)
    : value;
}

/** Whether the server always gives this field: required ones, and what makes an object an ApiObject. */
function isAlways(owner, name, field, table) {
  if (field.required) return true;
  return (
    table[owner].gvk !== undefined && ['apiVersion', 'kind', 'metadata', 'spec'].includes(name)
  );
}

function interfaceOf(type, context) {
  const lines = Object.entries(context.table[type].fields).map(([name, field]) => {
    const key = /^[a-z]\w*$/i.test(name) ? name : `'${name}'`;
    const mark = isAlways(type, name, field, context.table) ? '' : '?';
    return `  readonly ${key}${mark}: ${fieldType(type, name, field.type, context)};`;
  });
  return `export interface ${context.names[type]} {\n${lines.join('\n')}\n}\n`;
}

/** The text of types.ts. */
export function typesSource(table) {
  const context = { table, names: typeNames(table) };
  const wanted = Object.keys(table).filter(
    (type) =>
      table[type].fields &&
      !isList(type, table) &&
      !(type.startsWith(META) && SKIPPED.has(lastPart(type))),
  );
  const body = wanted.map((type) => interfaceOf(type, context)).join('\n');
  const imports = ['Draft', ...FROM_META].filter((name) => new RegExp(`\\b${name}\\b`).test(body));
  return [
    '/** Made by pkg/api/generate.mjs from embedded/api-types.json; not to be edited. */\n',
    `import type { ${imports.join(', ')} } from '../meta.ts';\n`,
    body,
  ].join('\n');
}

/** Where client-node keeps a type: V1Pod, or CoreV1Event when short names collide. */
function modelFile(type) {
  const { group, version, name } = partsOf(type);
  const v = version[0] + version.slice(1).toLowerCase();
  const candidates = [`${group}${v}${name}`, `${v}${name}`, name];
  return candidates.map((file) => join(MODELS, `${file}.d.ts`)).find(existsSync);
}

const COMMENT =
  /\/\*\*\s*\n((?:\s*\*[^\n]*\n)+?)\s*\*\/\s*\n\s*(?:'([^']+)'\??:|export declare class)/g;

function cleaned(comment) {
  return comment
    .split('\n')
    .map((line) => line.replace(/^\s*\*\s?/, ''))
    .join('\n')
    .replaceAll(/\\(['"`])/g, '$1')
    .trim();
}

/** { type: [its own text, { field: text }] } for the types of the table. */
export function descriptions(table) {
  const result = {};
  for (const type of Object.keys(table)) {
    const file = modelFile(type);
    if (!file) continue;
    let own = '';
    const fields = {};
    for (const [, comment, field] of readFileSync(file, 'utf8').matchAll(COMMENT)) {
      if (field) fields[field] = cleaned(comment);
      else own = cleaned(comment);
    }
    result[type] = [own, fields];
  }
  return result;
}

/** Writes both files; leaves them alone when nothing changed, so that nothing is rebuilt in vain. */
export function generate() {
  const table = JSON.parse(readFileSync(TABLE, 'utf8'));
  mkdirSync(OUT, { recursive: true });
  writeIfChanged(join(OUT, 'types.ts'), typesSource(table));
  writeIfChanged(join(OUT, 'descriptions.json'), JSON.stringify(descriptions(table)));
}

function writeIfChanged(file, text) {
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) generate();
