/**
 * What the parts of the API server agree on: a request is an object, handled by one function whether it came over
 * HTTP, through the tunnel or from an actor in this process; authentication, authorization and admission are
 * plugged into it.
 */

import type { IncomingMessage, ServerResponse as OutgoingResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ApiList, ApiObject, Draft, Ref, WatchEvent } from '../api/meta.ts';

export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface ServerRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly user: User;
  /** Bytes off the wire, or an object from an actor in this process. */
  readonly body?: Buffer | object;
  readonly signal: AbortSignal;
  /** `address:port` of the peer; absent for actors in this process. */
  readonly remoteAddress?: string;
}

export type ServerResponse =
  | {
      readonly kind: 'object';
      readonly status: number;
      readonly body: object;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Ready bytes, e.g. a stored object as it is. */
  | {
      readonly kind: 'bytes';
      readonly status: number;
      readonly contentType: string;
      readonly body: Buffer;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Flushes its headers at once. */
  | {
      readonly kind: 'stream';
      readonly status: number;
      readonly contentType: string;
      readonly body: AsyncIterable<Buffer>;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** In this process the events are handed over as they are; HTTP encodes them one a line. */
  | {
      readonly kind: 'watch';
      readonly events: AsyncIterable<readonly WatchEvent[]>;
      readonly encode: (event: WatchEvent) => Buffer;
    };

/** Who is asking, before authentication. */
export interface Credentials {
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Verified against the client CA by TLS; subject CN and O. */
  readonly certificate?: { readonly commonName: string; readonly organizations: readonly string[] };
}

export interface Authenticator {
  /** Throws unauthorized() for credentials that are present but wrong; no credentials = system:anonymous. */
  authenticate(credentials: Credentials): Promise<User>;
}

export interface Attributes {
  readonly user: User;
  /** get list watch create update patch delete deletecollection; for non-resources the lower-case method. */
  readonly verb: string;
  readonly isResource: boolean;
  /** Plural; empty for non-resources. */
  readonly resource: string;
  readonly group: string;
  readonly version: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** Of a list or watch, as the client wrote it. */
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  readonly path: string;
}

export interface Decision {
  readonly isAllowed: boolean;
  /** Why; goes into the Forbidden message of a refusal. */
  readonly reason: string;
}

export interface Authorizer {
  authorize(attributes: Attributes): Decision;
}

/** The resources by a direct call, without HTTP, authorization or admission; how the parts of the server read and write. */
export interface Registry {
  get<T extends ApiObject>(resource: string, ref: Ref): T | undefined;
  list<T extends ApiObject>(resource: string, namespace?: string): ApiList<T>;
  create<T extends ApiObject>(resource: string, object: Draft<T>): Promise<T>;
  /** Reads, applies `change` and writes; again on conflict. Resolves to undefined when the object is gone. */
  modify<T extends ApiObject>(
    resource: string,
    ref: Ref,
    change: (current: T) => T,
  ): Promise<T | undefined>;
  delete(resource: string, ref: Ref): Promise<void>;
}

export interface AdmissionRequest extends Attributes {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  readonly object: ApiObject | undefined;
  readonly old: ApiObject | undefined;
  readonly isDryRun: boolean;
  readonly registry: Registry;
}

/** One admission plug-in: returns the object, changed or as it came, or throws a StatusError. Run in table order. */
export interface Admission {
  readonly name: string;
  admit(request: AdmissionRequest): Promise<ApiObject | undefined> | ApiObject | undefined;
}

/** A create that stores nothing and answers at once: reviews, token requests. */
export interface Answerer {
  /** `plural` or `plural.group`, then `/subresource` if any: 'tokenreviews.authentication.k8s.io', 'serviceaccounts/token'. */
  readonly resource: string;
  /** The body to answer 201 with. `request.object` is the decoded body; throws a StatusError to refuse. */
  answer(request: AdmissionRequest, signal: AbortSignal): Promise<object>;
}

/** Plain HTTP endpoints beside the Kubernetes API (joining); they do their own authentication. */
export interface ExtraHandler {
  /** Served when the path starts with this. */
  readonly prefix: string;
  handle(request: IncomingMessage, response: OutgoingResponse): void;
}

/** Upgrades beside the Kubernetes API (the tunnel's WebSocket); they do their own authentication. */
export interface UpgradeHandler {
  readonly path: string;
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** The way to a node's own API (logs, exec, attach, port-forward): a byte stream on which HTTP/1.1 is spoken. */
export interface NodeConnector {
  /** Throws unavailable() when the node has no live tunnel. */
  connect(nodeName: string): Duplex;
}
