/**
 * What both ends of a tunnel see: one WebSocket, many duplex byte streams, opened by either side. Flow control is
 * per stream with hysteresis; a dead peer is found by pings with deadlines; nothing outlives the session.
 */

import type { Duplex } from 'node:stream';

/** What a stream is for; sent with its open frame. */
export interface StreamHeader {
  /** 'api': HTTP to the API server. 'node': HTTP to the node's own API. */
  readonly kind: 'api' | 'node';
}

export interface Session {
  /** Opens a stream to the peer. Throws when the session is closed or MAX_STREAMS are open. */
  open(header: StreamHeader): Duplex;
  /** Called for each stream that the peer opens; set once, before the first turn of the event loop ends. */
  onStream: (header: StreamHeader, stream: Duplex) => void;
  /** Resolves with the reason once the session has ended, for whatever cause. */
  readonly closed: Promise<Error | undefined>;
  close(reason?: Error): void;
}
