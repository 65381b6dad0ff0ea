/** /metrics in Prometheus' format: requests, watches, the store, the process. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Backend } from '../store/backend.ts';
import type { ServerRequest, ServerResponse } from './contract.ts';
import { routeOf } from './route.ts';

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter;
  readonly #durations: Histogram;
  readonly #watches: Gauge;
  #isCollecting = false;

  constructor(store: Backend) {
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: 'apiserver_request_total',
      help: 'Requests served.',
      labelNames: ['verb', 'group', 'version', 'resource', 'subresource', 'code'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'apiserver_request_duration_seconds',
      help: 'Time to answer, without watches.',
      labelNames: ['verb', 'group', 'version', 'resource', 'subresource'],
      buckets: SECONDS,
      registers,
    });
    this.#watches = new Gauge({
      name: 'apiserver_longrunning_requests',
      help: 'Watches open now.',
      labelNames: ['group', 'version', 'resource'],
      registers,
    });
    const revision: Gauge = new Gauge({
      name: 'mini_store_revision',
      help: 'Revision of the last write.',
      registers,
      collect: () => revision.set(store.revision),
    });
    const compacted: Gauge = new Gauge({
      name: 'mini_store_compacted_revision',
      help: 'Oldest revision from which a watch can start.',
      registers,
      collect: () => compacted.set(store.compactedRevision),
    });
  }

  /** Starts to count a request; the result is called with its answer and returns it. */
  begin(request: ServerRequest): (response: ServerResponse) => ServerResponse {
    const { verb, group, version, resource, subresource, isResource } = routeOf(request);
    const place = isResource
      ? { group, version, resource }
      : { group: '', version: '', resource: '' };
    const startMs = performance.now();
    return (response) => {
      const code = response.kind === 'watch' ? 200 : response.status;
      const isUnknown = code === 404 && !isResource;
      const labels = {
        verb: isUnknown ? 'other' : verb,
        ...place,
        subresource: isResource ? subresource : '',
      };
      this.#requests.inc({ ...labels, code: String(code) });
      if (response.kind === 'watch') return this.#counted(response, place);
      this.#durations.observe(labels, (performance.now() - startMs) / 1000);
      return response;
    };
  }

  /** The text of /metrics. */
  async text(): Promise<string> {
    if (!this.#isCollecting) collectDefaultMetrics({ register: this.#registry });
    this.#isCollecting = true;
    return await this.#registry.metrics();
  }

  #counted(
    response: Extract<ServerResponse, { readonly kind: 'watch' }>,
    place: Record<string, string>,
  ): ServerResponse {
    const gauge = this.#watches;
    const { events } = response;
    async function* counted() {
      gauge.inc(place);
      try {
        yield* events;
      } finally {
        gauge.dec(place);
      }
    }
    return { ...response, events: counted() };
  }
}
