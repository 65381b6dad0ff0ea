/**
 * A transport for actors in the server's own process: calls the API server's handler, without HTTP and without
 * copying. The types equal those of the API server's contract, which this folder may not import.
 */

import { fromStatus, type Status, StatusError } from '../api/errors.ts';
import type { WatchEvent } from '../api/meta.ts';
import type { ApiRequest, Transport } from './transport.ts';

export interface DirectUser {
  readonly name: string;
  readonly groups: readonly string[];
}

interface DirectRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly user: DirectUser;
  readonly body?: Buffer | object;
  readonly signal: AbortSignal;
}

type DirectResponse =
  | { readonly kind: 'object'; readonly status: number; readonly body: object }
  | {
      readonly kind: 'bytes';
      readonly status: number;
      readonly contentType: string;
      readonly body: Buffer;
    }
  | { readonly kind: 'stream'; readonly status: number }
  | { readonly kind: 'watch'; readonly events: AsyncIterable<readonly WatchEvent[]> };

/** The API server's one function for all requests. */
export type Handle = (request: DirectRequest) => Promise<DirectResponse>;

/** Makes a transport whose requests are handled as those of `user`. */
export function directTransport(handle: Handle, user: DirectUser): Transport {
  const call = (request: ApiRequest, signal: AbortSignal) => {
    signal.throwIfAborted();
    return handle({
      method: request.method,
      path: request.path,
      query: new URLSearchParams(request.query),
      headers: {
        accept: request.accept ?? 'application/json',
        'content-type': request.contentType ?? 'application/json',
        'user-agent': user.name,
      },
      user,
      ...bodyOf(request.body),
      signal,
    });
  };
  return {
    async request(request, signal) {
      return answerOf(await call(request, signal ?? new AbortController().signal));
    },
    async *watch(request, signal) {
      const response = await call(request, signal);
      if (response.kind !== 'watch') {
        answerOf(response);
        throw new StatusError('InternalError', `${request.path} did not answer with a watch`);
      }
      for await (const batch of response.events) {
        for (const event of batch) yield checked(event);
      }
    },
  };
}

function bodyOf(body: unknown): { body?: object } {
  return typeof body === 'object' && body !== null ? { body } : {};
}

function answerOf(response: DirectResponse): unknown {
  if (response.kind === 'object') return ifSuccess(response.status, response.body);
  if (response.kind === 'bytes') {
    return ifSuccess(response.status, JSON.parse(response.body.toString('utf8')));
  }
  throw new StatusError('InternalError', `The answer is a ${response.kind}, not an object`);
}

function ifSuccess(status: number, body: unknown): unknown {
  if (status >= 400) throw fromStatus(statusOf(body));
  return body;
}

/** Passes an event on; an ERROR event is thrown. */
export function checked(event: WatchEvent): WatchEvent {
  if (event.type === 'ERROR') throw fromStatus(statusOf(event.object));
  return event;
}

/** Reads what a server sent with an error code. */
export function statusOf(body: unknown): Partial<Status> {
  return typeof body === 'object' && body !== null ? (body as Partial<Status>) : {};
}
