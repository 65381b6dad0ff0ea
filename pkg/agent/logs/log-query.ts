/** The options of a log request, read from its query. */

import { ApiError } from '../streams/request.ts';

export interface LogQuery {
  readonly isFollowing: boolean;
  readonly isPrevious: boolean;
  readonly hasTimestamps: boolean;
  readonly tailLines?: number;
  readonly limitBytes?: number;
  readonly sinceMs?: number;
  readonly stream: 'all' | 'stdout' | 'stderr';
}

/** Throws an ApiError on a value that is no number or time. */
export function parseLogQuery(query: URLSearchParams, nowMs: number): LogQuery {
  const tailLines = number(query, 'tailLines');
  const limitBytes = number(query, 'limitBytes');
  const sinceSeconds = number(query, 'sinceSeconds');
  const sinceTime = query.get('sinceTime');
  const sinceMs = sinceSeconds === undefined ? time(sinceTime) : nowMs - sinceSeconds * 1000;
  const stream = (query.get('stream') ?? 'All').toLowerCase();
  if (stream !== 'all' && stream !== 'stdout' && stream !== 'stderr') {
    throw new ApiError(400, `invalid stream: ${stream}`);
  }
  return {
    isFollowing: query.get('follow') === 'true',
    isPrevious: query.get('previous') === 'true',
    hasTimestamps: query.get('timestamps') === 'true',
    stream,
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
  };
}

function number(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new ApiError(400, `invalid ${name}: ${text}`);
  return value;
}

function time(text: string | null): number | undefined {
  if (!text) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new ApiError(400, `invalid sinceTime: ${text}`);
  return ms;
}
