/** What -f names: files, directories, standard input; YAML with several documents, JSON, lists. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { parseAllDocuments } from 'yaml';
import { isObject, type JsonObject } from '../api/json.ts';
import type { ApiObject, Draft } from '../api/meta.ts';
import { KUBERNETES_YAML } from '../api/yaml.ts';
import type { Api, Place } from './api.ts';
import type { FlagSpec } from './flag.ts';
import type { Kind } from './kinds.ts';
import { KubectlError, refused } from './kubectl-error.ts';

export type Manifest = Draft<ApiObject> & JsonObject;

export interface Read {
  /** The file, or STDIN. */
  readonly source: string;
  readonly object: Manifest;
}

/** A manifest with the place that it belongs to. */
export interface Located extends Read {
  readonly kind: Kind;
  readonly place: Place & { readonly name: string };
}

export const FILENAME_FLAGS: readonly FlagSpec[] = [
  {
    name: 'filename',
    short: 'f',
    type: 'list',
    help: 'Filename, directory, or - for standard input, with the objects.',
  },
  {
    name: 'recursive',
    short: 'R',
    type: 'switch',
    help: 'Process the directory used in -f, --filename recursively.',
  },
];

const EXTENSIONS = ['.json', '.yaml', '.yml'];

interface Choice {
  readonly files: readonly string[];
  readonly isRecursive: boolean;
  readonly stdin: Readable;
}

/** Reads every object that the files hold, in order. Throws a KubectlError on what is none. */
export async function readManifests({
  files,
  isRecursive,
  stdin,
}: Choice): Promise<readonly Read[]> {
  const found: Read[] = [];
  for (const file of files) {
    if (/^https?:\/\//.test(file)) throw refused('-f with a URL');
    if (file === '-') found.push(...decodeText(await textOf(stdin), 'STDIN'));
    else for (const path of pathsOf(file, isRecursive)) found.push(...readOne(path));
  }
  if (found.length === 0) throw new KubectlError('no objects passed to apply');
  return found;
}

/** Finds the kind and the place of each manifest. */
export async function locate(api: Api, manifests: readonly Read[]): Promise<readonly Located[]> {
  return Promise.all(
    manifests.map(async ({ source, object }) => {
      const kind = await api.kinds.ofObject(object.apiVersion, object.kind);
      const name = object.metadata.name ?? '';
      const namespace = kind.isNamespaced ? namespaceFor(api, object) : undefined;
      const placed = namespace
        ? { ...object, metadata: { ...object.metadata, namespace } }
        : object;
      return { source, object: placed, kind, place: { kind, namespace, name } };
    }),
  );
}

function namespaceFor(api: Api, { metadata }: Manifest): string {
  const { namespace } = metadata;
  if (namespace && api.isNamespaceGiven && namespace !== api.namespace)
    throw new KubectlError(
      `the namespace from the provided object "${namespace}" does not match the namespace "${api.namespace}". You must pass '--namespace=${namespace}' to perform this operation.`,
    );
  return namespace || api.namespace;
}

async function textOf(stdin: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin as AsyncIterable<Buffer>) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

function pathsOf(path: string, isRecursive: boolean): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
  } catch (cause) {
    throw new KubectlError(`the path "${path}" does not exist`, { cause });
  }
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const full = join(path, entry.name);
      if (entry.isDirectory()) return isRecursive ? pathsOf(full, true) : [];
      return EXTENSIONS.includes(extname(entry.name)) ? [full] : [];
    });
}

function readOne(path: string): readonly Read[] {
  try {
    return decodeText(readFileSync(path, 'utf8'), path);
  } catch (error) {
    if (error instanceof KubectlError) throw error;
    throw new KubectlError(
      `cannot read ${path}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** The objects of a YAML or JSON text. Throws a KubectlError that names the source. */
export function decodeText(text: string, source: string): readonly Read[] {
  const documents = parseAllDocuments(text, KUBERNETES_YAML);
  return [...documents].flatMap((document) => {
    const [error] = document.errors;
    if (error) throw new KubectlError(`error parsing ${source}: ${error.message}`);
    const value: unknown = document.toJS({ maxAliasCount: 1000 });
    return value === null || value === undefined ? [] : objectsOf(value, source);
  });
}

function objectsOf(value: unknown, source: string): readonly Read[] {
  if (!isObject(value)) throw new KubectlError(`error parsing ${source}: it holds no object`);
  const unset = ['apiVersion', 'kind'].filter(
    (key) => typeof value[key] !== 'string' || !value[key],
  );
  if (unset.length > 0)
    throw new KubectlError(
      `error validating "${source}": error validating data: ${unset.length > 1 ? '[' : ''}${unset.map((key) => `${key} not set`).join(', ')}${unset.length > 1 ? ']' : ''}`,
    );
  const { kind, items } = value;
  if (String(kind).endsWith('List') && Array.isArray(items))
    return items.flatMap((item) => objectsOf(item, source));
  return [{ source, object: decodeManifest(value) }];
}

function decodeManifest(value: Record<string, unknown>): Manifest {
  const metadata = isObject(value['metadata']) ? value['metadata'] : {};
  return { ...value, metadata } as Manifest;
}
