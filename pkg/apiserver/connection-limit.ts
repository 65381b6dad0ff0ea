/** How many connections the server takes at once: fewer than its process may have open files. */

import { readFileSync } from 'node:fs';
import type { Server } from 'node:net';
import type { Logger } from '../log/log.ts';
import type { Clock } from '../wait/clock.ts';

/** Descriptors that connections leave for the rest of the process: database, files, helper processes. */
const RESERVED_FILES = 128;

/** At most half of the limit is left to others. */
const SHARE = 2;
const TOLD_EVERY_MS = 60_000;

/**
 * Bounds how many connections may be open at once, and tells when more are refused. Without it the kernel's limit is the
 * bound: then database and files go without descriptors as well, and the log says nothing. `limits`: /proc/self/limits.
 */
export function limitConnections(
  server: Server,
  { log, clock }: { readonly log: Logger; readonly clock: Clock },
  limits = readFileSync('/proc/self/limits', 'utf8'),
): void {
  const files = Number(/^Max open files\s+(\S+)/m.exec(limits)?.[1]);
  if (!Number.isFinite(files)) return;
  const limit = Math.max(files - RESERVED_FILES, Math.floor(files / SHARE));
  let toldMs = Number.NEGATIVE_INFINITY;
  server.maxConnections = limit;
  server.on('drop', () => {
    if (clock.monotonic() - toldMs < TOLD_EVERY_MS) return;
    toldMs = clock.monotonic();
    log.warn('Refused connections: as many are open as the limit of open files allows', {
      limit,
      mend: 'close clients, or raise the limit (ulimit -n, LimitNOFILE=)',
    });
  });
}
