/** A real API server over the in-memory store, with everybody allowed everything unless a test says otherwise. */

import type { Duplex } from 'node:stream';
import { unavailable } from '../../pkg/api/errors.ts';
import type { ApiObject } from '../../pkg/api/meta.ts';
import type { ServerRequest, ServerResponse, User } from '../../pkg/apiserver/contract.ts';
import { createRegistry, type StoredRegistry } from '../../pkg/apiserver/registry.ts';
import {
  type ApiServer,
  type ApiServerOptions,
  createApiServer,
} from '../../pkg/apiserver/server.ts';
import { silent } from '../../pkg/log/log.ts';
import type { Backend } from '../../pkg/store/backend.ts';
import { openMemory } from '../../pkg/store/memory.ts';
import { systemClock } from '../../pkg/wait/clock.ts';

export const admin: User = { name: 'admin', groups: ['system:masters', 'system:authenticated'] };

export interface Ask {
  readonly method?: string;
  readonly body?: object | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly user?: User;
  readonly signal?: AbortSignal;
}

export interface TestServer {
  readonly server: ApiServer;
  readonly registry: StoredRegistry;
  readonly store: Backend;
  /** One request through handle(); `url` may have a query. */
  ask(url: string, ask?: Ask): Promise<ServerResponse>;
  /** The answered object; throws if the answer is another one than `status`. */
  object(url: string, ask?: Ask & { readonly status?: number }): Promise<Answered>;
  close(): Promise<void>;
}

/** An answered object, loosely typed for assertions. */
export type Answered = ApiObject & {
  readonly items: readonly Answered[];
  readonly spec: Readonly<Record<string, never>>;
  readonly status: unknown;
  readonly [field: string]: unknown;
};

/** Starts a server with the namespace `default`. */
export async function startApiServer(options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const store = openMemory();
  const clock = options.clock ?? systemClock;
  const registry = createRegistry({ store, clock });
  const server = createApiServer({
    registry,
    store,
    authenticator: { authenticate: () => Promise.resolve(admin) },
    authorizer: { authorize: () => ({ isAllowed: true, reason: '' }) },
    admissions: [],
    nodes: { connect: noNode },
    log: silent,
    clock,
    version: { gitVersion: 'v1.36.0+mini', gitCommit: 'test', buildDate: '2026-01-01T00:00:00Z' },
    ...options,
  });
  const ask = async (
    url: string,
    { method = 'GET', body, headers = {}, user = admin, signal }: Ask = {},
  ) => {
    const { pathname, searchParams } = new URL(url, 'http://test');
    const request: ServerRequest = {
      method,
      path: pathname,
      query: searchParams,
      headers,
      user,
      ...(body ? { body } : {}),
      signal: signal ?? new AbortController().signal,
    };
    return await server.handle(request);
  };
  await registry.create('namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'default' },
  });
  return {
    server,
    registry,
    store,
    ask,
    async object(url, { status = 200, ...rest } = {}) {
      const response = await ask(url, rest);
      if (response.kind !== 'object' || response.status !== status) {
        throw new Error(`Expected ${status}, got ${JSON.stringify(response)}`);
      }
      return response.body as Answered;
    },
    async close() {
      await server.close();
      await store.close();
    },
  };
}

function noNode(name: string): Duplex {
  throw unavailable(`node ${name} is not connected`);
}
