/** The cluster that a command talks to, as --kubeconfig, --context and the other global flags choose it. */

import { existsSync } from 'node:fs';
import type { ApiObject } from '../api/meta.ts';
import type { Client } from '../client/client.ts';
import { createClient } from '../client/create-client.ts';
import { type HttpTransport, httpTransport } from '../client/http-transport.ts';
import { type Kubeconfig, kubeconfigPaths, loadKubeconfig } from '../client/kubeconfig.ts';
import type { ApiRequest } from '../client/transport.ts';
import type { Arguments } from './arguments.ts';
import { durationMs } from './durations.ts';
import { type Kind, Kinds } from './kinds.ts';

/** An object of any kind. */
export interface Live extends ApiObject {
  readonly [field: string]: unknown;
}

/** Names objects by URL: one of them, all of a namespace, or all. */
export interface Place {
  readonly kind: Kind;
  readonly namespace?: string | undefined;
  readonly name?: string;
  readonly subresource?: string;
}

type Options = Pick<ApiRequest, 'query' | 'body' | 'contentType' | 'accept'>;

export class Api {
  readonly config: Kubeconfig;
  /** The kubeconfig files. */
  readonly paths: readonly string[];
  readonly transport: HttpTransport;
  readonly client: Client;
  readonly kinds: Kinds;
  /** Of --namespace, else of the context. */
  readonly namespace: string;
  /** Whether --namespace was given. */
  readonly isNamespaceGiven: boolean;

  constructor(
    config: Kubeconfig,
    {
      paths,
      timeoutMs,
      namespace,
    }: { paths: readonly string[]; timeoutMs?: number; namespace?: string },
  ) {
    this.config = config;
    this.paths = paths;
    this.transport = httpTransport({
      ...config.transport,
      userAgent: 'mini-kubectl',
      ...(timeoutMs ? { timeoutMs } : {}),
    });
    this.client = createClient(this.transport);
    this.kinds = new Kinds(this.transport);
    this.namespace = namespace ?? config.namespace;
    this.isNamespaceGiven = namespace !== undefined;
  }

  close(): void {
    this.transport.close();
  }

  /** The namespace of a kind's objects here; undefined for what is cluster-scoped. */
  namespaceOf(kind: Kind): string | undefined {
    return kind.isNamespaced ? this.namespace : undefined;
  }

  get<T = Live>(place: Place, options: Options = {}): Promise<T> {
    return this.send<T>('GET', place, options);
  }

  async send<T = Live>(
    method: ApiRequest['method'],
    place: Place,
    options: Options & { readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    const { signal, ...rest } = options;
    return decode<T>(
      await this.transport.request({ method, path: pathOf(place), ...rest }, signal),
    );
  }
}

/** The URL path of a place. */
export function pathOf({ kind, namespace, name, subresource }: Place): string {
  const root = kind.group ? `/apis/${kind.group}/${kind.version}` : `/api/${kind.version}`;
  const scope =
    kind.isNamespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${scope}/${kind.plural}${object}${subresource ? `/${subresource}` : ''}`;
}

/** Reads the kubeconfig that the flags choose; nothing is sent yet. */
function chooseConfig(args: Arguments, paths: readonly string[]): Kubeconfig {
  const context = args.optional('context');
  const config = loadKubeconfig({ paths, ...(context ? { context } : {}) });
  const server = args.optional('server');
  const token = args.optional('token');
  const transport = {
    ...config.transport,
    ...(server ? { servers: [server.includes('://') ? server : `https://${server}`] } : {}),
    ...(token ? { token } : {}),
  };
  return { ...config, transport };
}

/** The files that the flags and the environment name. */
function configPaths(args: Arguments, defaultPath: string): readonly string[] {
  const given = args.optional('kubeconfig');
  if (given) return [given];
  const isOwnThere = !process.env['KUBECONFIG'] && existsSync(defaultPath);
  return isOwnThere ? [defaultPath] : kubeconfigPaths(process.env);
}

/** Opens the cluster of the flags. */
export function openApi(args: Arguments, defaultPath: string): Api {
  const timeoutMs = durationMs(args.text('request-timeout'));
  const namespace = args.optional('namespace');
  const paths = configPaths(args, defaultPath);
  return new Api(chooseConfig(args, paths), {
    paths,
    ...(timeoutMs > 0 ? { timeoutMs } : {}),
    ...(namespace ? { namespace } : {}),
  });
}

/** The server answers with what the path names; it has validated it. */
function decode<T>(answer: unknown): T {
  return answer as T;
}
