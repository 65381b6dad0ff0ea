/** Whether another OCI runtime can be used, and what it can do. */

import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type ForeignRuntime, RuntimeError } from './runtime.ts';

export interface RuntimeFeatures {
  /** First line of what it calls its version. */
  readonly version: string;
  readonly userNamespaces: boolean;
  readonly recursiveReadOnlyMounts: boolean;
}

const TIMEOUT_MS = 10_000;
const MAX_OUTPUT_BYTES = 1 << 20;
const run = promisify(execFile);

/** Rejects with a RuntimeError that says why it cannot be used. */
export async function probeRuntime(
  runtime: Pick<ForeignRuntime, 'path' | 'args'>,
): Promise<RuntimeFeatures> {
  await checkFile(runtime.path);
  const version = await output(runtime, '--version').catch((error: unknown) => {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new RuntimeError('EHELPER', `it does not answer --version: ${why}`);
  });
  // Older ones have no such verb.
  const features = await output(runtime, 'features').then(parse, () => undefined);
  return {
    version: version.split('\n')[0]?.trim() ?? '',
    userNamespaces: hasUserNamespaces(features),
    // The helper mounts those itself and hands them on.
    recursiveReadOnlyMounts: true,
  };
}

async function checkFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new RuntimeError('ENOENT', `there is no file ${path}`);
  if (!found.isFile()) throw new RuntimeError('EACCES', `${path} is no file`);
  const isExecutable = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!isExecutable) throw new RuntimeError('EACCES', `${path} is not executable`);
}

async function output(
  { path, args }: Pick<ForeignRuntime, 'path' | 'args'>,
  verb: string,
): Promise<string> {
  const limits = {
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT_BYTES,
  } as const;
  return (await run(path, [...args, verb], limits)).stdout;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A runtime that does not list its namespaces has at least those of the OCI specification. */
function hasUserNamespaces(features: unknown): boolean {
  const { linux } = (features ?? {}) as { readonly linux?: { readonly namespaces?: unknown } };
  const names = linux?.namespaces;
  return !Array.isArray(names) || names.includes('user');
}
