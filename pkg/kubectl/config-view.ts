/** A kubeconfig as `config view` shows it: secrets and certificates left out. */

import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { isObject, type JsonObject } from '../api/json.ts';
import { KubectlError } from './kubectl-error.ts';

/** What stands in place of what is left out. */
const OMITTED: Readonly<Record<string, string>> = {
  'certificate-authority-data': 'DATA+OMITTED',
  'client-certificate-data': 'DATA+OMITTED',
  'client-key-data': 'DATA+OMITTED',
  token: 'REDACTED',
  password: 'REDACTED',
};

export interface ConfigFile extends JsonObject {
  readonly contexts?: readonly { readonly name: string }[];
}

/** Reads the first of the files that is there. Throws a KubectlError when it holds no kubeconfig. */
export function stripped(
  paths: readonly string[],
  { isRaw }: { readonly isRaw: boolean },
): ConfigFile {
  const [path = ''] = paths;
  const value: unknown = parse(readFileSync(path, 'utf8'));
  if (!isObject(value)) throw new KubectlError(`${path} is no kubeconfig`);
  return decode(isRaw ? value : without(value));
}

function without(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(without);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, OMITTED[key] ?? without(field)]),
  );
}

function decode(value: unknown): ConfigFile {
  return value as ConfigFile;
}
