/**
 * The API server: one function from request to answer, for actors in this process, and listeners that put HTTP in
 * front of it. Never throws to its callers: what goes wrong is a Status.
 */

import type { Duplex } from 'node:stream';
import type { Logger } from '../log/log.ts';
import type { Backend } from '../store/backend.ts';
import type { Clock } from '../wait/clock.ts';
import { Chunks } from './chunks.ts';
import type {
  Admission,
  Answerer,
  Authenticator,
  Authorizer,
  ExtraHandler,
  NodeConnector,
  ServerRequest,
  ServerResponse,
  UpgradeHandler,
  User,
} from './contract.ts';
import { type Dispatch, dispatch } from './dispatch.ts';
import { errorResponse } from './error-response.ts';
import { HttpFront } from './http.ts';
import type { Listening, ListenOptions } from './listening.ts';
import { Metrics } from './metrics.ts';
import { NodeUsages } from './node-usages.ts';
import { nonResource, type Version } from './non-resource.ts';
import type { Parts } from './parts.ts';
import type { StoredRegistry } from './registry.ts';

export interface ApiServerOptions {
  readonly registry: StoredRegistry;
  readonly store: Backend;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly admissions: readonly Admission[];
  readonly answerers?: readonly Answerer[];
  readonly nodes: NodeConnector;
  readonly log: Logger;
  readonly clock: Clock;
  readonly version: Version;
  readonly extraHandlers?: readonly ExtraHandler[];
  readonly upgradeHandlers?: readonly UpgradeHandler[];
}

export interface ApiServer {
  /** Serves a request of an authenticated user. Resolves to a Status for what goes wrong; never rejects. */
  handle(request: ServerRequest): Promise<ServerResponse>;
  /** Serves HTTPS (HTTP/1.1 and HTTP/2), or plain HTTP without `tls`. */
  listen(options: ListenOptions): Promise<Listening>;
  /** Serves HTTP/1.1 on a stream whose peer is known to be this user. */
  serveStream(stream: Duplex, user: User): void;
  /** Ends all watches and closes all listeners. */
  close(): Promise<void>;
}

/** Makes the server. It serves as soon as it is made; nothing listens before listen(). */
export function createApiServer(options: ApiServerOptions): ApiServer {
  const { registry, admissions, answerers = [], nodes, clock, log, authorizer } = options;
  const closing = new AbortController();
  const metrics = new Metrics(options.store);
  const parts: Parts = {
    storage: registry.storage,
    registry,
    admissions,
    answerers,
    nodes,
    usages: new NodeUsages({ nodes, clock }),
    chunks: new Chunks(clock),
    clock,
    log,
    closing: closing.signal,
  };
  const checks = [
    { name: 'ping', check: () => undefined },
    {
      name: 'shutdown',
      check: () => (closing.signal.aborted ? 'the server is closing' : undefined),
    },
  ];
  const table: Dispatch = {
    parts,
    authorizer,
    nonResource: nonResource({ version: options.version, checks, metrics: () => metrics.text() }),
  };
  const handle = async (request: ServerRequest): Promise<ServerResponse> => {
    const done = metrics.begin(request);
    const response = await answer(table, request);
    return done(response);
  };
  const front = new HttpFront({ ...options, handle, parts, closing: closing.signal });
  return {
    handle,
    listen: (listenOptions) => front.listen(listenOptions),
    serveStream: (stream, user) => front.serveStream(stream, user),
    async close() {
      closing.abort(new Error('The server is closing'));
      await front.close();
    },
  };
}

async function answer(table: Dispatch, request: ServerRequest): Promise<ServerResponse> {
  try {
    return await dispatch(table, request);
  } catch (error) {
    return errorResponse(error, { log: table.parts.log, request });
  }
}
