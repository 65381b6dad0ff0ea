/** An http.Agent whose connections are streams of a tunnel, so that HTTP/1.1 with keep-alive runs inside it. */

import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';

/** Idle connections that are kept for the next request. */
const MAX_IDLE_STREAMS = 16;
/** An idle connection is closed after this. */
const IDLE_MS = 60_000;

/** Makes an agent that calls `open` for each new connection; what it throws fails the request. */
export function createTunnelAgent(open: () => Duplex, options: AgentOptions = {}): Agent {
  return new TunnelAgent(open, options);
}

class TunnelAgent extends Agent {
  readonly #open: () => Duplex;

  constructor(open: () => Duplex, options: AgentOptions) {
    super({ keepAlive: true, maxFreeSockets: MAX_IDLE_STREAMS, timeout: IDLE_MS, ...options });
    this.#open = open;
  }

  override createConnection(
    _options: ClientRequestArgs,
    done?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    if (!done) return this.#open();
    let stream: Duplex;
    try {
      stream = this.#open();
    } catch (error) {
      // Node takes the error alone; its typing asks for a stream beside it.
      Reflect.apply(done, undefined, [error]);
      return undefined;
    }
    done(null, stream);
    return undefined;
  }
}
