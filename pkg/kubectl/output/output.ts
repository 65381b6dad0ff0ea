/** The -o flag: how objects are printed that are not printed as a table. */

import { readFileSync } from 'node:fs';
import type { Live } from '../api.ts';
import type { Arguments } from '../arguments.ts';
import type { FlagSpec } from '../flag.ts';
import { KubectlError, refused } from '../kubectl-error.ts';
import { customColumns } from './custom-columns.ts';
import { jsonText } from './json.ts';
import { jsonPathPrinter } from './json-path.ts';
import { yamlText } from './yaml.ts';

export const OUTPUT_FLAG: FlagSpec = {
  name: 'output',
  short: 'o',
  type: 'text',
  help: 'Output format. One of: json, yaml, name, wide, jsonpath=TEMPLATE, jsonpath-file=FILE, custom-columns=SPEC, custom-columns-file=FILE.',
};
export const MANAGED_FIELDS_FLAG: FlagSpec = {
  name: 'show-managed-fields',
  type: 'switch',
  help: 'If true, keep the managedFields when printing objects in JSON or YAML format.',
};

export interface Printer {
  /** Prints one object. */
  one(object: Live): string;
  /** Prints what a list holds. */
  many(objects: readonly Live[]): string;
}

/** The printer of the flags; undefined for the verb's own form and for `wide`. Throws a KubectlError. */
export function printerOf(args: Arguments): Printer | undefined {
  const output = args.optional('output');
  if (output === undefined || output === 'wide') return undefined;
  const equals = output.indexOf('=');
  const format = equals < 0 ? output : output.slice(0, equals);
  const template = equals < 0 ? '' : output.slice(equals + 1);
  const make = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (!make) throw unknownFormat(output);
  return make(template, args);
}

const FORMATS: Readonly<Record<string, (template: string, args: Arguments) => Printer>> = {
  json: (_, args) => structured(jsonText, args),
  yaml: (_, args) => structured(yamlText, args),
  name: () => eachOne((object) => `${nameText(object)}\n`),
  jsonpath: (template, args) => wholly(jsonPathPrinter(needed(template, 'jsonpath')), args),
  'jsonpath-file': (path, args) => wholly(jsonPathPrinter(readTemplate(path)), args),
  'custom-columns': (spec, args) => columns(spec, args),
  'custom-columns-file': (path, args) => columns(columnsOfFile(readTemplate(path)), args),
};

/** `pod/web` or `deployment.apps/web`. */
export function nameText({ apiVersion, kind, metadata }: Live): string {
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
  return `${kind.toLowerCase()}${group}/${metadata.name}`;
}

/** The list that kubectl makes of several objects. */
function listOf(items: readonly Live[]): object {
  return { apiVersion: 'v1', items, kind: 'List', metadata: { resourceVersion: '' } };
}

function structured(text: (value: unknown) => string, args: Arguments): Printer {
  return wholly(text, args);
}

function wholly(text: (value: unknown) => string, args: Arguments): Printer {
  const keepsManaged = args.has('show-managed-fields') && args.isSet('show-managed-fields');
  const shown = (object: Live) => (keepsManaged ? object : withoutManagedFields(object));
  return {
    one: (object) => text(shown(object)),
    many: (objects) => text(listOf(objects.map(shown))),
  };
}

function eachOne(text: (object: Live) => string): Printer {
  return { one: text, many: (objects) => objects.map(text).join('') };
}

function columns(spec: string, args: Arguments): Printer {
  const hasHeaders = !(args.has('no-headers') && args.isSet('no-headers'));
  const print = customColumns(spec, { hasHeaders });
  return { one: (object) => print([object]), many: print };
}

/** A file of custom columns has a line of headers and a line of paths. */
function columnsOfFile(text: string): string {
  const [headers = '', paths = ''] = text.split('\n');
  const fields = paths.trim().split(/\s+/);
  return headers
    .trim()
    .split(/\s+/)
    .map((header, index) => `${header}:${fields[index] ?? ''}`)
    .join(',');
}

function withoutManagedFields(object: Live): Live {
  if (!object.metadata?.managedFields) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function readTemplate(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new KubectlError(`error reading template ${path}`, { cause });
  }
}

function needed(template: string, format: string): string {
  if (template === '') throw new KubectlError(`template format specified but no template given`);
  return format ? template : '';
}

function unknownFormat(output: string): KubectlError {
  if (/^(go-template|template|templatefile|go-template-file|kyaml)\b/.test(output))
    return refused(`output format ${JSON.stringify(output.split('=')[0])}`);
  return new KubectlError(
    `unable to match a printer suitable for the output format "${output}", allowed formats are: custom-columns,custom-columns-file,json,jsonpath,jsonpath-file,name,wide,yaml`,
  );
}
