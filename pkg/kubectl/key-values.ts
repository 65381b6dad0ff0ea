/** --from-literal, --from-file and --from-env-file: the entries of a ConfigMap or Secret. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Arguments } from './arguments.ts';
import type { FlagSpec } from './flag.ts';
import { KubectlError } from './kubectl-error.ts';

export const SOURCE_FLAGS: readonly FlagSpec[] = [
  {
    name: 'from-literal',
    type: 'array',
    help: 'Specify a key and literal value to insert (i.e. mykey=somevalue).',
  },
  {
    name: 'from-file',
    type: 'array',
    help: 'A file whose name, or the key before =, becomes the key; a directory gives each of its files.',
  },
  {
    name: 'from-env-file',
    type: 'array',
    help: 'A file of key=value lines.',
  },
];

const VALID_KEY = /^[-._a-zA-Z0-9]+$/;

/** The entries in the order of the flags. Throws a KubectlError on a wrong or doubled key. */
export function entriesOf(args: Arguments): ReadonlyMap<string, Buffer> {
  if (args.has('from-env-file') && (args.has('from-file') || args.has('from-literal')))
    throw new KubectlError('from-env-file cannot be combined with from-file or from-literal');
  const entries = new Map<string, Buffer>();
  const pairs = [
    ...args.list('from-file').flatMap(fromFile),
    ...args.list('from-literal').map(fromLiteral),
    ...args.list('from-env-file').flatMap(fromEnvFile),
  ];
  for (const [key, value] of pairs) {
    if (!VALID_KEY.test(key)) throw new KubectlError(`"${key}" is not a valid key name`);
    if (entries.has(key))
      throw new KubectlError(
        `cannot add key ${key}, another key by that name already exists in Data`,
      );
    entries.set(key, value);
  }
  return entries;
}

type Entry = readonly [key: string, value: Buffer];

function fromLiteral(text: string): Entry {
  const equals = text.indexOf('=');
  if (equals < 1) throw new KubectlError(`invalid literal source ${text}, expected key=value`);
  const value = text.slice(equals + 1);
  return [text.slice(0, equals), Buffer.from(value.replace(/^(["'])(.*)\1$/s, '$2'))];
}

function fromFile(text: string): readonly Entry[] {
  const equals = text.indexOf('=');
  const path = text.slice(equals + 1);
  try {
    if (!statSync(path).isDirectory())
      return [[equals < 0 ? basename(path) : text.slice(0, equals), readFileSync(path)]];
    if (equals >= 0) throw new KubectlError('cannot give a key name for a directory path');
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isFile() && VALID_KEY.test(entry.name))
      .map(({ name }) => [name, readFileSync(join(path, name))]);
  } catch (error) {
    if (error instanceof KubectlError) throw error;
    throw new KubectlError(
      `error reading ${path}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function fromEnvFile(path: string): readonly Entry[] {
  const [file] = fromFile(`file=${path}`);
  const lines = (file?.[1].toString('utf8') ?? '').split('\n').map((line) => line.trimStart());
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const equals = line.indexOf('=');
      if (equals < 0) return [line, Buffer.from(process.env[line] ?? '')];
      return [line.slice(0, equals), Buffer.from(line.slice(equals + 1))];
    });
}
