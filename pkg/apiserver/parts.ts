/** What the verbs of the server work with: its parts, and the one call that is being served. */

import type { Resource } from '../api/resource.ts';
import type { Logger } from '../log/log.ts';
import type { Clock } from '../wait/clock.ts';
import type { Chunks } from './chunks.ts';
import type { Admission, Answerer, NodeConnector, Registry, ServerRequest } from './contract.ts';
import type { Form } from './negotiate.ts';
import type { NodeUsages } from './node-usages.ts';
import type { Route } from './route.ts';
import type { Storage } from './storage.ts';

export interface Parts {
  readonly storage: Storage;
  readonly registry: Registry;
  readonly admissions: readonly Admission[];
  readonly answerers: readonly Answerer[];
  readonly nodes: NodeConnector;
  readonly usages: NodeUsages;
  readonly chunks: Chunks;
  readonly clock: Clock;
  readonly log: Logger;
  /** Aborts when the server closes; ends watches. */
  readonly closing: AbortSignal;
}

export interface Call {
  readonly request: ServerRequest;
  readonly route: Route;
  readonly resource: Resource;
  readonly form: Form;
}
