/** Errors as answers: the one place where what went wrong becomes a Status. */

import { internalError, StatusError } from '../api/errors.ts';
import type { Logger } from '../log/log.ts';
import type { ServerResponse } from './contract.ts';

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly signal: AbortSignal;
}

/** An error as the answer that clients read; unexpected ones are logged. */
export function errorResponse(
  error: unknown,
  { log, request }: { readonly log: Logger; readonly request: Asked },
): ServerResponse & { readonly kind: 'object' } {
  const isExpected = error instanceof StatusError;
  if (!isExpected && !request.signal.aborted) {
    log.error('Failed to serve a request', { method: request.method, path: request.path, error });
  }
  const status = isExpected ? error : internalError(error);
  const seconds = status.details?.retryAfterSeconds;
  return {
    kind: 'object',
    status: status.code,
    body: status.toStatus(),
    ...(seconds ? { headers: { 'retry-after': String(seconds) } } : {}),
  };
}
