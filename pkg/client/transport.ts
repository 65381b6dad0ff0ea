/**
 * How the client reaches an API server: a direct call in the same process, or HTTPS, or HTTP inside the
 * tunnel. Requests and answers are objects; only a remote transport serialises. Errors are StatusErrors.
 */

import type { WatchEvent } from '../api/meta.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** URL path without the query, e.g. `/api/v1/namespaces/default/pods`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Of the body; `application/json` when absent. A patch must name its own. */
  readonly contentType?: string;
  /** The forms of the answer that are wanted, e.g. Tables; `application/json` when absent. */
  readonly accept?: string;
}

export interface Transport {
  /** Resolves to the decoded answer (an object, a list or a success Status). Rejects with a StatusError. */
  request(request: ApiRequest, signal?: AbortSignal): Promise<unknown>;
  /** A watch's events until the server or the signal ends it. An ERROR event is thrown as a StatusError. */
  watch(request: ApiRequest, signal: AbortSignal): AsyncIterable<WatchEvent>;
}
