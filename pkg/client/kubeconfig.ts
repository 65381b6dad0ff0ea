/** kubeconfig files, read as kubectl reads them: KUBECONFIG, several files, contexts. pkg/pki writes ours. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { parse } from 'yaml';
import type { HttpTransportOptions, Tls } from './http-transport.ts';

interface Cluster {
  readonly server?: string;
  readonly 'certificate-authority'?: string;
  readonly 'certificate-authority-data'?: string;
  readonly 'insecure-skip-tls-verify'?: boolean;
  readonly 'tls-server-name'?: string;
}

interface AuthInfo {
  readonly 'client-certificate'?: string;
  readonly 'client-certificate-data'?: string;
  readonly 'client-key'?: string;
  readonly 'client-key-data'?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly password?: string;
  readonly exec?: unknown;
  readonly 'auth-provider'?: unknown;
}

interface NamedContext {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

interface Merged {
  currentContext: string | undefined;
  /** Each with the folder of its file: relative paths start there. */
  readonly clusters: Map<string, { readonly value: Cluster; readonly dir: string }>;
  readonly users: Map<string, { readonly value: AuthInfo; readonly dir: string }>;
  readonly contexts: Map<string, NamedContext>;
}

/** A problem that the user can mend; its message says how. */
export class KubeconfigError extends Error {}

export interface KubeconfigChoice {
  /** Files in order of precedence; absent = KUBECONFIG, else ~/.kube/config. */
  readonly paths?: readonly string[];
  readonly context?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** How to reach a cluster, as a kubeconfig says it. */
export interface Kubeconfig {
  readonly context: string;
  readonly namespace: string;
  readonly transport: HttpTransportOptions;
}

/** The files that kubectl would read. */
export function kubeconfigPaths(env: Readonly<Record<string, string | undefined>>): string[] {
  const listed = (env['KUBECONFIG'] ?? '').split(':').filter(Boolean);
  if (listed.length > 0) return listed;
  return env['HOME'] ? [join(env['HOME'], '.kube', 'config')] : [];
}

/** Reads a context. Throws KubeconfigError when there is none, or when it needs what is not supported. */
export function loadKubeconfig({
  paths,
  context,
  env = process.env,
}: KubeconfigChoice = {}): Kubeconfig {
  const files = paths ?? kubeconfigPaths(env);
  const merged = merge(files.filter((path) => existsSync(path)));
  const name = context ?? merged.currentContext;
  if (!name)
    throw new KubeconfigError(`No current context in ${files.join(', ') || 'any kubeconfig'}`);
  const chosen = merged.contexts.get(name);
  if (!chosen) throw new KubeconfigError(`Context "${name}" does not exist`);
  const cluster = merged.clusters.get(chosen.cluster ?? '');
  if (!cluster?.value.server) {
    throw new KubeconfigError(`Context "${name}" names no cluster with a server`);
  }
  const user = merged.users.get(chosen.user ?? '') ?? { value: {}, dir: '.' };
  const transport = {
    servers: [cluster.value.server],
    tls: tlsOf(cluster, user),
    ...credentialsOf(chosen.user ?? '', user),
  };
  return { context: name, namespace: chosen.namespace || 'default', transport };
}

interface Placed<T> {
  readonly value: T;
  readonly dir: string;
}

/** The first file that names a thing wins, as with kubectl. */
function merge(paths: readonly string[]): Merged {
  const merged: Merged = {
    currentContext: undefined,
    clusters: new Map(),
    users: new Map(),
    contexts: new Map(),
  };
  for (const path of paths) {
    const file = decode(path);
    const dir = dirname(path);
    merged.currentContext ??= file['current-context'] || undefined;
    for (const { name, cluster: value = {} } of file.clusters ?? []) {
      keepFirst(merged.clusters, name, { value, dir });
    }
    for (const { name, user: value = {} } of file.users ?? []) {
      keepFirst(merged.users, name, { value, dir });
    }
    for (const { name, context: value = {} } of file.contexts ?? []) {
      keepFirst(merged.contexts, name, value);
    }
  }
  return merged;
}

function keepFirst<T>(map: Map<string, T>, name: string, value: T): void {
  if (!map.has(name)) map.set(name, value);
}

interface File {
  readonly 'current-context'?: string;
  readonly clusters?: readonly { readonly name: string; readonly cluster?: Cluster }[];
  readonly users?: readonly { readonly name: string; readonly user?: AuthInfo }[];
  readonly contexts?: readonly { readonly name: string; readonly context?: NamedContext }[];
}

function decode(path: string): File {
  try {
    const value: unknown = parse(readFileSync(path, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as File) : {};
  } catch (error) {
    throw new KubeconfigError(`Cannot read kubeconfig ${path}`, { cause: error });
  }
}

function tlsOf(cluster: Placed<Cluster>, user: Placed<AuthInfo>): Tls {
  const ca = material(cluster, 'certificate-authority');
  const cert = material(user, 'client-certificate');
  const key = material(user, 'client-key');
  const servername = cluster.value['tls-server-name'];
  return {
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
    ...(servername ? { servername } : {}),
    ...(cluster.value['insecure-skip-tls-verify'] ? { isInsecure: true } : {}),
  };
}

/** PEM that stands in the file itself in base64, or in a file of its own. */
function material({ value, dir }: Placed<Cluster | AuthInfo>, name: string): string | undefined {
  const fields = value as Readonly<Record<string, unknown>>;
  const data = fields[`${name}-data`];
  if (typeof data === 'string' && data) return Buffer.from(data, 'base64').toString('utf8');
  const path = fields[name];
  return typeof path === 'string' && path ? readText(path, dir) : undefined;
}

function readText(path: string, dir: string): string {
  const full = isAbsolute(path) ? path : join(dir, path);
  try {
    return readFileSync(full, 'utf8');
  } catch (error) {
    throw new KubeconfigError(`Cannot read ${full}`, { cause: error });
  }
}

function credentialsOf(name: string, { value, dir }: Placed<AuthInfo>) {
  if (value.exec !== undefined || value['auth-provider'] !== undefined) {
    const what = value.exec === undefined ? 'an auth-provider' : 'an exec plugin';
    throw new KubeconfigError(
      `User "${name}" logs in with ${what}, which mini does not run; use kubectl`,
    );
  }
  const { token, tokenFile, username, password } = value;
  if (tokenFile) return { token: () => readText(tokenFile, dir).trim() };
  if (token) return { token };
  if (username) return { basic: { username, password: password ?? '' } };
  return {};
}
